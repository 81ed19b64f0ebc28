//! How often each unit was restarted within the last day, hour by hour.

use std::collections::BTreeMap;
use std::path::Path;

use creel_ipc::msg::event::Event;

use crate::clock;
use crate::logs::backward::Backward;

const HOUR_MS: i64 = 3_600_000;
const HOURS: usize = 24;
/// Lines of an old journal that are looked at, so that a long one does not hold up the start.
const MOST_LINES: usize = 50_000;

/// Restarts by unit.
#[derive(Debug, Default)]
pub(super) struct History(BTreeMap<String, Day>);

/// The last 24 hours of one unit.
#[derive(Debug, Default)]
struct Day {
    /// The latest hour that something was counted in, since the epoch.
    hour: i64,
    /// Counts by hour of the day.
    counts: [u16; HOURS],
}

impl History {
    /// What the journal on disk tells, and its newest event.
    pub(super) fn of(path: &Path, now_ms: i64) -> (Self, Option<Event>) {
        let (mut history, mut newest) = (Self::default(), None);
        let mut falls = Vec::new();
        for line in Backward::of(path).take(MOST_LINES) {
            if newest.is_some() && !line.contains("\"kind\":\"ended\"") {
                continue;
            }
            let Ok(event) = serde_json::from_str::<Event>(&line) else { continue };
            let Some(at) = clock::from_rfc3339(&event.at) else { continue };
            if at <= now_ms - HOUR_MS * HOURS as i64 && newest.is_some() {
                break;
            }
            if newest.is_none() {
                newest = Some(event.clone());
            }
            falls.push((at, event));
        }
        for (at, event) in falls.iter().rev() {
            history.count(event, *at);
        }
        (history, newest)
    }

    /// Counts an event, if it is a restart.
    pub(super) fn count(&mut self, event: &Event, at_ms: i64) {
        let Some(unit) = event.unit.as_ref().filter(|_| event.is_restart()) else { return };
        let day = match self.0.get_mut(unit) {
            Some(day) => day,
            None => self.0.entry(unit.clone()).or_default(),
        };
        day.go_to(at_ms / HOUR_MS);
        if let Some(count) = day.counts.get_mut(slot(day.hour)) {
            *count = count.saturating_add(1);
        }
    }

    /// Restarts of a unit within the 24 hours before `now_ms`.
    pub(super) fn day(&self, unit: &str, now_ms: i64) -> u64 {
        let Some(day) = self.0.get(unit) else { return 0 };
        let hour = now_ms / HOUR_MS;
        // A clock that was put back makes "now" lie before what was counted; that still counts as of today.
        let old = usize::try_from(hour - day.hour).unwrap_or(0);
        (old..HOURS).map(|ago| day.counts.get(slot(hour - ago as i64)).copied().map_or(0, u64::from)).sum()
    }
}

impl Day {
    /// Empties the hours that passed since the last count.
    fn go_to(&mut self, hour: i64) {
        let passed = usize::try_from(hour - self.hour).unwrap_or(0).min(HOURS);
        for ago in 0..passed {
            if let Some(count) = self.counts.get_mut(slot(hour - ago as i64)) {
                *count = 0;
            }
        }
        self.hour = self.hour.max(hour);
    }
}

fn slot(hour: i64) -> usize {
    usize::try_from(hour.rem_euclid(HOURS as i64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use creel_ipc::msg::event::EventKind;
    use creel_ipc::msg::unit::{ExitCause, UnitState};

    use super::*;

    #[test]
    fn a_day_has_its_last_24_hours() {
        let fall = Event {
            cause: Some(ExitCause::Failed),
            next: Some(UnitState::Starting),
            ..Event::of_unit(EventKind::Ended, "a", 1)
        };
        let mut history = History::default();
        let hour = |n: i64| 1_700_000_000_000 / HOUR_MS * HOUR_MS + n * HOUR_MS;
        for n in [0, 0, 1, 20, 23] {
            history.count(&fall, hour(n) + 5);
        }
        assert_eq!([23, 24, 25, 46, 47].map(|n| history.day("a", hour(n))), [5, 3, 2, 1, 0]);
        history.count(&fall, hour(100));
        assert_eq!((history.day("a", hour(100)), history.day("b", hour(100))), (1, 0));
        history.count(&fall, hour(99));
        assert_eq!(history.day("a", hour(100)), 2);
    }
}
