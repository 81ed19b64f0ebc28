//! Gateway ↔ agent worker.
//!
//! The gateway starts a turn; the agent asks for context, journals every step that costs money or has a side
//! effect, and ends the turn with [`TurnDone`]. Every request is idempotent by `(turn, step)`, so that it can be
//! sent again to a new gateway.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::transcript::{Entry, Usage};
use super::{Empty, notify, request};
use crate::blob::Attachment;
use crate::secret::{Secret, reveal};

/// A turn and the fencing epoch of its lane. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TurnRef {
    /// The turn's id.
    pub turn: String,
    /// Epoch of the lane when the turn was started; a write with an older one is refused as `conflict`.
    pub epoch: u64,
}

/// Configuration of an agent worker. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentConfig {
    /// The agent's id.
    pub agent: String,
    /// The agent's display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The agent's workspace, an absolute path that is the same inside and outside its sandbox.
    pub workspace: String,
    /// The providers that the agent may use.
    pub providers: BTreeMap<String, Provider>,
    /// The models to try, in order; never empty.
    pub models: Vec<Model>,
    /// Model calls of one turn before the turn is stopped.
    pub max_iterations: u32,
    /// Milliseconds a turn may take.
    pub turn_timeout_ms: u64,
    /// Milliseconds to the first byte of a model's answer.
    pub first_byte_ms: u64,
    /// Milliseconds between two events of a model's answer.
    pub inactivity_ms: u64,
    /// Tools that are offered to the model.
    pub tools: ToolPolicy,
    /// `off`, `minimal`, `low`, `medium`, `high` or `xhigh`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// A `tracing` filter, such as `info`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<String>,
}

/// A model provider. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Provider {
    /// Where it answers, such as `https://api.anthropic.com` or `http://127.0.0.1:11434/v1`.
    pub base_url: String,
    /// `anthropic-messages`, `openai-completions` or `demo`.
    pub api: String,
    /// The provider's key.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "reveal")]
    pub api_key: Option<Secret>,
    /// Headers to add to each request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

/// A model of a provider. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// The provider's id in [`AgentConfig::providers`].
    pub provider: String,
    /// The model's id at the provider.
    pub id: String,
    /// Tokens of its context window.
    pub context_window: u64,
    /// Tokens it may answer with.
    pub max_tokens: u64,
    /// Whether it takes a thinking level.
    #[serde(default)]
    pub reasoning: bool,
    /// Whether it takes images.
    #[serde(default)]
    pub images: bool,
}

/// Which tools a model is offered: a deny wins. Entries are names, patterns with `*`, or the groups `group:fs` and
/// `group:runtime`. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ToolPolicy {
    /// Empty means all.
    pub allow: Vec<String>,
    /// Never offered.
    pub deny: Vec<String>,
    /// Default wall time of `exec` in milliseconds.
    pub exec_wall_ms: u64,
    /// Whether commands may leave the tool sandbox for somebody. Since: 1.0.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub elevated: bool,
}

request!(
    /// Begin a turn. Answered at once; the turn's end is [`TurnDone`]. Repeating it is harmless. Since: 1.0.
    TurnStart, "turn.start", TurnStartParams => Empty
);

/// Parameters of [`TurnStart`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TurnStartParams {
    /// The turn.
    #[serde(flatten)]
    pub turn: TurnRef,
    /// The session it belongs to.
    pub session: SessionRef,
    /// What came in since the last turn, oldest first.
    pub input: Vec<InputMessage>,
    /// Entries of the transcript before this turn; read with [`TurnContext`].
    pub history: u64,
    /// Steps that an earlier life of this turn journalled; read with [`TurnJournal`].
    pub journal: u32,
    /// `provider/model` that the session asks for instead of the agent's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How much the model thinks, if not as much as [`AgentConfig::thinking`] says. Since: 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
}

/// The session of a turn. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionRef {
    /// The key, such as `agent:main:main`.
    pub key: String,
    /// The id of its current transcript.
    pub id: String,
    /// Whether it is the agent's main session: only there MEMORY.md is read.
    pub main: bool,
    /// `direct`, `group` or `channel`.
    pub chat_kind: String,
    /// The channel the turn was asked on; absent for the web page and the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
}

/// One message of a turn's input. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InputMessage {
    /// What was written.
    pub text: String,
    /// Who wrote it, as shown to the model in groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// Who wrote it, as the platform vouches for them; absent for what is typed at Creel itself. Since: 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Author>,
    /// Whether it is only context: said in a group without addressing the agent.
    #[serde(default)]
    pub context_only: bool,
    /// The text that it quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted: Option<String>,
    /// Files, readable in the unit's `in/`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
}

/// A person on a platform. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Author {
    /// The channel, such as `telegram`.
    pub channel: String,
    /// The platform's id of the person.
    pub id: String,
}

impl std::fmt::Display for Author {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.channel, self.id)
    }
}

request!(
    /// Read the transcript before the turn, newest page first. Since: 1.0.
    TurnContext, "turn.context", PageParams => ContextPage
);

request!(
    /// Read the steps that an earlier life of the turn journalled, in order. Since: 1.0.
    TurnJournal, "turn.journal", PageParams => JournalPage
);

/// Where to continue reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PageParams {
    /// The turn.
    #[serde(flatten)]
    pub turn: TurnRef,
    /// `next` of the page before; absent for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<u64>,
}

/// A page of the transcript. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContextPage {
    /// Entries, oldest first within the page; at most half a frame.
    pub entries: Vec<Entry>,
    /// Cursor of the next older page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// A page of the journal. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JournalPage {
    /// Steps, in order; at most half a frame.
    pub steps: Vec<JournalStep>,
    /// Cursor of the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// A journalled step. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JournalStep {
    /// Number within the turn, from 0.
    pub step: u32,
    /// The transcript entry it produced; absent when it began and its end was never heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
}

