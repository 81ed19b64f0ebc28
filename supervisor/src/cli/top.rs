//! `creel top`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use creel_ipc::msg::Empty;
use creel_ipc::msg::supervisor::{Units, UnitsStatus};
use creel_ipc::msg::unit::UnitState;
use serde::Serialize;

use super::control::Control;
use super::error::CliError;
use super::output::{Colour, Output};
use super::screen::{Screen, is_quit};
use super::table::{columns, duration, plain, size};
use super::{Context, OK, words};

/// What lies between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// Show what every unit uses.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel top\n  creel top --sort memory\n  creel top --once\n  \
                        creel top --json | jq '.[] | select(.cpuPercent > 50)'\n\n\
                        Keys: c sorts by processor time, m by memory, n by name, q quits.")]
pub(crate) struct Args {
    /// What comes first
    #[arg(long, value_enum, default_value = "cpu")]
    sort: Sort,
    /// Look for one second, print and end; so does --json
    #[arg(long)]
    once: bool,
}

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sort {
    /// Most processor time first
    Cpu,
    /// Most memory first
    Memory,
    /// By name
    Name,
}

/// What one unit uses.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    unit: String,
    state: Option<UnitState>,
    /// Of one processor; two busy threads are 200.
    cpu_percent: f64,
    memory_bytes: Option<u64>,
    uptime_ms: Option<u64>,
    restarts: u64,
    tasks: Option<u64>,
    /// Lines that it wrote to its log, each second.
    log_lines_per_second: f64,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, CliError> {
    if args.once || context.out.is_json() {
        let before = ask(context)?;
        std::thread::sleep(EVERY);
        let rows = sorted(rows(&before, &ask(context)?), args.sort);
        context.out.data(&rows, || render(&rows, &context.out))?;
        return Ok(OK);
    }
    live(context, args.sort)
}

fn live(context: &Context, mut sort: Sort) -> Result<ExitCode, CliError> {
    let mut before = ask(context)?;
    let screen = Screen::open("creel top")?;
    let mut shown = Vec::new();
    let mut wait = Duration::ZERO;
    loop {
        match screen.key(wait)? {
            Some(key) if is_quit(key) => return Ok(OK),
            Some(b'c') => sort = Sort::Cpu,
            Some(b'm') => sort = Sort::Memory,
            Some(b'n') => sort = Sort::Name,
            _ => {}
        }
        let age = before.1.elapsed();
        if shown.is_empty() || age >= EVERY {
            match ask(context) {
                Ok(now) => {
                    shown = rows(&before, &now);
                    before = now;
                }
                Err(error) => {
                    screen.draw(&error.to_string())?;
                    wait = EVERY;
                    continue;
                }
            }
        }
        shown = sorted(shown, sort);
        let text = render(&shown, &context.out);
        screen.draw(&format!(
            "{text}\n{}",
            context.out.paint(Colour::Grey, "c processor  m memory  n name  q quit")
        ))?;
        wait = EVERY.saturating_sub(before.1.elapsed());
    }
}

type Sample = (Units, Instant);

fn ask(context: &Context) -> Result<Sample, CliError> {
    Ok((Control::connect(context)?.call::<UnitsStatus>(&Empty {})?, Instant::now()))
}

