//! `/metrics`: how units and gateway are doing, in Prometheus' text format 0.0.4.
//!
//! Tool runs are counted, not named: each has a name of its own, and names of a day would stay for ever in whatever
//! collects them.

use std::fmt::{self, Write};

use creel_ipc::hello::Role;
use creel_ipc::msg::supervisor::Units;
use creel_ipc::msg::unit::{UnitState, UnitStatus};
use serde::Serialize;

use crate::hub::Health;

/// The content type of the answer.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const STATES: [UnitState; 6] = [
    UnitState::Stopped,
    UnitState::Starting,
    UnitState::Running,
    UnitState::Stopping,
    UnitState::Backoff,
    UnitState::Quarantined,
];

/// What is told.
#[derive(Debug)]
pub(crate) struct Facts {
    /// All units; absent when the supervisor does not answer.
    pub(crate) units: Option<Units>,
    /// The gateway's own parts.
    pub(crate) health: Health,
    /// Clients of the WebSocket.
    pub(crate) clients: usize,
}

/// The text.
pub(crate) fn text(facts: &Facts) -> String {
    let mut page = Page::default();
    gateway(&mut page, facts);
    if let Some(units) = &facts.units {
        supervisor(&mut page, units);
        all_units(&mut page, units);
    }
    page.0
}

fn gateway(page: &mut Page, facts: &Facts) {
    let Facts { units, health, clients } = facts;
    page.family("creel_gateway_info", "gauge", "Always 1; the gateway's version is a label.");
    page.sample("creel_gateway_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    page.one(
        "creel_gateway_uptime_seconds",
        "gauge",
        "Time since the gateway started.",
        seconds(health.uptime_ms),
    );
    page.one("creel_gateway_ready", "gauge", "1 when messages are taken and answered.", flag(health.ready));
    page.one("creel_gateway_store_ok", "gauge", "1 when the store can be written.", flag(health.store_ok));
    page.one("creel_gateway_clients", "gauge", "Clients of the WebSocket.", *clients as f64);
    page.one("creel_supervisor_up", "gauge", "1 when the supervisor answers.", flag(units.is_some()));
}

fn supervisor(page: &mut Page, units: &Units) {
    page.family("creel_supervisor_info", "gauge", "Always 1; version and isolation level are labels.");
    let labels = [("version", units.version.as_str()), ("level", units.level.as_str())];
    page.sample("creel_supervisor_info", &labels, 1.0);
    page.one(
        "creel_supervisor_uptime_seconds",
        "gauge",
        "Time since the supervisor started.",
        seconds(units.uptime_ms),
    );
    if let Some(bytes) = units.supervisor_rss_bytes {
        let help = "Resident memory of the supervisor.";
        page.one("creel_supervisor_resident_memory_bytes", "gauge", help, bytes as f64);
    }
    if let Some(cpu) = units.supervisor_cpu_ms {
        page.one(
            "creel_supervisor_cpu_seconds_total",
            "counter",
            "Processor time of the supervisor.",
            seconds(cpu),
        );
    }
    let help = "1 when the last reload failed and an older configuration is in force.";
    page.one("creel_config_error", "gauge", help, flag(units.config_error.is_some()));
    let runs = units.units.iter().filter(|unit| unit.kind == Role::Tool).count();
    page.one("creel_tool_runs", "gauge", "Commands of agents that run now.", runs as f64);
}

fn all_units(page: &mut Page, units: &Units) {
    let all = || units.units.iter().filter(|unit| unit.kind != Role::Tool);
    page.family("creel_unit_state", "gauge", "1 for the state that the unit is in.");
    for unit in all() {
        for state in STATES {
            page.of(unit, "creel_unit_state", &[("state", &word(&state))], flag(unit.state == state));
        }
    }
    page.family(
        "creel_unit_falls_total",
        "counter",
        "Ends that nobody asked for since the supervisor started.",
    );
    for unit in all() {
        for (cause, count) in &unit.falls {
            page.of(unit, "creel_unit_falls_total", &[("cause", &word(cause))], *count as f64);
        }
    }
    type Value = fn(&UnitStatus) -> Option<f64>;
    let families: [(&str, &str, &str, Value); 11] = [
        (
            "creel_unit_restarts_total",
            "counter",
            "Restarts that nobody asked for since the supervisor started.",
            |unit| Some(unit.restarts as f64),
        ),
        (
            "creel_unit_incarnation",
            "gauge",
            "Number of the unit's process since the supervisor started.",
            |unit| Some(unit.incarnation as f64),
        ),
        ("creel_unit_uptime_seconds", "gauge", "Time since the unit was launched.", |unit| {
            unit.uptime_ms.map(seconds)
        }),
        ("creel_unit_memory_bytes", "gauge", "Proportional memory of the unit.", |unit| {
            unit.pss_bytes.map(|bytes| bytes as f64)
        }),
        ("creel_unit_cpu_seconds_total", "counter", "Processor time of the unit's process.", |unit| {
            unit.cpu_ms.map(seconds)
        }),
        ("creel_unit_threads", "gauge", "Threads of the unit's process.", |unit| {
            unit.tasks.map(|tasks| tasks as f64)
        }),
        ("creel_unit_log_lines_total", "counter", "Lines that the unit wrote.", |unit| {
            unit.log.map(|log| log.lines as f64)
        }),
        ("creel_unit_log_dropped_lines_total", "counter", "Lines over the unit's log budget.", |unit| {
            unit.log.map(|log| log.dropped as f64)
        }),
        ("creel_unit_log_lost_lines_total", "counter", "Lines that the disk did not take.", |unit| {
            unit.log.map(|log| log.lost as f64)
        }),
        ("creel_unit_isolation_level", "gauge", "Measured isolation, 0 (none) to 3 (all).", |unit| {
            unit.isolation.as_ref().and_then(|isolation| isolation.level.strip_prefix('L')?.parse().ok())
        }),
        (
            "creel_unit_next_attempt_seconds",
            "gauge",
            "Time until the next attempt of a unit that fell.",
            |unit| unit.next_attempt_ms.map(seconds),
        ),
    ];
    for (name, kind, help, value) in families {
        page.family(name, kind, help);
        for unit in all() {
            if let Some(value) = value(unit) {
                page.of(unit, name, &[], value);
            }
        }
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

fn flag(flag: bool) -> f64 {
    f64::from(u8::from(flag))
}

/// The word of the wire.
fn word(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or("unknown").to_owned()
}

/// The text while it grows. Writing to a string cannot fail.
#[derive(Debug, Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _infallible = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn of(&mut self, unit: &UnitStatus, name: &str, more: &[(&str, &str)], value: f64) {
        let kind = word(&unit.kind);
        let labels: Vec<_> = [("unit", unit.name.as_str()), ("kind", kind.as_str())]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        self.sample(name, &labels, value);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        for (number, (label, text)) in labels.iter().enumerate() {
            let before = if number == 0 { '{' } else { ',' };
            let _infallible = write!(self.0, "{before}{label}=\"{}\"", Escaped(text));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _infallible = writeln!(self.0, " {value}");
    }
}

/// A label's value: backslash, quote and newline are the three that the format escapes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "metrics/tests.rs"]
mod tests;
