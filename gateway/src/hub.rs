//! What clients can ask of the gateway: the one seam between its core and everything that speaks to clients.
//!
//! The client side calls `api::serve(listener, hub)`; it owns the frames, the scopes and the wording of its
//! protocol. Nothing behind this seam knows a client protocol.

use std::collections::BTreeMap;
use std::sync::Arc;

use creel_ipc::blob::Attachment;
use creel_ipc::msg::supervisor::{Reloaded, Units};
use creel_ipc::msg::unit::{Isolation, UnitStatus};
use tokio::sync::broadcast;

use crate::core::Core;

mod cluster;
mod error;
mod event;
mod models;
mod operator;
mod phase;
mod rows;
mod sessions;

pub use cluster::{Cluster, HostRow, LeaseRow};
pub use error::{HubClass, HubError};
pub use event::CoreEvent;
pub use operator::{ParkedRow, QuestionAnswer, QuestionRow, SessionImport, SessionImported};
pub use phase::SessionPhase;
pub(crate) use phase::{Happening, Phases};
pub use rows::{
    ChannelRow, FoundEntries, FoundEntry, Health, OutboxRow, OutboxState, PairingRow, RunState, RunStatus,
    SessionFilter, SessionRow, SessionSearch, SessionState, StoredEntry,
};

pub use sessions::{PrunedRow, SessionChange, SessionPrune, Why};

type Answer<T> = Result<T, HubError>;

/// A message of a person at the web page, the command line or the API.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatSend {
    /// `main`, an alias or a full session key.
    pub session_key: String,
    /// What was written.
    pub message: String,
    /// Names the message: the same key again is the same message. It becomes the run's id.
    pub idempotency_key: String,
    /// What the client is, for the log and for lists, such as `openclaw-control-ui`.
    pub client: String,
    /// Files.
    pub attachments: Vec<Attachment>,
}

/// The message is durable and will be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatAccepted {
    /// The run: the message's idempotency key.
    pub run_id: String,
    /// The canonical key of the session.
    pub session_key: String,
    /// Whether the same key had been accepted before.
    pub duplicate: bool,
}

/// Something to say on a channel, on the operator's own initiative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendRequest {
    /// The channel, such as `telegram`.
    pub channel: String,
    /// The account; absent for `default`, or for the only one.
    pub account: Option<String>,
    /// The platform's id of the conversation.
    pub to: String,
    /// Markdown.
    pub text: String,
    /// Names the send: the same key again sends nothing.
    pub idempotency_key: String,
}

/// The send is durable; [`Hub::outbox_list`] tells how it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendAccepted {
    /// The key of the outbox row.
    pub key: String,
    /// Whether the same idempotency key had been accepted before.
    pub duplicate: bool,
}

/// A person may write from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    /// The platform's id of the person.
    pub sender: String,
    /// The account that the person may write to.
    pub account: String,
}

/// The gateway, as its clients see it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hub {
    core: Arc<Core>,
}

impl Hub {
    /// The seam of a running core.
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Accepts a message through the same inbox and lane as any channel's. The reply comes as events and in
    /// the transcript.
    ///
    /// # Errors
    /// `invalid` for an empty message or key or an unknown agent, `unavailable` when nothing can be stored.
    pub async fn chat_send(&self, send: ChatSend) -> Answer<ChatAccepted> {
        self.core.chat_send(send).await
    }

    /// Stops one run of a session, or all of them, and says which.
    ///
    /// # Errors
    /// `invalid` for a key of no agent.
    pub async fn chat_abort(&self, session_key: &str, run_id: Option<&str>) -> Answer<Vec<String>> {
        self.core.chat_abort(session_key, run_id).await
    }

    /// The last `limit` entries of the session's current transcript, oldest first.
    ///
    /// # Errors
    /// `unavailable` when the store cannot be read.
    pub async fn chat_history(&self, session_key: &str, limit: u32) -> Answer<Vec<StoredEntry>> {
        self.core.chat_history(session_key, limit).await
    }

    /// Waits at most `timeout_ms` for a run's end and says where it stands. Waiting does not change the run.
    ///
    /// # Errors
    /// `not_found` for an id that was never a run.
    pub async fn run_wait(&self, run_id: &str, timeout_ms: u64) -> Answer<RunStatus> {
        self.core.run_wait(run_id, timeout_ms).await
    }

    /// The sessions, newest first.
    ///
    /// # Errors
    /// `unavailable` when the store cannot be read.
    pub async fn sessions_list(&self, filter: SessionFilter) -> Answer<Vec<SessionRow>> {
        self.core.sessions_list(filter).await
    }

