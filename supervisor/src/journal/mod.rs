//! The event journal: one line of JSON for every change, appended to `events.ndjson` in the state folder.
//!
//! It never waits for the disk longer than one `write`, and never fails: what the disk does not take is counted and told
//! by the next event that it takes. It is not synced: power loss may cost the last events, and a torn last line is left
//! where it is.

mod history;
mod reader;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use creel_ipc::msg::event::{Event, EventKind};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::clock;
use crate::logs::file::LogFile;
use history::History;
pub use reader::{Query, read};

/// Bytes of one file: some ten thousand events.
const MAX_BYTES: u64 = 4 << 20;
/// Older files that stay.
const KEEP: u32 = 4;
/// Events that a follower may lag behind.
const FOLLOW: usize = 256;
/// Bytes of a sentence that are kept.
const DETAIL: usize = 1024;

/// The journal of one home. Cheap to clone; only for the supervisor's own thread.
#[derive(Debug, Clone)]
pub struct Journal(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    started: Instant,
    boot_id: String,
    run: String,
    inner: RefCell<Inner>,
    follow: broadcast::Sender<Rc<Event>>,
}

#[derive(Debug)]
struct Inner {
    file: LogFile,
    seq: u64,
    history: History,
}

/// Where a journal stands, for the program that comes after an upgrade.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct JournalState {
    /// Names the supervisor's run.
    run: String,
    /// The number of the newest event.
    seq: u64,
    /// The restarts of the last day.
    history: History,
}

/// Where the journal of a state folder lies.
pub fn path(state: &Path) -> PathBuf {
    state.join("events.ndjson")
}

impl Journal {
    /// Opens the journal of a state folder and goes on where the run before ended. `run` names the supervisor's run; it
    /// stays the same when the supervisor becomes another version of itself.
    pub fn open(state: &Path, run: String) -> Self {
        let (history, seq) = History::of(&path(state), clock::now_ms());
        Self::resume(state, JournalState { run, seq, history })
    }

    /// Goes on where the program before this one stopped, without a look at the file.
    pub fn resume(state: &Path, carried: JournalState) -> Self {
        let path = path(state);
        let JournalState { run, seq, history } = carried;
        let file = LogFile::without_words(path.clone(), MAX_BYTES, KEEP);
        let inner = RefCell::new(Inner { file, seq, history });
        let (follow, _) = broadcast::channel(FOLLOW);
        let started = Instant::now();
        Self(Rc::new(Shared { path, started, boot_id: clock::boot_id(), run, inner, follow }))
    }

    /// What the program after this one needs to go on.
    pub fn state(&self) -> JournalState {
        let inner = self.0.inner.borrow();
        JournalState { run: self.0.run.clone(), seq: inner.seq, history: inner.history.clone() }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Writes that the supervisor started, and what became of the run before.
    pub fn begin(&self) {
        let before = read(&self.0.path, &Query { limit: 1, ..Query::default() }).events.pop();
        let mut detail =
            format!("Creel {} starts as process {}.", env!("CARGO_PKG_VERSION"), std::process::id());
        if let Some(before) = before
            && before.kind != EventKind::SupervisorStopped
        {
            detail.push_str(if before.boot_id == self.0.boot_id {
                " The run before it did not end in order."
            } else {
                " The machine went down under the run before it."
            });
        }
        self.record(Event {
            pid: Some(std::process::id()),
            ..Event::told(EventKind::SupervisorStarted, detail)
        });
    }

    /// Writes one event and tells the followers.
    pub fn record(&self, mut event: Event) {
        if let Some(detail) = &mut event.detail
            && detail.len() > DETAIL
        {
            detail.truncate(detail.floor_char_boundary(DETAIL));
            detail.push('…');
        }
        let mut inner = self.0.inner.borrow_mut();
        let untold = inner.file.untold();
        let lost = (untold > 0).then(|| Event {
            count: Some(untold),
            ..Event::told(EventKind::DiskLost, "Events could not be written to the journal.")
        });
        let (mut text, mut lines) = (Vec::new(), 0);
        for mut event in lost.into_iter().chain([event]) {
            self.stamp(&mut event, &mut inner);
            if serde_json::to_writer(&mut text, &event).is_ok() {
                text.push(b'\n');
                lines += 1;
            }
            if self.0.follow.receiver_count() > 0 {
                let _nobody = self.0.follow.send(Rc::new(event));
            }
        }
        inner.file.append(&text, lines, self.0.started.elapsed());
    }

    fn stamp(&self, event: &mut Event, inner: &mut Inner) {
        let now = clock::now_ms();
        inner.seq += 1;
        event.seq = inner.seq;
        event.at = clock::rfc3339(now);
        event.monotonic_ms = clock::monotonic_ms();
        event.boot_id.clone_from(&self.0.boot_id);
        event.run.clone_from(&self.0.run);
        inner.history.count(event, now);
    }

    /// Every event from now on.
    pub fn follow(&self) -> broadcast::Receiver<Rc<Event>> {
        self.0.follow.subscribe()
    }

    /// Restarts of a unit within the last day, over all runs, to the hour.
    pub fn restarts_of_the_day(&self, unit: &str) -> u64 {
        self.0.inner.borrow().history.day(unit, clock::now_ms())
    }

    /// Events that the disk did not take.
    pub fn lost(&self) -> u64 {
        self.0.inner.borrow().file.lost()
    }
}

#[cfg(test)]
mod tests {
    use creel_ipc::msg::unit::{ExitCause, UnitState};

