//! `creel status`.

use std::process::ExitCode;

use creel_ipc::msg::Empty;
use creel_ipc::msg::supervisor::{Units, UnitsStatus};
use creel_ipc::msg::unit::{UnitState, UnitStatus};

use super::control::Control;
use super::error::CliError;
use super::output::{Colour, Output};
use super::table::{columns, duration, size};
use super::{Context, OK, words};

/// Show every process.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  creel status\n  creel status --json | jq '.units[] | {name, state, isolation}'\n\n\
                        Exit code 0 when every unit runs, 1 otherwise."
)]
pub(crate) struct Args {
    /// Also show what each sandbox lacks
    #[arg(long)]
    verbose: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, CliError> {
    let units = Control::connect(context)?.call::<UnitsStatus>(&Empty {})?;
    context.out.data(&units, || render(&units, &context.out, args.verbose))?;
    let healthy = units.units.iter().all(|unit| unit.state == UnitState::Running);
    Ok(if healthy { OK } else { ExitCode::FAILURE })
}

/// The text of `creel status`.
pub(crate) fn render(units: &Units, out: &Output, verbose: bool) -> String {
    let heading = ["UNIT", "STATE", "PID", "UPTIME", "RESTARTS", "MEMORY", "ISOLATION", "LAST EXIT"];
    let mut rows = vec![heading.map(|cell| out.paint(Colour::Grey, cell)).to_vec()];
    rows.extend(units.units.iter().map(|unit| row(unit, out)));
    let mut text = format!(
        "creel {}  supervisor {}  up {}  isolation {}{}\n\n{}",
        units.version,
        units.supervisor_pid,
        duration(units.uptime_ms),
        units.level,
        units.supervisor_pss_bytes.map(|bytes| format!("  memory {}", size(bytes))).unwrap_or_default(),
        columns(&rows)
    );
    for unit in &units.units {
        let detail = unit.last_exit.as_ref().and_then(|exit| exit.detail.as_deref());
        if unit.state != UnitState::Running
            && let Some(detail) = detail
        {
            text.push_str(&format!("\n{}: {detail}\n", out.paint(Colour::Yellow, &unit.name)));
        }
        for gap in unit.isolation.iter().filter(|_| verbose).flat_map(|isolation| &isolation.gaps) {
            text.push_str(&format!("\n{}: {gap}\n", unit.name));
        }
    }
    if let Some(error) = &units.config_error {
        text.push_str(&format!(
            "\n{}\n{error}\n",
            out.paint(Colour::Red, "The last reload failed; the configuration before it is in force:")
        ));
    }
    text
}

fn row(unit: &UnitStatus, out: &Output) -> Vec<String> {
    let dash = || "-".to_owned();
    vec![
        unit.name.clone(),
        state(unit, out),
        unit.pid.map_or_else(dash, |pid| pid.to_string()),
        unit.uptime_ms.map_or_else(dash, duration),
        unit.restarts.to_string(),
        unit.pss_bytes.map_or_else(dash, size),
        unit.isolation.as_ref().map_or_else(dash, |isolation| isolation.level.clone()),
        unit.last_exit.as_ref().map_or_else(dash, words::last_exit),
    ]
}

fn state(unit: &UnitStatus, out: &Output) -> String {
    match unit.state {
        UnitState::Running => out.paint(Colour::Green, "running"),
        UnitState::Starting => out.paint(Colour::Yellow, "starting"),
        UnitState::Stopping => out.paint(Colour::Yellow, "stopping"),
        UnitState::Backoff => {
            let wait =
                unit.next_attempt_ms.map(|ms| format!(", next in {}", duration(ms))).unwrap_or_default();
            out.paint(Colour::Yellow, &format!("backoff{wait}"))
        }
        UnitState::Quarantined => out.paint(Colour::Red, "quarantined"),
        UnitState::Stopped => out.paint(Colour::Grey, "stopped"),
    }
}