    /// Entries of any session's transcripts in which all of the words are.
    ///
    /// # Errors
    /// `invalid` when nothing of it can be searched for, or a session's key is of no agent.
    pub async fn sessions_search(&self, search: SessionSearch) -> Answer<FoundEntries> {
        self.core.sessions_search(search).await
    }

    /// Says something on a channel, through the outbox.
    ///
    /// # Errors
    /// `invalid` for an empty text or key, `not_found` for an unknown account.
    pub async fn send(&self, request: SendRequest) -> Answer<SendAccepted> {
        self.core.send(request).await
    }

    /// The newest rows of the outbox, newest first.
    ///
    /// # Errors
    /// `unavailable` when the store cannot be read.
    pub async fn outbox_list(&self, limit: u32) -> Answer<Vec<OutboxRow>> {
        self.core.outbox_list(limit).await
    }

    /// People who wait to be let in.
    ///
    /// # Errors
    /// `unavailable` when the store cannot be read.
    pub async fn pairing_list(&self, channel: Option<&str>) -> Answer<Vec<PairingRow>> {
        self.core.pairing_list(channel).await
    }

    /// Lets a person in, at once and for good.
    ///
    /// # Errors
    /// `not_found` when no waiting request has this code.
    pub async fn pairing_approve(
        &self,
        channel: &str,
        code: &str,
        account: Option<&str>,
    ) -> Answer<Approved> {
        self.core.pairing_approve(channel, code, account).await
    }

    /// Forgets a request.
    ///
    /// # Errors
    /// `not_found` when no waiting request has this code.
    pub async fn pairing_dismiss(&self, channel: &str, code: &str) -> Answer<()> {
        self.core.pairing_dismiss(channel, code).await
    }

    /// How each configured channel account is doing.
    pub async fn channels_status(&self) -> Vec<ChannelRow> {
        self.core.channels_status().await
    }

    /// How all units are doing, asked of the supervisor.
    ///
    /// # Errors
    /// `unavailable` when the supervisor does not answer.
    pub async fn units(&self) -> Answer<Units> {
        self.core.units().await
    }

    /// Has the supervisor restart a unit; lifts its quarantine.
    ///
    /// # Errors
    /// `not_found` for a name of no unit.
    pub async fn unit_restart(&self, name: &str) -> Answer<()> {
        self.core.unit_restart(name).await
    }

    /// Has the supervisor read the configuration again. A bad file changes nothing.
    ///
    /// # Errors
    /// `invalid` with the complaints about the file.
    pub async fn config_reload(&self) -> Answer<Reloaded> {
        self.core.config_reload().await
    }

    /// How the whole home is doing. Never fails: what cannot be asked is a reason not to be ready.
    pub async fn health(&self) -> Health {
        self.core.health().await
    }

    /// How each unit is confined, as the supervisor measured it and the unit's own self-test found it. The gateway itself
    /// is not among them: nobody tells it about itself.
    pub fn isolation(&self) -> BTreeMap<String, Isolation> {
        let state = self.core.state();
        let of = |(name, status): (&String, &UnitStatus)| Some((name.clone(), status.isolation.clone()?));
        state.units.iter().filter_map(of).collect()
    }

    /// What happens from now on. A receiver that lags is told how much it missed.
    pub fn subscribe(&self) -> broadcast::Receiver<CoreEvent> {
        self.core.subscribe()
    }

    /// The canonical key of what a client calls a session: `main`, a full key or an alias.
    ///
    /// # Errors
    /// `invalid` for an empty key or an agent that does not exist.
    pub fn resolve_session_key(&self, input: &str) -> Answer<String> {
        self.core.resolve_session_key(input)
    }

    /// The id of the agent that answers what nobody else does.
    pub fn default_agent(&self) -> String {
        self.core.default_agent()
    }

    /// The last part of the key of every agent's main session, and the whole key of the default agent's.
    pub fn main_session(&self) -> (String, String) {
        self.core.main_session()
    }

    /// How clients prove themselves: `token` or `password`.
    pub fn auth_mode(&self) -> &'static str {
        self.core.settings().config.gateway.auth.mode.word()
    }

    /// The ids and display names of all agents, the default one first.
    pub fn agents(&self) -> Vec<(String, String)> {
        self.core.agents()
    }

    /// Whether this is the gateway's token (or password, in that mode). Takes the same time for every guess
    /// of one length.
    pub fn token_ok(&self, candidate: &str) -> bool {
        self.core.token_ok(candidate)
    }

    /// Whether this is the token that opens `/metrics` and nothing else. Without one in the configuration, nothing is.
    pub fn metrics_token_ok(&self, candidate: &str) -> bool {
        self.core.metrics_token_ok(candidate)
    }
}
