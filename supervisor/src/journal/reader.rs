//! Reads the journal from its end.

use std::path::Path;

use creel_ipc::msg::event::{Event, EventPage, EventsParams};

use crate::clock;
use crate::logs::backward::Backward;

/// Events when nobody names a number, and the most of one answer.
const LIMIT: (u32, u32) = (100, 1000);
/// Bytes of one answer, which must stay below a frame.
const ANSWER_BYTES: usize = 512 * 1024;
/// Lines that are looked at for one answer: the supervisor reads them between two other things.
const MOST_LINES: usize = 20_000;
/// A clock that was put back may leave this many events too old among younger ones.
const TOO_OLD: usize = 100;

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Only of this unit.
    pub unit: Option<String>,
    /// Only from this moment on, in milliseconds since the epoch.
    pub since_ms: Option<i64>,
    /// How many of the newest.
    pub limit: usize,
}

impl From<&EventsParams> for Query {
    fn from(asked: &EventsParams) -> Self {
        let limit = asked.limit.unwrap_or(LIMIT.0).min(LIMIT.1);
        Self {
            unit: asked.unit.clone(),
            since_ms: asked.since_ms,
            limit: usize::try_from(limit).unwrap_or(0),
        }
    }
}

/// The newest events that fit, oldest first. Lines that are no events are passed over.
pub fn read(path: &Path, query: &Query) -> EventPage {
    let mut page = EventPage::default();
    let (mut bytes, mut too_old) = (0, 0);
    for (number, line) in Backward::of(path).enumerate() {
        if number >= MOST_LINES {
            page.more = true;
            break;
        }
        if query.unit.as_ref().is_some_and(|unit| !line.contains(unit.as_str())) {
            continue;
        }
        let Ok(event) = serde_json::from_str::<Event>(&line) else { continue };
        if query.unit.is_some() && query.unit != event.unit {
            continue;
        }
        if query.since_ms.is_some_and(|since| clock::from_rfc3339(&event.at).is_none_or(|at| at < since)) {
            too_old += 1;
            if too_old > TOO_OLD {
                break;
            }
            continue;
        }
        bytes += line.len();
        if page.events.len() >= query.limit || bytes > ANSWER_BYTES {
            page.more = true;
            break;
        }
        page.events.push(event);
    }
    page.events.reverse();
    page
}

#[cfg(test)]
mod tests {
    use creel_ipc::msg::event::EventKind;

    use super::*;

    #[test]
    fn questions_are_answered_from_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.ndjson");
        let line = |seq: u64, unit: &str| {
            let event = Event {
                seq,
                at: clock::rfc3339(i64::try_from(seq).unwrap() * 1000),
                ..Event::of_unit(EventKind::Ready, unit, 1)
            };
            serde_json::to_string(&event).unwrap() + "\n"
        };
        let text: String = (1..=9).map(|seq| line(seq, if seq % 2 == 0 { "even" } else { "odd" })).collect();
        std::fs::write(&path, text).unwrap();
        let seqs = |unit: Option<&str>, since_ms, limit| {
            let page = read(&path, &Query { unit: unit.map(str::to_owned), since_ms, limit });
            (page.events.iter().map(|event| event.seq).collect::<Vec<_>>(), page.more)
        };
        assert_eq!(seqs(None, None, 3), (vec![7, 8, 9], true));
        assert_eq!(seqs(Some("even"), None, 9), (vec![2, 4, 6, 8], false));
        assert_eq!(seqs(Some("odd"), Some(6000), 9), (vec![7, 9], false));
        assert_eq!(seqs(None, None, 0), (vec![], true));
    }
}
