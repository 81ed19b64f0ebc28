//! The ordered end: channels, then the gateway, then agents, then egress.

use std::time::Duration;

use creel_ipc::hello::Role;
use creel_ipc::msg::event::{Event as Told, EventKind};
use creel_ipc::msg::unit::UnitState;

use super::Tree;
use crate::unit::At;
use crate::unit::machine::Event;

/// What the whole end may take.
const DEADLINE: Duration = Duration::from_secs(25);

/// Who ends when: no new messages, then no new turns, then nobody to reach.
const ORDER: [Role; 4] = [Role::Channel, Role::Gateway, Role::Agent, Role::Egress];

/// An end under way.
#[derive(Debug)]
pub(super) struct Stopping {
    /// The index in [`ORDER`] of those who are ending now.
    phase: usize,
    /// When SIGKILL is for all.
    pub(super) deadline: At,
}

impl Tree {
    /// Begins the end; asked for again, ends at once.
    pub(super) fn stop(&mut self, who: &str, uid: Option<u32>) {
        let now = self.now();
        if let Some(stopping) = &mut self.stopping {
            tracing::warn!("Asked to stop again by {who}: everything is killed.");
            stopping.deadline = now;
            return self.hurry_if_late();
        }
        tracing::info!("Asked to stop by {who}.");
        let detail = format!("Asked to stop by {who}.");
        self.journal.record(Told { uid, ..Told::told(EventKind::SupervisorStopping, detail) });
        crate::notify::stopping();
        self.give_upgrade_up("Creel was asked to stop.");
        self.stopping = Some(Stopping { phase: 0, deadline: now + DEADLINE });
        self.kill_tools();
        self.stop_phase();
    }

    fn stop_phase(&mut self) {
        let Some(role) = self.stopping.as_ref().and_then(|stopping| ORDER.get(stopping.phase)) else {
            return;
        };
        for name in self.names_of(*role) {
            self.apply(&name, Event::Stop);
        }
        self.stop_next();
    }

    /// Goes on when everybody of this phase has ended.
    pub(super) fn stop_next(&mut self) {
        let Some(stopping) = &self.stopping else { return };
        let Some(role) = ORDER.get(stopping.phase) else { return };
        let down = |name: &String| {
            self.members.get(name).is_none_or(|member| {
                matches!(member.machine.state(), UnitState::Stopped | UnitState::Quarantined)
            })
        };
        if self.names_of(*role).iter().all(down) {
            if let Some(stopping) = &mut self.stopping {
                stopping.phase += 1;
            }
            self.stop_phase();
        }
    }

    /// SIGKILL for all who are left when the time is up.
    pub(super) fn hurry_if_late(&mut self) {
        let now = self.now();
        let Some(stopping) = &mut self.stopping else { return };
        if now < stopping.deadline {
            return;
        }
        // Once more a second later: somebody may have been in the middle of a launch.
        stopping.deadline = now + Duration::from_secs(1);
        for role in ORDER {
            for name in self.names_of(role) {
                self.apply(&name, Event::Stop);
                if let Some(member) = self.members.get_mut(&name) {
                    member.machine.hurry(now);
                }
                self.apply(&name, Event::Tick);
            }
        }
    }

    /// Whether nothing is left to wait for.
    pub(super) fn is_over(&self) -> bool {
        // Logs are read for two seconds at most once their process has ended.
        let busy = self.runs.going().next().is_some() || !self.taps.is_empty();
        self.stopping.as_ref().is_some_and(|stopping| stopping.phase >= ORDER.len()) && !busy
    }
}
