//! Messages on their way in.

use creel_ipc::msg::agent::InputMessage;
use creel_ipc::msg::channel::Route;

use crate::store::Answer;

/// An inbound message on its way into the store.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewMessage {
    /// Its identity within the account.
    pub ext_id: String,
    /// The platform's cursor to keep with it.
    pub cursor: Option<String>,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of an inbound message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fate {
    /// Nothing; only the cursor moves.
    Ignored,
    /// It waits for a turn.
    Turn(Placed),
    /// It is kept to explain later ones, at most `keep` of them in a lane.
    Context {
        /// Where.
        placed: Placed,
        /// How many are kept.
        keep: u32,
    },
    /// Its sender asks to be let in.
    Pairing(NewPairing),
    /// It answers what is asked in its session, if its sender may; else it is like any other.
    Answer {
        /// Where.
        placed: Placed,
        /// What it says.
        answer: Answer,
        /// What becomes of it where nothing is asked.
        otherwise: Box<Fate>,
    },
}

/// A message with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placed {
    /// The session's key, which is the lane's.
    pub lane: String,
    /// The agent that answers.
    pub agent: String,
    /// `direct`, `group` or `channel`.
    pub kind: String,
    /// What people call the conversation.
    pub title: Option<String>,
    /// The id of the transcript, if the session is new.
    pub session_id: String,
    /// The run that the sender knows it by; such messages are never merged with others.
    pub run: Option<String>,
    /// Whether the session begins afresh with it.
    pub resets: bool,
    /// Where the answer goes; `None` for the web page.
    pub route: Option<Route>,
    /// What the agent gets to read.
    pub input: InputMessage,
}

/// Somebody asks to be let in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewPairing {
    /// The platform's id of the person.
    pub sender: String,
    /// The person's name.
    pub name: Option<String>,
    /// The code, if the request is new.
    pub code: String,
    /// When it expires.
    pub expires_ms: i64,
    /// Requests of the account that may wait.
    pub max: u32,
    /// Where the person is told.
    pub route: Route,
    /// What the person is told.
    pub text: String,
}

/// What became of an inbound message. All of it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// It is new.
    Fresh,
    /// It was stored before, with this run.
    Duplicate {
        /// The run that it was stored with.
        run: Option<String>,
    },
    /// The sender was told a code.
    PairingAsked,
    /// The sender waits already, or too many do.
    PairingQuiet,
    /// It answered what was asked, and is no message of its own.
    Answered,
}
