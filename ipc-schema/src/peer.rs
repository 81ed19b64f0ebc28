//! One end of a link: ids, requests in flight, and what is sent again after a renewed handshake. Sans-IO.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::frame::{Frame, Framer};
use crate::limits::MAX_FRAME;
use crate::rpc::{DecodeError, Message, RpcError};

/// What arrived.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrival {
    /// The peer asks; answer with [`Peer::respond`].
    Request {
        /// The peer's id.
        id: u64,
        /// The method's name.
        method: String,
        /// The method's parameters.
        params: Value,
    },
    /// The peer tells.
    Notification {
        /// The method's name.
        method: String,
        /// The method's parameters.
        params: Value,
    },
    /// The peer answered a request of ours.
    Response {
        /// Our id.
        id: u64,
        /// The result, or why there is none.
        outcome: Result<Value, RpcError>,
    },
    /// A line that is no message, an oversized line, or a response to nothing. Counted; never fatal by itself.
    Stray {
        /// A sentence for the log.
        reason: String,
    },
}

/// Why a message cannot be sent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SendError {
    /// The peer would discard the line.
    #[error(
        "The frame of `{method}` has {len} bytes; the limit is {MAX_FRAME}. Send a file by its hash instead."
    )]
    TooLarge {
        /// The method's name.
        method: String,
        /// The frame's length.
        len: usize,
    },
}

/// One end of a link.
#[derive(Debug, Default)]
pub struct Peer {
    framer: Framer,
    next_id: u64,
    /// Encoded requests without an answer, oldest first.
    in_flight: BTreeMap<u64, Vec<u8>>,
    /// Requests of the program before this one, whose answers nobody waits for.
    abandoned: BTreeSet<u64>,
    strays: u64,
}

/// An end of a link between two programs of one process: what the next has to know to go on with the same socket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PeerState {
    /// The beginning of a line whose end was not read yet.
    pub line: Vec<u8>,
    /// Bytes of that line that were thrown away.
    pub discarded: usize,
    /// The id of the next request.
    pub next_id: u64,
    /// Requests without an answer.
    pub in_flight: Vec<u64>,
    /// Lines so far that were no message.
    pub strays: u64,
}

impl Peer {
    /// A fresh end with nothing in flight.
    pub fn new() -> Self {
        Self::default()
    }

    /// A fresh end whose first request has the id `first`. A gateway that takes over a link begins above
    /// every id of its predecessor, so that a late answer to the dead one can never be taken for its own.
    pub fn starting_at(first: u64) -> Self {
        Self { next_id: first, ..Self::default() }
    }

    /// What another program needs to go on with this end.
    pub fn state(&self) -> PeerState {
        let (line, discarded) = self.framer.unfinished();
        PeerState {
            line: line.to_vec(),
            discarded,
            next_id: self.next_id,
            in_flight: self.in_flight.keys().chain(&self.abandoned).copied().collect(),
            strays: self.strays,
        }
    }

    /// An end that goes on where another program stopped. Answers to that one's requests are swallowed.
    pub fn resume(state: PeerState) -> Self {
        Self {
            framer: Framer::within(state.line, state.discarded),
            next_id: state.next_id,
            abandoned: state.in_flight.into_iter().collect(),
            strays: state.strays,
            ..Self::default()
        }
    }

    /// Takes bytes as they were read and hands each arrival to `sink`.
    pub fn push(&mut self, bytes: &[u8], mut sink: impl FnMut(Arrival)) {
        let Self { framer, in_flight, abandoned, strays, .. } = self;
        framer.push(bytes, |frame| {
            let Some(arrival) = read(frame, in_flight, abandoned) else { return };
            if matches!(arrival, Arrival::Stray { .. }) {
                *strays += 1;
            }
            sink(arrival);
        });
    }

    /// Encodes a request and keeps it until it is answered.
    pub fn request(&mut self, method: &str, params: Value) -> Result<(u64, Vec<u8>), SendError> {
        let id = self.next_id;
        let line = fit(method, &Message::Request { id, method: method.to_owned(), params })?;
        self.next_id += 1;
        self.in_flight.insert(id, line.clone());
        Ok((id, line))
    }

    /// Encodes a notification.
    pub fn notify(&self, method: &str, params: Value) -> Result<Vec<u8>, SendError> {
        fit(method, &Message::Notification { method: method.to_owned(), params })
    }

    /// Encodes the answer to a request of the peer. An answer that does not fit a frame becomes an error.
    pub fn respond(&self, id: u64, outcome: Result<Value, RpcError>) -> Vec<u8> {
        match fit("response", &Message::Response { id, outcome }) {
            Ok(line) => line,
            Err(error) => {
                let outcome = Err(RpcError::new(crate::ErrorClass::BadRequest, error.to_string()));
                Message::Response { id, outcome }.encode()
            }
        }
    }

