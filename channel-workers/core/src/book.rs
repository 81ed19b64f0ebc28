//! The keys of all sends of this life: what is under way, what came of it, and what was already delivered. Sans-IO.

use std::collections::{HashMap, VecDeque};

use creel_ipc::msg::channel::{SendParams, Sent};
use creel_ipc::{ErrorClass, RpcError};

/// Finished keys that are remembered.
const REMEMBERED: usize = 2048;

pub(crate) type Outcome = Result<Sent, RpcError>;

/// What to do with a send.
#[derive(Debug, PartialEq)]
pub(crate) enum Claim {
    /// Deliver it.
    Start,
    /// It is under way; the asker will be told.
    Joined,
    /// It is finished; this is what came of it.
    Known(Outcome),
}

/// What an earlier attempt of the same key left behind.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Left {
    pub(crate) parts: u32,
    pub(crate) ids: Vec<String>,
    pub(crate) draft_message: Option<String>,
}

#[derive(Debug)]
enum State {
    Running {
        askers: Vec<u64>,
    },
    Finished(Outcome),
    /// Nothing more went out; the same key may try again.
    Again,
}

#[derive(Debug)]
struct Entry {
    state: State,
    left: Left,
}

#[derive(Debug, Default)]
pub(crate) struct Book {
    entries: HashMap<String, Entry>,
    ended: VecDeque<String>,
}

impl Book {
    /// The request `asker` asks for a send.
    pub(crate) fn claim(&mut self, asker: u64, params: &SendParams) -> Claim {
        let running = State::Running { askers: vec![asker] };
        let Some(entry) = self.entries.get_mut(&params.key) else {
            let left = Left { parts: params.parts_sent, ..Left::default() };
            self.entries.insert(params.key.clone(), Entry { state: running, left });
            return Claim::Start;
        };
        match &mut entry.state {
            State::Running { askers } => {
                askers.push(asker);
                Claim::Joined
            }
            State::Finished(outcome) => Claim::Known(outcome.clone()),
            State::Again => {
                entry.state = running;
                entry.left.parts = entry.left.parts.max(params.parts_sent);
                Claim::Start
            }
        }
    }

    /// What earlier attempts of the key left behind.
    pub(crate) fn left(&self, key: &str) -> Left {
        self.entries.get(key).map(|entry| entry.left.clone()).unwrap_or_default()
    }

    /// An attempt ended; returns whom to tell.
    pub(crate) fn finish(&mut self, key: &str, left: Left, outcome: &Outcome) -> Vec<u64> {
        let Some(entry) = self.entries.get_mut(key) else { return Vec::new() };
        let state = match outcome {
            Err(error) if !settles(error.class()) => State::Again,
            outcome => State::Finished(outcome.clone()),
        };
        entry.left = left;
        let askers = match std::mem::replace(&mut entry.state, state) {
            State::Running { askers } => askers,
            State::Finished(_) | State::Again => Vec::new(),
        };
        self.ended.retain(|ended| ended != key);
        self.ended.push_back(key.to_owned());
        while self.ended.len() > REMEMBERED {
            let Some(oldest) = self.ended.pop_front() else { break };
            if self.entries.get(&oldest).is_some_and(|e| !matches!(e.state, State::Running { .. })) {
                self.entries.remove(&oldest);
            }
        }
        askers
    }
}

/// Whether an error of this class is the key's last word. An unknown outcome is: to send again could say it twice.
fn settles(class: ErrorClass) -> bool {
    matches!(class, ErrorClass::UnknownOutcome | ErrorClass::BadRequest)
}

#[cfg(test)]
mod tests {
    use creel_ipc::msg::channel::{ChatKind, Route};

    use super::*;

    fn params(key: &str) -> SendParams {
        let route = Route {
            chat_id: "1".to_owned(),
            kind: ChatKind::Direct,
            thread: None,
            reply_to: None,
            addressee: None,
        };
        let key = key.to_owned();
        SendParams { key, route, text: "x".to_owned(), attachments: vec![], parts_sent: 0, draft: None }
    }

    fn sent() -> Outcome {
        Ok(Sent { message_ids: vec!["7".to_owned()] })
    }

    fn failed(class: ErrorClass) -> Outcome {
        Err(RpcError::new(class, "It failed."))
    }

    #[test]
    fn a_key_under_way_is_joined_and_a_finished_one_is_answered() {
        let mut book = Book::default();
        assert_eq!(book.claim(1, &params("k")), Claim::Start);
        assert_eq!(book.claim(2, &params("k")), Claim::Joined);
        assert_eq!(book.finish("k", Left::default(), &sent()), [1, 2]);
        assert_eq!(book.claim(3, &params("k")), Claim::Known(sent()));
    }

    #[test]
    fn an_unknown_outcome_is_never_tried_again() {
        let mut book = Book::default();
        book.claim(1, &params("k"));
        let outcome = failed(ErrorClass::UnknownOutcome);
        book.finish("k", Left::default(), &outcome);
        assert_eq!(book.claim(2, &params("k")), Claim::Known(outcome));
    }

    #[test]
    fn a_retry_goes_on_after_the_parts_that_went_out() {
        let mut book = Book::default();
        book.claim(1, &params("k"));
        let left = Left { parts: 2, ids: vec!["7".to_owned(), "8".to_owned()], draft_message: None };
        book.finish("k", left.clone(), &failed(ErrorClass::RetryAfter));
        // The gateway may have missed the notifications of the parts.
        assert_eq!(book.claim(2, &params("k")), Claim::Start);
        assert_eq!(book.left("k"), left);
    }

    #[test]
    fn only_the_last_finished_keys_are_remembered() {
        let mut book = Book::default();
        book.claim(0, &params("running"));
        for n in 0..=REMEMBERED {
            let key = format!("k{n}");
            book.claim(1, &params(&key));
            book.finish(&key, Left::default(), &sent());
        }
        assert_eq!(book.claim(2, &params("k0")), Claim::Start);
        assert_eq!(book.claim(2, &params("k2048")), Claim::Known(sent()));
        assert_eq!(book.claim(2, &params("running")), Claim::Joined);
    }
}
