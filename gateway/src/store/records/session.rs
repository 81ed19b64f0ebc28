//! Runs, sessions and transcripts, as they are read.

use creel_ipc::msg::agent::{TurnOutcome, TurnRef};
use creel_ipc::msg::transcript::{Entry, Usage};

/// A run, begun or not.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunRecord {
    /// Its lane.
    pub lane: String,
    /// `None` before it began.
    pub turn: Option<TurnRef>,
    /// How it ended.
    pub outcome: Option<TurnOutcome>,
    /// A sentence, when it did not end well.
    pub error: Option<String>,
    /// The whole answer.
    pub text: Option<String>,
    /// Tokens.
    pub usage: Usage,
    /// When it was accepted.
    pub accepted_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
}

/// Which sessions are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SessionQuery {
    /// Of one agent.
    pub agent: Option<String>,
    /// Of one kind.
    pub kind: Option<String>,
    /// Written to since then.
    pub since_ms: i64,
    /// In key or title, lower case.
    pub search: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionRecord {
    /// Its key.
    pub key: String,
    /// The id of its current transcript.
    pub id: String,
    /// Its agent.
    pub agent: String,
    /// `direct`, `group` or `channel`.
    pub kind: String,
    /// The account it was last written to on, as `channel:account`.
    pub account: String,
    /// What people call it.
    pub title: Option<String>,
    /// `provider/model` that it asks for.
    pub model: Option<String>,
    /// When it was last written to.
    pub updated_ms: i64,
    /// Entries of its current transcript.
    pub entries: u64,
    /// Messages that wait.
    pub pending: u32,
    /// Whether a turn is under way.
    pub running: bool,
}

/// An entry of a transcript.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TranscriptRecord {
    /// Number within the session.
    pub seq: u64,
    /// What it says.
    pub entry: Entry,
    /// When it was stored.
    pub at_ms: i64,
    /// The run that it belongs to.
    pub run: String,
}