    use super::*;

    fn fall(unit: &str) -> Event {
        Event {
            cause: Some(ExitCause::Signal),
            signal: Some(9),
            next: Some(UnitState::Backoff),
            ..Event::of_unit(EventKind::Ended, unit, 1)
        }
    }

    fn all(journal: &Journal) -> Vec<Event> {
        read(journal.path(), &Query { limit: 1000, ..Query::default() }).events
    }

    #[test]
    fn what_happened_outlives_the_supervisor() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), "one".into());
        journal.begin();
        journal.record(fall("agent:main"));
        journal.record(fall("agent:main"));
        drop(journal);
        let journal = Journal::open(dir.path(), "two".into());
        journal.begin();
        journal.record(fall("agent:main"));
        assert_eq!(journal.restarts_of_the_day("agent:main"), 3);
        let events = all(&journal);
        assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert_eq!(events[3].run, "two");
        assert!(events[3].detail.as_ref().unwrap().contains("did not end in order"), "{:?}", events[3]);
        assert!(events.iter().all(|event| event.at.len() == 24 && event.monotonic_ms > 0));
    }

    #[test]
    fn another_program_goes_on_counting() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), "one".into());
        journal.record(fall("agent:main"));
        let state = serde_json::to_string(&journal.state()).unwrap();
        let journal = Journal::resume(dir.path(), serde_json::from_str(&state).unwrap());
        journal.record(fall("agent:main"));
        assert_eq!(journal.restarts_of_the_day("agent:main"), 2);
        let events = all(&journal);
        assert_eq!(
            events.iter().map(|event| (event.seq, event.run.as_str())).collect::<Vec<_>>(),
            [(1, "one"), (2, "one")]
        );
    }

    #[test]
    fn an_order_from_an_operator_is_no_restart() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), "one".into());
        journal.record(Event { cause: Some(ExitCause::Stopped), ..fall("agent:main") });
        journal.record(Event { next: Some(UnitState::Quarantined), ..fall("agent:main") });
        assert_eq!(journal.restarts_of_the_day("agent:main"), 0);
    }

    #[test]
    fn a_torn_last_line_and_foreign_lines_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), "one".into());
        journal.record(fall("agent:main"));
        drop(journal);
        let text = std::fs::read_to_string(path(dir.path())).unwrap();
        std::fs::write(path(dir.path()), format!("nonsense\n{text}{}", &text[..40])).unwrap();
        let journal = Journal::open(dir.path(), "two".into());
        journal.record(fall("agent:main"));
        assert_eq!(all(&journal).iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn what_the_disk_did_not_take_is_counted_and_told() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        std::fs::write(&state, "in the way").unwrap();
        let journal = Journal::open(&state, "one".into());
        let mut heard = journal.follow();
        journal.record(fall("agent:main"));
        assert_eq!((journal.lost(), heard.try_recv().unwrap().seq), (1, 1));
        std::fs::remove_file(&state).unwrap();
        let deadline = Instant::now() + std::time::Duration::from_secs(60);
        while all(&journal).is_empty() && Instant::now() < deadline {
            journal.record(fall("agent:main"));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let events = all(&journal);
        assert_eq!((events[0].kind, events[0].count), (EventKind::DiskLost, Some(journal.lost())));
        assert_eq!((events[1].kind, events[1].seq), (EventKind::Ended, events[0].seq + 1));
    }

    #[test]
    fn a_long_sentence_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), "one".into());
        journal.record(Event::told(EventKind::ReloadRefused, "ä".repeat(2000)));
        assert!(all(&journal)[0].detail.as_ref().unwrap().len() <= DETAIL + 4);
    }
}