request!(
    /// Journal that a step with a side effect is about to happen. Only after the answer it may. Since: 1.0.
    StepBegin, "turn.step", StepBeginParams => StepBegun
);

/// Parameters of [`StepBegin`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepBeginParams {
    /// The turn.
    #[serde(flatten)]
    pub turn: TurnRef,
    /// Number within the turn, from 0, without gaps.
    pub step: u32,
    /// The tool's name.
    pub name: String,
    /// The tool call's id.
    pub call_id: String,
    /// The tool's arguments.
    pub arguments: Value,
}

/// What the journal knows of a step. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum StepBegun {
    /// It is journalled now: go ahead.
    New,
    /// It was finished by an earlier life: use this and do not repeat it.
    Done {
        /// Its result.
        entry: Entry,
    },
    /// An earlier life began it and its end is unknown: do what the tool declares for that case.
    Uncertain,
}

request!(
    /// Nobody knows what became of a step that an earlier life began, and doing it twice may do harm: what does a person
    /// say? Answered when somebody has said it, or when nobody has in time. The same question again is harmless; a life
    /// that was told to do it again asks once more if it falls. Since: 1.0.
    TurnAsk, "turn.ask", TurnAskParams => Decided
);

/// Parameters of [`TurnAsk`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TurnAskParams {
    /// The turn.
    #[serde(flatten)]
    pub turn: TurnRef,
    /// Number within the turn, from 0.
    pub step: u32,
    /// The tool's name.
    pub name: String,
    /// What it was told to do, as a person reads it.
    pub what: String,
}

/// The answer to [`TurnAsk`]. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    /// What was decided.
    pub decision: Decision,
}

/// What becomes of a step whose outcome nobody knows. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// A person wants it done again.
    Again,
    /// A person does not want it done again.
    Skip,
    /// A person wants the turn to stop.
    Stop,
    /// Nobody answered in time: it is not done again.
    Nobody,
    /// The operator wants nobody to be asked: it is not done again.
    Unasked,
    /// A decision that this build does not know: it is not done again.
    #[serde(other)]
    Unknown,
}

request!(
    /// Journal a step's result. For model steps the only call, for tool steps the second. Since: 1.0.
    StepEnd, "turn.stepEnd", StepEndParams => Empty
);

/// Parameters of [`StepEnd`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepEndParams {
    /// The turn.
    #[serde(flatten)]
    pub turn: TurnRef,
    /// Number within the turn, from 0, without gaps.
    pub step: u32,
    /// The transcript entry it produced: an assistant entry or a tool result.
    pub entry: Entry,
}

request!(
    /// End a turn. The gateway makes transcript, replies and the end of the input durable in one transaction.
    /// `conflict` means that the turn belongs to somebody else now: drop it. Since: 1.0.
    TurnDone, "turn.done", TurnDoneParams => Empty
);

/// Parameters of [`TurnDone`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TurnDoneParams {
    /// The turn.
    #[serde(flatten)]
    pub turn: TurnRef,
    /// How it ended.
    pub outcome: TurnOutcome,
    /// A sentence for the person, when it did not end well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What is said, in order. May be empty.
    pub replies: Vec<Reply>,
    /// Tokens of the whole turn.
    #[serde(default)]
    pub usage: Usage,
}

/// How a turn ended. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TurnOutcome {
    /// As it should.
    Done,
    /// A failure that is not the person's doing.
    Failed,
    /// Somebody stopped it.
    Aborted,
    /// It took too long.
    TimedOut,
}

/// Something to say on the route that was captured when the message came in. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    /// Markdown.
    pub text: String,
    /// Files, left in the unit's `out/`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
}

request!(
    /// Stop a turn. The turn then ends with [`TurnOutcome::Aborted`]. Since: 1.0.
    TurnAbort, "turn.abort", TurnRef => Empty
);

/// A piece of the answer while it is being written. Best effort; adjacent pieces may be merged. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TurnDelta {
    /// The turn's id.
    pub turn: String,
    /// `text` or `thinking`.
    pub kind: DeltaKind,
    /// What was added.
    pub text: String,
}
notify!(TurnDelta, "turn.delta");

/// What a delta adds to. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeltaKind {
    /// The answer.
    Text,
    /// The model's reasoning.
    Thinking,
}

/// A tool call as it runs, for whoever watches. Best effort. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TurnTool {
    /// The turn's id.
    pub turn: String,
    /// The call's id.
    pub call_id: String,
    /// The tool's name.
    pub name: String,
    /// Where the call stands.
    #[serde(flatten)]
    pub phase: ToolPhase,
}
notify!(TurnTool, "turn.tool");

/// Where a tool call stands. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "phase", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ToolPhase {
    /// It begins.
    Start {
        /// The arguments.
        arguments: Value,
    },
    /// It printed something.
    Update {
        /// What it printed.
        text: String,
    },
    /// It ended.
    End {
        /// What the model gets to read, shortened.
        text: String,
        /// Whether it failed.
        is_error: bool,
        /// How long it took, in milliseconds.
        duration_ms: u64,
    },
}

/// Which model answers, told when its request leaves. Best effort. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TurnModel {
    /// The turn's id.
    pub turn: String,
    /// The provider's id.
    pub provider: String,
    /// The model's id.
    pub model: String,
    /// Whether the answer that was being written broke off and is begun again: what was shown of it is void.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}
notify!(TurnModel, "turn.model");
