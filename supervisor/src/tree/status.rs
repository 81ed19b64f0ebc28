//! How everything is doing.

use std::collections::BTreeMap;
use std::time::Duration;

use creel_ipc::hello::Role;
use creel_ipc::msg::supervisor::Units;
use creel_ipc::msg::unit::{ExitCause, UnitState, UnitStatus};

use super::Tree;
use super::launch::isolation;
use super::member::Member;
use super::usage::Usage;

/// Lines of a fallen unit's log that are shown.
const LAST_LINES: usize = 5;
/// Bytes of such a line.
const LAST_LINE: usize = 400;

impl Tree {
    /// All units, with memory; `fresh`: as it is now, for somebody who looks.
    pub(super) fn units(&mut self, fresh: bool) -> Units {
        let mut units: Vec<UnitStatus> = self
            .plan_order()
            .into_iter()
            .chain(self.members.iter().filter(|(_, member)| member.leaving).map(|(name, _)| name.clone()))
            .filter_map(|name| self.members.get(&name).map(|member| self.status_of(&name, member)))
            .collect();
        units.extend(self.tool_units());
        let pid = std::process::id();
        let pids: Vec<_> = units.iter().map(|unit| unit.pid).chain([Some(pid)]).collect();
        let mut weights = self.weights.of(&pids, self.started.elapsed(), fresh);
        let supervisor_pss_bytes = weights.pop().flatten();
        for (unit, weight) in units.iter_mut().zip(weights) {
            unit.pss_bytes = weight;
            self.measure_unit(unit);
        }
        let own = Usage::of(pid);
        Units {
            units,
            level: self.ground.level.to_string(),
            supervisor_pid: pid,
            supervisor_pss_bytes,
            supervisor_rss_bytes: own.as_ref().map(|own| own.rss_bytes),
            supervisor_cpu_ms: own.map(|own| own.cpu_ms),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: millis(self.now()),
            config_error: self.config_error.clone(),
        }
    }

    /// What costs a look at the kernel's files, and the log of a unit that fell.
    fn measure_unit(&self, unit: &mut UnitStatus) {
        if let Some(pid) = unit.pid {
            let usage = Usage::of(pid);
            unit.cpu_ms = usage.as_ref().map(|usage| usage.cpu_ms);
            unit.tasks = usage.map(|usage| usage.tasks);
        }
        if unit.kind == Role::Tool {
            return;
        }
        let log = self.book.log(&unit.name);
        unit.log = Some(log.counts());
        let fell = unit.last_exit.as_ref().is_some_and(|exit| exit.cause != ExitCause::Stopped);
        if fell && !matches!(unit.state, UnitState::Running | UnitState::Starting) {
            unit.last_lines = log.tail(LAST_LINES).iter().map(|line| cut(line)).collect();
        }
    }

    /// One unit, without its memory, which costs a walk through its mappings.
    pub(super) fn status_of(&self, name: &str, member: &Member) -> UnitStatus {
        let machine = &member.machine;
        let state = machine.state();
        let alive = member.process.is_some();
        let since = |at| millis(self.now().saturating_sub(at));
        let until = |at: Duration| millis(at.saturating_sub(self.now()));
        UnitStatus {
            name: name.to_owned(),
            kind: member.role,
            state,
            pid: member.process.as_ref().map(|process| process.0.pid),
            incarnation: machine.incarnation(),
            restarts: machine.restarts(),
            restarts_day: Some(self.journal.restarts_of_the_day(name)),
            falls: machine.falls().clone(),
            held: member.held,
            uptime_ms: machine.launched_at().filter(|_| alive).map(since),
            last_exit: member.last_exit.clone(),
            next_attempt_ms: machine.deadline().filter(|_| state == UnitState::Backoff).map(until),
            pss_bytes: None,
            cpu_ms: None,
            tasks: None,
            log: None,
            last_lines: Vec::new(),
            isolation: member.isolation.clone(),
            workspace_limits: self.ground.quotas.keeper(&member.unit).map(str::to_owned),
        }
    }

    fn tool_units(&self) -> Vec<UnitStatus> {
        let row = |(run, process, at): (&String, &crate::unit::process::Process, Duration)| UnitStatus {
            name: format!("tool:{run}"),
            kind: Role::Tool,
            state: UnitState::Running,
            pid: Some(process.0.pid),
            incarnation: 1,
            restarts: 0,
            restarts_day: None,
            falls: BTreeMap::new(),
            held: false,
            uptime_ms: Some(millis(self.now().saturating_sub(at))),
            last_exit: None,
            next_attempt_ms: None,
            pss_bytes: None,
            cpu_ms: None,
            tasks: None,
            log: None,
            last_lines: Vec::new(),
            isolation: Some(isolation(&process.0.isolation)),
            workspace_limits: None,
        };
        let launched = |(run, going): (&'_ String, &'_ crate::tool::runs::Going)| {
            going.run.as_ref().map(|(going, at)| row((run, &going.process, *at)))
        };
        self.runs.going().filter_map(launched).collect()
    }
}

fn cut(line: &str) -> String {
    let (kept, rest) = line.split_at(line.floor_char_boundary(LAST_LINE));
    if rest.is_empty() { kept.to_owned() } else { format!("{kept}…") }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