    /// Forgets a request that nobody waits for any more. Its late answer counts as stray.
    pub fn forget(&mut self, id: u64) {
        self.in_flight.remove(&id);
    }

    /// Every unanswered request, oldest first: what goes out again once a new peer has said welcome.
    pub fn unanswered(&self) -> impl Iterator<Item = &[u8]> {
        self.in_flight.values().map(Vec::as_slice)
    }

    /// Number of requests without an answer.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Lines so far that were no message of this link.
    pub fn strays(&self) -> u64 {
        self.strays
    }
}

fn fit(method: &str, message: &Message) -> Result<Vec<u8>, SendError> {
    let line = message.encode();
    if line.len() > MAX_FRAME {
        return Err(SendError::TooLarge { method: method.to_owned(), len: line.len() });
    }
    Ok(line)
}

fn read(
    frame: Frame,
    in_flight: &mut BTreeMap<u64, Vec<u8>>,
    abandoned: &mut BTreeSet<u64>,
) -> Option<Arrival> {
    let line = match frame {
        Frame::Line(line) => line,
        Frame::Oversize { len } => {
            let reason = format!("A line of {len} bytes is over the limit of {MAX_FRAME}.");
            return Some(Arrival::Stray { reason });
        }
        Frame::NotUtf8 { len } => {
            return Some(Arrival::Stray { reason: format!("A line of {len} bytes is not UTF-8.") });
        }
    };
    Some(match Message::decode(&line) {
        Ok(Message::Request { id, method, params }) => Arrival::Request { id, method, params },
        Ok(Message::Notification { method, params }) => Arrival::Notification { method, params },
        Ok(Message::Response { id, outcome }) => match in_flight.remove(&id) {
            Some(_) => Arrival::Response { id, outcome },
            None if abandoned.remove(&id) => return None,
            None => Arrival::Stray { reason: format!("A response to request {id}, which is not in flight.") },
        },
        Err(error @ (DecodeError::NotJson(_) | DecodeError::NotRpc { .. })) => {
            Arrival::Stray { reason: error.to_string() }
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arrivals(peer: &mut Peer, bytes: &[u8]) -> Vec<Arrival> {
        let mut out = Vec::new();
        peer.push(bytes, |arrival| out.push(arrival));
        out
    }

    #[test]
    fn requests_stay_until_answered_and_are_offered_again_in_order() {
        let mut peer = Peer::new();
        let (first, _) = peer.request("a", json!({})).unwrap();
        let (second, line) = peer.request("b", json!({})).unwrap();
        let answer = Peer::new().respond(first, Ok(Value::Null));
        assert_eq!(arrivals(&mut peer, &answer), [Arrival::Response { id: first, outcome: Ok(Value::Null) }]);
        assert_eq!(peer.unanswered().collect::<Vec<_>>(), [line.as_slice()]);
        peer.forget(second);
        assert_eq!(peer.in_flight(), 0);
    }

    #[test]
    fn strays_are_counted_and_never_end_the_link() {
        let mut peer = Peer::new();
        let seen =
            arrivals(&mut peer, b"hello from a library\n{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":1}\n");
        assert!(seen.iter().all(|arrival| matches!(arrival, Arrival::Stray { .. })), "{seen:?}");
        assert_eq!(peer.strays(), 2);
    }

    #[test]
    fn an_end_goes_on_in_the_middle_of_a_line_and_swallows_the_answers_of_the_one_before() {
        let mut before = Peer::starting_at(5);
        let (asked, _) = before.request("a", json!({})).unwrap();
        let answer = Peer::new().respond(asked, Ok(Value::Null));
        let told = Peer::new().notify("n", json!({"x": 1})).unwrap();
        let both = [answer, told].concat();
        let (first, rest) = both.split_at(9);
        assert!(arrivals(&mut before, first).is_empty());
        let state = serde_json::to_string(&before.state()).unwrap();
        let mut after = Peer::resume(serde_json::from_str(&state).unwrap());
        let seen = arrivals(&mut after, rest);
        assert!(
            matches!(seen.as_slice(), [Arrival::Notification { method, .. }] if method == "n"),
            "{seen:?}"
        );
        assert_eq!((after.strays(), after.request("b", json!({})).unwrap().0), (0, 6));
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_at_the_sender() {
        let mut peer = Peer::new();
        let error = peer.request("big", json!("x".repeat(MAX_FRAME))).unwrap_err();
        assert!(error.to_string().contains("`big`"), "{error}");
        assert_eq!(peer.in_flight(), 0);
    }
}
