//! The text of `creel status`: a tree of units, and what a person has to know of those that are not well.

use creel_ipc::hello::Role;
use creel_ipc::msg::supervisor::Units;
use creel_ipc::msg::unit::{UnitState, UnitStatus};

use super::output::{Colour, Output};
use super::screen::cut;
use super::table::{duration, padded, plain, seen, size};
use super::words;

/// How to show it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Also what is only now and then of use.
    pub(crate) verbose: bool,
    /// Columns of the terminal.
    pub(crate) width: usize,
    /// The time of the wall clock in milliseconds since the epoch.
    pub(crate) now_ms: i64,
}

const HEADING: [&str; 8] = ["UNIT", "STATE", "UPTIME", "RESTARTS", "MEMORY", "ISOLATION", "PID", "LAST END"];
/// Which columns give way first on a narrow terminal.
const GIVES_WAY: [usize; 5] = [6, 5, 4, 2, 3];

/// The whole text.
pub(crate) fn render(units: &Units, out: &Output, look: &Look) -> String {
    let mut text = String::new();
    let mut line = |line: &str| {
        text.push_str(&cut(line, look.width));
        text.push('\n');
    };
    if let Some(error) = &units.config_error {
        line(&out.paint(Colour::Red, "✗ The last reload failed; the configuration before it is in force:"));
        error.lines().for_each(|error| line(&format!("  {}", plain(error))));
        line("");
    }
    line(&head(units, out));
    let order = sorted(&units.units);
    let mut rows = vec![HEADING.map(|cell| out.paint(Colour::Grey, cell)).to_vec()];
    rows.extend(order.iter().map(|unit| row(unit, out, look)));
    let table = fitting(rows, look.width.saturating_sub(3));
    let last = order.len();
    for (number, row) in table.iter().enumerate() {
        let (branch, below) = match number {
            0 => ("│  ", ""),
            number if number == last => ("└─ ", "      "),
            _ => ("├─ ", "│     "),
        };
        line(&format!("{}{row}", out.paint(Colour::Grey, branch)));
        let Some(unit) = number.checked_sub(1).and_then(|number| order.get(number)) else { continue };
        for note in notes(unit, look.verbose) {
            line(&out.paint(Colour::Grey, &format!("{below}{note}")));
        }
    }
    text
}

fn head(units: &Units, out: &Output) -> String {
    let memory = units.supervisor_rss_bytes.or(units.supervisor_pss_bytes);
    let memory = memory.map(|bytes| format!("  {}", size(bytes))).unwrap_or_default();
    let (symbol, colour) = match units.level.as_str() {
        "L0" => ("!", Colour::Red),
        _ => ("●", Colour::Green),
    };
    format!(
        "{} creel {}  up {}  pid {}{memory}  isolation {}",
        out.paint(colour, symbol),
        units.version,
        duration(units.uptime_ms),
        units.supervisor_pid,
        units.level
    )
}

/// Gateway, egress, agents, channels, tool runs; each kind in the order in which the supervisor names it.
fn sorted(units: &[UnitStatus]) -> Vec<&UnitStatus> {
    let place = |unit: &&UnitStatus| match unit.kind {
        Role::Gateway => 0,
        Role::Egress => 1,
        Role::Agent => 2,
        Role::Channel => 3,
        Role::Tool => 4,
    };
    let mut all: Vec<_> = units.iter().collect();
    all.sort_by_key(place);
    all
}

fn row(unit: &UnitStatus, out: &Output, look: &Look) -> Vec<String> {
    let dash = || "-".to_owned();
    let (symbol, word, colour) = state(unit);
    let restarts = match unit.restarts_day.filter(|day| *day > unit.restarts) {
        Some(day) => format!("{} ({day} in 24 h)", unit.restarts),
        None => unit.restarts.to_string(),
    };
    let ended = unit.last_exit.as_ref().map_or_else(dash, |exit| {
        let ago = u64::try_from(look.now_ms - exit.at_ms).unwrap_or(0);
        format!("{}, {} ago", words::last_exit(exit), duration(ago))
    });
    vec![
        format!("{} {}", out.paint(colour, symbol), plain(&unit.name)),
        out.paint(colour, &word),
        unit.uptime_ms.map_or_else(dash, duration),
        restarts,
        unit.pss_bytes.map_or_else(dash, size),
        unit.isolation.as_ref().map_or_else(dash, |isolation| isolation.level.clone()),
        unit.pid.map_or_else(dash, |pid| pid.to_string()),
        ended,
    ]
}

