//! What waits to be written to one client. Bounded in bytes: memory of the gateway is not the client's buffer.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Bytes that may wait before news that can be missed is left out.
const CROWDED: usize = 1024 * 1024;

/// What became of something that was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// It will be written.
    Waits,
    /// It was left out: the client is slow, or gone.
    LeftOut,
}

/// What is to be written next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A text frame.
    Text(String),
    /// A close frame; nothing comes after it.
    Close(u16, String),
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<String>,
    bytes: usize,
    seq: u64,
    left_out: u64,
    close: Option<(u16, String)>,
}

/// The queue of one connection.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    limit: usize,
    filled: Notify,
    drained: Notify,
}

impl Queue {
    /// An empty queue that holds `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), limit, filled: Notify::new(), drained: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts in a response. Responses are asked for, so they are never left out.
    pub(crate) fn response(&self, text: String) {
        let mut state = self.state();
        if state.close.is_none() {
            state.bytes += text.len();
            state.waiting.push_back(text);
            self.filled.notify_one();
        }
    }

    /// Puts in an event that was rendered up to its number. With `numbered` it gets the connection's next one.
    /// An event that may be missed is left out for a slow client; any other event closes its connection.
    pub(crate) fn event(&self, head: &str, numbered: bool, may_be_missed: bool) -> Put {
        let mut state = self.state();
        if state.close.is_some() {
            return Put::LeftOut;
        }
        let after = state.bytes + head.len() + 32;
        if may_be_missed && after > CROWDED.min(self.limit) {
            state.left_out += 1;
            return Put::LeftOut;
        }
        if after > self.limit {
            self.close_now(&mut state, 1008, "slow consumer");
            return Put::LeftOut;
        }
        let mut text = String::with_capacity(head.len() + 32);
        text.push_str(head);
        if numbered {
            state.seq += 1;
            // Writing to a string cannot fail.
            let _ = write!(text, ",\"seq\":{}", state.seq);
        }
        text.push('}');
        state.bytes += text.len();
        state.waiting.push_back(text);
        self.filled.notify_one();
        Put::Waits
    }

    /// Leaves a gap in the numbers, so that the client knows that it missed something.
    pub(crate) fn gap(&self) {
        self.state().seq += 1;
    }

    /// Has the connection closed after what waits.
    pub(crate) fn close(&self, code: u16, reason: &str) {
        let mut state = self.state();
        if state.close.is_none() {
            state.close = Some((code, reason.to_owned()));
            self.filled.notify_one();
            self.drained.notify_one();
        }
    }

    fn close_now(&self, state: &mut State, code: u16, reason: &str) {
        state.waiting = VecDeque::new();
        state.bytes = 0;
        state.close = Some((code, reason.to_owned()));
        self.filled.notify_one();
        self.drained.notify_one();
    }

    /// Takes what is to be written next.
    pub(crate) fn take(&self) -> Option<Next> {
        let mut state = self.state();
        if let Some(text) = state.waiting.pop_front() {
            state.bytes -= text.len();
            if state.bytes <= CROWDED {
                self.drained.notify_one();
            }
            return Some(Next::Text(text));
        }
        state.close.clone().map(|(code, reason)| Next::Close(code, reason))
    }

    /// Returns when something may have been put in.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Returns when there is room for another response, or the connection ends. A client that asks for more
    /// than it reads waits here.
    pub(crate) async fn room(&self) {
        loop {
            {
                let state = self.state();
                if state.bytes <= CROWDED || state.close.is_some() {
                    return;
                }
            }
            self.drained.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_numbered_only_when_they_are_delivered() {
        let queue = Queue::new(4 * CROWDED);
        assert_eq!(queue.event("{\"a\":1", true, false), Put::Waits);
        queue.response("r".repeat(CROWDED));
        assert_eq!(queue.event("{\"b\":1", true, true), Put::LeftOut);
        assert_eq!(queue.event("{\"c\":1", true, false), Put::Waits);
        assert_eq!(queue.take(), Some(Next::Text("{\"a\":1,\"seq\":1}".to_owned())));
        queue.take();
        assert_eq!(queue.take(), Some(Next::Text("{\"c\":1,\"seq\":2}".to_owned())));
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn a_client_that_does_not_read_is_closed_and_its_memory_is_freed() {
        let queue = Queue::new(2000);
        let event = "x".repeat(500);
        let put: Vec<_> = (0..8).map(|_| queue.event(&event, true, false)).collect();
        assert_eq!(put.iter().filter(|put| **put == Put::Waits).count(), 3);
        assert_eq!(queue.take(), Some(Next::Close(1008, "slow consumer".to_owned())));
        queue.response("late".to_owned());
        assert_eq!(queue.state().bytes, 0);
    }

    #[test]
    fn closing_waits_for_what_was_said_before() {
        let queue = Queue::new(CROWDED);
        queue.response("bye".to_owned());
        queue.close(1012, "service restart");
        queue.close(1000, "again");
        assert_eq!(queue.take(), Some(Next::Text("bye".to_owned())));
        assert_eq!(queue.take(), Some(Next::Close(1012, "service restart".to_owned())));
    }
}
