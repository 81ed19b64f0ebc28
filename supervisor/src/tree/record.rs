//! What the journal of events is told about units.

use creel_ipc::msg::event::{Event, EventKind};
use creel_ipc::msg::unit::{ExitCause, UnitState};

use super::Tree;
use crate::logs::Gap;

impl Tree {
    /// A unit went from one state to another. Launches and ends are recorded where more is known of them.
    pub(super) fn record_state(&self, name: &str, before: UnitState, after: UnitState) {
        let Some(member) = self.members.get(name) else { return };
        let kind = match after {
            UnitState::Running if before != after => EventKind::Ready,
            UnitState::Backoff => EventKind::Backoff,
            UnitState::Quarantined => EventKind::Quarantined,
            UnitState::Stopped => EventKind::Stopped,
            UnitState::Running | UnitState::Starting | UnitState::Stopping => return,
        };
        let waits = member.machine.deadline().filter(|_| after == UnitState::Backoff);
        let next_attempt_ms = waits.map(|at| super::status::millis(at.saturating_sub(self.now())));
        let last = member.last_exit.as_ref().filter(|_| after == UnitState::Quarantined);
        self.journal.record(Event {
            next_attempt_ms,
            cause: last.map(|last| last.cause),
            detail: last.and_then(|last| last.detail.clone()),
            ..Event::of_unit(kind, name, member.machine.incarnation())
        });
    }

    /// A unit is to be replaced.
    pub(super) fn record_fault(&self, name: &str, cause: ExitCause, detail: &str) {
        self.journal.record(Event {
            cause: Some(cause),
            detail: Some(detail.to_owned()),
            ..Event::of_unit(EventKind::Fault, name, self.incarnation_of(name))
        });
    }

    /// Somebody wants something of a unit: an operator, or the gateway for one.
    pub(super) fn record_order(&self, kind: EventKind, name: &str, uid: Option<u32>) {
        let detail = uid.is_none().then(|| "Asked for through the gateway.".to_owned());
        self.journal.record(Event { uid, detail, ..Event::of_unit(kind, name, self.incarnation_of(name)) });
    }

    /// Lines are missing in a unit's log.
    pub(super) fn log_gap(&self, name: &str, incarnation: u64, gap: Gap) {
        for (kind, count) in [(EventKind::LogDropped, gap.dropped), (EventKind::DiskLost, gap.lost)] {
            if count > 0 {
                self.journal.record(Event { count: Some(count), ..Event::of_unit(kind, name, incarnation) });
            }
        }
    }

    fn incarnation_of(&self, name: &str) -> u64 {
        self.members.get(name).map_or(0, |member| member.machine.incarnation())
    }
}