fn state(unit: &UnitStatus) -> (&'static str, String, Colour) {
    let word = words::state(unit.state).to_owned();
    match unit.state {
        UnitState::Running => ("✓", word, Colour::Green),
        UnitState::Starting | UnitState::Stopping => ("…", word, Colour::Yellow),
        UnitState::Backoff => {
            let next = unit.next_attempt_ms.map(|ms| format!(", next in {}", duration(ms)));
            ("↻", word + &next.unwrap_or_default(), Colour::Yellow)
        }
        UnitState::Quarantined => ("✗", word, Colour::Red),
        UnitState::Stopped if unit.held => ("○", word + " by you", Colour::Grey),
        UnitState::Stopped => ("○", word, Colour::Grey),
    }
}

/// What stands below a unit: why it is not up, and more when more is wanted.
fn notes(unit: &UnitStatus, verbose: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let up = matches!(unit.state, UnitState::Running | UnitState::Starting);
    if !up || verbose {
        let detail = unit.last_exit.as_ref().and_then(|exit| exit.detail.as_deref());
        notes.extend(detail.map(plain));
    }
    match unit.state {
        UnitState::Quarantined => {
            notes.push(format!("set aside until `creel restart {}` or a changed configuration", unit.name));
        }
        UnitState::Stopped if unit.held => notes.push(format!("`creel start {}` brings it back", unit.name)),
        _ => {}
    }
    notes.extend(unit.last_lines.iter().map(|line| format!("│ {}", plain(line))));
    if verbose {
        notes.extend(more(unit));
    }
    notes
}

fn more(unit: &UnitStatus) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(isolation) = &unit.isolation {
        let spaces = match isolation.namespaces.is_empty() {
            true => "no namespaces".to_owned(),
            false => format!("namespaces {}", isolation.namespaces.join(", ")),
        };
        notes.push(format!(
            "isolation: {spaces}; Landlock ABI {}; seccomp programs: {}; uid {}",
            isolation.landlock_abi, isolation.seccomp_filters, isolation.uid
        ));
        notes.push(match &isolation.selftest {
            Some(test) if test.escaped.is_empty() => {
                format!("self-test: {} attempts, all denied", test.denied)
            }
            Some(test) => format!("self-test: GOT PAST the sandbox by: {}", plain(&test.escaped.join(", "))),
            None => "self-test: none of its own".to_owned(),
        });
        notes.extend(isolation.gaps.iter().map(|gap| format!("gap: {gap}")));
    }
    notes.extend(
        unit.workspace_limits.as_ref().map(|by| format!("limits of the workspace: by {}", plain(by))),
    );
    if let Some(log) = &unit.log {
        notes.push(format!(
            "log: {} lines, {} over the budget, {} not written",
            log.lines, log.dropped, log.lost
        ));
    }
    if !unit.falls.is_empty() {
        let fall = |(cause, count): (&_, &u64)| format!("{} {count}", words::cause(*cause));
        let falls: Vec<_> = unit.falls.iter().map(fall).collect();
        notes.push(format!("ends since the start: {}", falls.join(", ")));
    }
    if let (Some(cpu), Some(tasks)) = (unit.cpu_ms, unit.tasks) {
        notes.push(format!(
            "processor time {}, {tasks} threads, incarnation {}",
            duration(cpu),
            unit.incarnation
        ));
    }
    notes
}

/// The rows in columns, without those that a narrow terminal has no room for.
fn fitting(mut rows: Vec<Vec<String>>, width: usize) -> Vec<String> {
    let mut hidden: Vec<usize> = Vec::new();
    loop {
        let table = padded(&rows);
        let widest = table.iter().map(|row| seen(row)).max().unwrap_or(0);
        let next = GIVES_WAY.get(hidden.len());
        let (true, Some(next)) = (widest > width, next) else { return table };
        // Columns that went before it stand further right, or count already.
        let at = next - hidden.iter().filter(|gone| *gone < next).count();
        for row in &mut rows {
            row.remove(at);
        }
        hidden.push(*next);
    }
}