/// What was used between two looks. A unit that was replaced meanwhile is counted from its beginning.
fn rows((before, then): &Sample, (after, now): &Sample) -> Vec<Row> {
    let seconds = now.duration_since(*then).as_secs_f64().max(0.001);
    let rate = |old: u64, new: u64| new.saturating_sub(old) as f64 / seconds;
    let cpu = |old: Option<u64>, new: Option<u64>| rate(old.unwrap_or(0), new.unwrap_or(0)) / 10.0;
    let own = Row {
        unit: "supervisor".to_owned(),
        state: None,
        cpu_percent: cpu(before.supervisor_cpu_ms, after.supervisor_cpu_ms),
        memory_bytes: after.supervisor_pss_bytes,
        uptime_ms: Some(after.uptime_ms),
        restarts: 0,
        tasks: None,
        log_lines_per_second: 0.0,
    };
    let unit = |unit: &creel_ipc::msg::unit::UnitStatus| {
        let old = before.units.iter().find(|old| old.name == unit.name);
        let same = old.filter(|old| old.incarnation == unit.incarnation && old.pid == unit.pid);
        // Without an earlier look there is no rate, only a sum.
        let old_cpu = if old.is_some() { same.and_then(|old| old.cpu_ms) } else { unit.cpu_ms };
        let lines = |log: Option<creel_ipc::msg::unit::LogCounts>| log.map_or(0, |log| log.lines);
        Row {
            unit: unit.name.clone(),
            state: Some(unit.state),
            cpu_percent: cpu(old_cpu, unit.cpu_ms),
            memory_bytes: unit.pss_bytes,
            uptime_ms: unit.uptime_ms,
            restarts: unit.restarts,
            tasks: unit.tasks,
            log_lines_per_second: rate(lines(old.map_or(unit.log, |old| old.log)), lines(unit.log)),
        }
    };
    std::iter::once(own).chain(after.units.iter().map(unit)).collect()
}

fn sorted(mut rows: Vec<Row>, sort: Sort) -> Vec<Row> {
    rows.sort_by(|a, b| {
        let by = match sort {
            Sort::Cpu => b.cpu_percent.total_cmp(&a.cpu_percent),
            Sort::Memory => b.memory_bytes.cmp(&a.memory_bytes),
            Sort::Name => std::cmp::Ordering::Equal,
        };
        by.then_with(|| a.unit.cmp(&b.unit))
    });
    rows
}

/// The text of `creel top`.
pub(crate) fn render(rows: &[Row], out: &Output) -> String {
    let heading = ["UNIT", "CPU %", "MEMORY", "UPTIME", "RESTARTS", "THREADS", "LOG LINES/S", "STATE"];
    let dash = || "-".to_owned();
    let mut table = vec![heading.map(|cell| out.paint(Colour::Grey, cell)).to_vec()];
    table.extend(rows.iter().map(|row| {
        vec![
            plain(&row.unit),
            format!("{:.1}", row.cpu_percent),
            row.memory_bytes.map_or_else(dash, size),
            row.uptime_ms.map_or_else(dash, duration),
            row.restarts.to_string(),
            row.tasks.map_or_else(dash, |tasks| tasks.to_string()),
            format!("{:.0}", row.log_lines_per_second),
            row.state.map_or_else(dash, |state| words::state(state).to_owned()),
        ]
    }));
    columns(&table)
}

#[cfg(test)]
mod tests {
    use super::super::output::ColourWhen;
    use super::super::tests::{unit, units};
    use super::*;
    use creel_ipc::hello::Role;
    use creel_ipc::msg::unit::{LogCounts, UnitStatus};

    #[test]
    fn what_was_used_between_two_looks() {
        let one = |cpu_ms, lines, incarnation| UnitStatus {
            cpu_ms: Some(cpu_ms),
            tasks: Some(4),
            incarnation,
            log: Some(LogCounts { lines, ..LogCounts::default() }),
            ..unit("agent:main", Role::Agent, UnitState::Running)
        };
        let then = Instant::now();
        let now = then + Duration::from_secs(2);
        let look = |before, after| {
            let rows = rows(&(units(vec![before]), then), &(units(vec![after]), now));
            (rows[1].cpu_percent, rows[1].log_lines_per_second)
        };
        assert_eq!(look(one(1000, 10, 1), one(2000, 30, 1)), (50.0, 10.0));
        assert_eq!(look(one(9000, 10, 1), one(200, 10, 2)), (10.0, 0.0));
        let rows = rows(&(units(vec![one(0, 0, 1)]), then), &(units(vec![one(500, 30, 1)]), now));
        insta::assert_snapshot!(render(&sorted(rows, Sort::Cpu), &Output::new(false, ColourWhen::Never)));
    }
}
