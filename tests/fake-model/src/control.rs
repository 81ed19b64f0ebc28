//! Pace and faults, set from outside, and the record of what was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;

/// How the server behaves. Also the body of `POST /control`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Pace {
    /// Milliseconds before the first byte of an answer.
    pub delay_ms: u64,
    /// Milliseconds between two pieces.
    pub gap_ms: u64,
}

/// A failure of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// 429 with `Retry-After` in seconds.
    TooMany(u32),
    /// 529, Anthropic's "overloaded".
    Overloaded,
    /// 500.
    Broken,
    /// The connection ends after so many pieces.
    CutAfter(u32),
    /// Headers, then silence for good.
    Silent,
}

/// One request, as it came in.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// The body.
    pub body: Value,
    /// The text of the last message.
    pub last: String,
    /// When its last byte had been read.
    pub at: Instant,
    /// The same in nanoseconds since the epoch.
    pub at_unix_ns: u128,
    /// The fault that it met.
    pub fault: Option<Fault>,
}

/// Counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Requests that came in.
    pub requests: u64,
    /// Answers that were written to their end.
    pub finished: u64,
    /// Pieces of text that were written.
    pub pieces: u64,
    /// Faults that were met.
    pub faults: u64,
}

#[derive(Debug, Default)]
struct State {
    pace: Pace,
    faults: VecDeque<Fault>,
    asked: Vec<Asked>,
    stats: Stats,
    open_ended: bool,
}

/// The handle on a running server. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Control {
    state: Arc<Mutex<State>>,
    news: Arc<Notify>,
}

impl Control {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the pace of every answer from now on.
    pub fn pace(&self, pace: Pace) {
        self.state().pace = pace;
    }

    /// Whether answers are kept from ending: all but the last piece is said at the usual pace, and that one when this is
    /// taken back.
    pub fn keep_open(&self, open: bool) {
        self.state().open_ended = open;
        self.news.notify_waiters();
    }

    /// Waits until an answer may end.
    pub(crate) async fn may_end(&self) {
        loop {
            let news = self.news.notified();
            if !self.state().open_ended {
                return;
            }
            news.await;
        }
    }

    /// The next requests fail like this, one fault each.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.extend(faults);
    }

    /// Every request so far, oldest first.
    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// Forgets the requests so far; for long runs that do not look at them.
    pub fn forget(&self) {
        self.state().asked.clear();
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.state().stats
    }

    /// Waits for a request that fits, also an earlier one. Ends never if none comes: give it a deadline.
    pub async fn wait_asked(&self, fits: impl Fn(&Asked) -> bool) -> Asked {
        loop {
            let news = self.news.notified();
            if let Some(asked) = self.state().asked.iter().find(|asked| fits(asked)) {
                return asked.clone();
            }
            news.await;
        }
    }

    pub(crate) fn begin(&self, path: &str, body: &Value, last: &str) -> (Pace, Option<Fault>) {
        let at = Instant::now();
        let at_unix_ns = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let mut state = self.state();
        let fault = state.faults.pop_front();
        state.stats.requests += 1;
        state.stats.faults += u64::from(fault.is_some());
        state.asked.push(Asked {
            path: path.to_owned(),
            body: body.clone(),
            last: last.to_owned(),
            at,
            at_unix_ns,
            fault,
        });
        let pace = state.pace.clone();
        drop(state);
        self.news.notify_waiters();
        (pace, fault)
    }

    pub(crate) fn piece(&self) {
        self.state().stats.pieces += 1;
    }

    pub(crate) fn finished(&self) {
        self.state().stats.finished += 1;
    }
}
