use creel_ipc::msg::agent::TurnOutcome;
use creel_ipc::msg::channel::ChannelState;
use creel_ipc::msg::transcript::{Entry, Usage};

use super::SessionPhase;

/// An entry of a transcript, as it was stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEntry {
    /// Number within the session, growing.
    pub seq: u64,
    /// What it says.
    pub entry: Entry,
    /// When it was stored, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The run that it belongs to.
    pub run_id: String,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq)]
pub struct RunStatus {
    /// The run.
    pub run_id: String,
    /// Its session.
    pub session_key: String,
    /// Where it stands.
    pub state: RunState,
    /// When it was accepted, in milliseconds since the epoch.
    pub accepted_at_ms: i64,
    /// When it ended.
    pub ended_at_ms: Option<i64>,
    /// A sentence, when it did not end well.
    pub error: Option<String>,
    /// The whole answer, once it ended.
    pub text: Option<String>,
    /// Tokens, once it ended.
    pub usage: Usage,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Stored, not begun.
    Accepted,
    /// Under way.
    Running,
    /// Over.
    Ended(TurnOutcome),
}

/// Which sessions are wanted; absent fields fit all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Of one agent.
    pub agent: Option<String>,
    /// Of one kind: `direct`, `group` or `channel`.
    pub kind: Option<String>,
    /// Written to after this moment, in milliseconds since the epoch.
    pub active_since_ms: Option<i64>,
    /// Text that key or title contain, in any case.
    pub search: Option<String>,
    /// At most so many; 0 means 200.
    pub limit: u32,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Its key.
    pub key: String,
    /// The id of its current transcript.
    pub session_id: String,
    /// Its agent.
    pub agent: String,
    /// `direct`, `group` or `channel`.
    pub kind: String,
    /// The channel it was last written to on; absent for the web page.
    pub channel: Option<String>,
    /// The account it was last written to on.
    pub account: Option<String>,
    /// What people call it: the group's title or the person's name.
    pub title: Option<String>,
    /// When it was last written to, in milliseconds since the epoch.
    pub updated_at_ms: i64,
    /// Entries of its current transcript.
    pub entries: u64,
    /// Whether a run is under way.
    pub running: bool,
    /// `provider/model` that it asks for instead of the agent's first.
    pub model: Option<String>,
    /// What its owner calls it.
    pub label: Option<String>,
    /// How much a model thinks before it answers, if not as much as for its agent.
    pub thinking: Option<String>,
    /// Whether nothing of what its agent answers is said on a channel.
    pub silent: bool,
    /// What a message does that arrives while a turn runs, if not as configured.
    pub queue: Option<String>,
    /// Its state.
    pub state: SessionState,
    /// Where it is in its life.
    pub phase: SessionPhase,
}

/// What is searched for in what was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionSearch {
    /// Words that must all be in one entry; one with `*` behind it is the beginning of a word.
    pub words: String,
    /// Of one agent.
    pub agent: Option<String>,
    /// Of these sessions; none means all.
    pub sessions: Vec<String>,
    /// At most so many.
    pub limit: u32,
}

/// What a search found, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundEntries {
    /// The entries.
    pub hits: Vec<FoundEntry>,
    /// Whether there may be more.
    pub more: bool,
    /// Whether what was said before an upgrade cannot all be found yet.
    pub indexing: bool,
}

/// An entry that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundEntry {
    /// The session's key.
    pub key: String,
    /// Its agent.
    pub agent: String,
    /// The id of the transcript, which may be one from before the session began afresh.
    pub session_id: String,
    /// The entry's number in it.
    pub seq: u64,
    /// `user` or `assistant`.
    pub role: &'static str,
    /// When it was stored, in milliseconds since the epoch.
    pub at_ms: i64,
    /// What is around the words, on one line.
    pub snippet: String,
}

/// State of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// Nothing waits.
    Idle,
    /// Messages wait for their run.
    Queued,
    /// A run is under way.
    Running,
}

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its key.
    pub key: String,
    /// The channel.
    pub channel: String,
    /// The account.
    pub account: String,
    /// The platform's id of the conversation.
    pub to: String,
    /// What is said.
    pub text: String,
    /// Where it stands.
    pub state: OutboxState,
    /// Parts that the platform accepted.
    pub parts_sent: u32,
    /// Attempts to say it.
    pub attempts: u32,
    /// A sentence, when it did not go well.
    pub error: Option<String>,
    /// When it was stored, or asked for again, in milliseconds since the epoch.
    pub created_at_ms: i64,
    /// The run that it belongs to; absent for [`super::Hub::send`].
    pub run_id: Option<String>,
}

/// Where a row of the outbox stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboxState {
    /// It waits.
    Queued,
    /// A worker has it.
    Attempting,
    /// The platform has it.
    Sent,
    /// It may have been said, or not; it is not said again by itself.
    Unknown,
    /// It was not said, and will not be.
    Failed,
}

impl OutboxState {
    /// The state as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Attempting => "attempting",
            Self::Sent => "sent",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
        }
    }
}

/// Somebody who asks to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairingRow {
    /// The channel.
    pub channel: String,
    /// The account.
    pub account: String,
    /// The code that the person was told.
    pub code: String,
    /// The platform's id of the person.
    pub sender: String,
    /// The person's name.
    pub name: Option<String>,
    /// When, in milliseconds since the epoch.
    pub created_at_ms: i64,
    /// When the code stops working.
    pub expires_at_ms: i64,
}

/// How a channel account is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRow {
    /// The channel.
    pub channel: String,
    /// The account.
    pub account: String,
    /// A name for people.
    pub name: Option<String>,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Whether its worker is up.
    pub running: bool,
    /// The connection; absent until the worker told.
    pub state: Option<ChannelState>,
    /// The account's own name at the platform.
    pub self_name: Option<String>,
    /// When the transport last proved alive, in milliseconds since the epoch.
    pub transport_alive_at_ms: Option<i64>,
    /// When a message last came in.
    pub last_inbound_at_ms: Option<i64>,
    /// When a message last went out.
    pub last_outbound_at_ms: Option<i64>,
    /// Why it is not connected.
    pub error: Option<String>,
    /// Rows of the outbox that wait.
    pub queued: u64,
    /// Rows of the outbox of which nobody knows whether they were said.
    pub unknown: u64,
}

/// How the whole home is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether messages are taken and answered.
    pub ready: bool,
    /// What is missing, a sentence each.
    pub reasons: Vec<String>,
    /// Whether the store can be written.
    pub store_ok: bool,
    /// Units that run.
    pub units_running: u32,
    /// Units that should.
    pub units_total: u32,
    /// Milliseconds since this gateway started.
    pub uptime_ms: u64,
}
