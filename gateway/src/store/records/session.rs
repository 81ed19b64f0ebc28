//! Runs, sessions and transcripts, as they are read.

use creel_ipc::msg::agent::{TurnOutcome, TurnRef};
use creel_ipc::msg::transcript::{Entry, Usage};
use serde::{Deserialize, Serialize};

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
    /// What else it has otherwise than its agent.
    pub settings: SessionSettings,
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

/// What a session has otherwise than its agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SessionSettings {
    /// What its owner calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How much a model thinks before it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// Whether nothing of what its agent answers is said on a channel.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
    /// What a message does that arrives while a turn runs, as a word of `messages.queue.mode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
}

impl SessionSettings {
    /// As it is stored: nothing for a session that is like its agent.
    pub(in crate::store) fn column(&self) -> crate::store::Kept<Option<String>> {
        Ok((*self != Self::default()).then(|| serde_json::to_string(self)).transpose()?)
    }
}

/// A session that is begun by its settings, before anything was said in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FirstSession {
    /// The id of its transcript.
    pub id: String,
    /// Its agent.
    pub agent: String,
    /// `direct`, `group` or `channel`.
    pub kind: String,
    /// The account that it is written to on.
    pub account: String,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// What is to be otherwise in a session. What is absent stays; the inner `None` is as the agent has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SessionPatch {
    /// Its key.
    pub key: String,
    /// What it is, if it is not there yet.
    pub first: FirstSession,
    /// What its owner calls it.
    pub label: Option<Option<String>>,
    /// `provider/model`.
    pub model: Option<Option<String>>,
    /// How much a model thinks before it answers.
    pub thinking: Option<Option<String>>,
    /// Whether nothing is said on a channel.
    pub silent: Option<bool>,
    /// What a message does that arrives while a turn runs.
    pub queue: Option<Option<String>>,
}

impl SessionPatch {
    /// Changes a session.
    pub(in crate::store) fn apply(&self, session: &mut SessionRecord) {
        if let Some(model) = &self.model {
            session.model.clone_from(model);
        }
        let settings = &mut session.settings;
        if let Some(label) = &self.label {
            settings.label.clone_from(label);
        }
        if let Some(thinking) = &self.thinking {
            settings.thinking.clone_from(thinking);
        }
        settings.silent = self.silent.unwrap_or(settings.silent);
        if let Some(queue) = &self.queue {
            settings.queue.clone_from(queue);
        }
    }
}

/// What became of the wish to end a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It is done.
    Done,
    /// Something goes on in it, waits in it, or changed it meanwhile.
    Busy,
    /// There is none of this key.
    NoSession,
}
