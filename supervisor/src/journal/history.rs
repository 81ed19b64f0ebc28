//! How often each unit was restarted within the last day, hour by hour.

use std::collections::BTreeMap;
use std::path::Path;

use creel_ipc::msg::event::Event;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::logs::backward::Backward;

const HOUR_MS: i64 = 3_600_000;
const HOURS: usize = 24;
/// Lines of an old journal that are looked at, so that a long one does not hold up the start.
const MOST_LINES: usize = 50_000;

/// Restarts by unit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct History(BTreeMap<String, Day>);

/// The last 24 hours of one unit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Day {
    /// The latest hour that something was counted in, since the epoch.
    hour: i64,
    /// Counts by hour of the day.
    counts: [u16; HOURS],
}

impl History {
    /// What the journal on disk tells, and the number of its newest event.
    pub(super) fn of(path: &Path, now_ms: i64) -> (Self, u64) {
        let (mut history, mut newest) = (Self::default(), None);
        for line in Backward::of(path).take(MOST_LINES) {
            if newest.is_some() && !line.contains("\"kind\":\"ended\"") {
                continue;
            }
            let Ok(event) = serde_json::from_str::<Event>(&line) else { continue };
            let Some(at) = clock::from_rfc3339(&event.at) else { continue };
            if at <= now_ms - HOUR_MS * HOURS as i64 && newest.is_some() {
                break;
            }
            newest.get_or_insert(event.seq);
            history.count_past(&event, at);
        }
        (history, newest.unwrap_or(0))
    }

    /// Counts an event that happens now, if it is a restart. A clock that was put back does not take it into the past.
    pub(super) fn count(&mut self, event: &Event, at_ms: i64) {
        if let Some(day) = self.restarted(event) {
            day.go_to(at_ms / HOUR_MS);
            day.add(day.hour);
        }
    }

    /// Counts an event of the journal, in any order.
    fn count_past(&mut self, event: &Event, at_ms: i64) {
        if let Some(day) = self.restarted(event) {
            let hour = at_ms / HOUR_MS;
            day.go_to(hour);
            if hour > day.hour - HOURS as i64 {
                day.add(hour);
            }
        }
    }

    fn restarted(&mut self, event: &Event) -> Option<&mut Day> {
        let unit = event.unit.as_ref().filter(|_| event.is_restart())?;
        Some(self.0.entry(unit.clone()).or_default())
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

    fn add(&mut self, hour: i64) {
        if let Some(count) = self.counts.get_mut(slot(hour)) {
            *count = count.saturating_add(1);
        }
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

    fn fall() -> Event {
        Event {
            cause: Some(ExitCause::Failed),
            next: Some(UnitState::Starting),
            ..Event::of_unit(EventKind::Ended, "a", 1)
        }
    }

    /// The beginning of some hour, and of those after it.
    fn hour(n: i64) -> i64 {
        1_700_000_000_000 / HOUR_MS * HOUR_MS + n * HOUR_MS
    }

    #[test]
    fn a_day_has_its_last_24_hours() {
        let fall = fall();
        let mut history = History::default();
        for n in [0, 0, 1, 20, 23] {
            history.count(&fall, hour(n) + 5);
        }
        assert_eq!([23, 24, 25, 46, 47].map(|n| history.day("a", hour(n))), [5, 3, 2, 1, 0]);
        history.count(&fall, hour(100));
        assert_eq!((history.day("a", hour(100)), history.day("b", hour(100))), (1, 0));
        history.count(&fall, hour(99));
        assert_eq!(history.day("a", hour(100)), 2);
    }

    #[test]
    fn the_past_counts_in_any_order() {
        let fall = fall();
        let mut history = History::default();
        for n in [30, 29, 7, 31, 6] {
            history.count_past(&fall, hour(n) + 5);
        }
        assert_eq!([31, 32, 53, 54, 55].map(|n| history.day("a", hour(n))), [3, 3, 2, 1, 0]);
    }
}
