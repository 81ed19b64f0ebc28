//! Background processes of an agent: agent → gateway → supervisor.
//!
//! A process is a tool run that nobody waits for. It belongs to its agent, lives on when agent or gateway are started anew,
//! and ends with its own time, when it is told to, or when its agent is stopped. Every request may be sent again: a start is
//! known by its run, a write by its key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tool::{ToolExit, ToolRunParams};
use super::{Empty, request};

request!(
    /// Start a command in the background; one that was started before is told as it is now. Since: 1.0.
    ProcessStart, "process.start", ProcessStartParams => ProcessStatus
);

request!(
    /// What a process printed from a place on, and how it is. Since: 1.0.
    ProcessPoll, "process.poll", ProcessPollParams => ProcessStatus
);

request!(
    /// The processes of an agent, those included that ended within the last hour. Since: 1.0.
    ProcessList, "process.list", ProcessListParams => Processes
);

request!(
    /// Write to the standard input of a process. Since: 1.0.
    ProcessWrite, "process.write", ProcessWriteParams => ProcessWritten
);

request!(
    /// End a process and everything it started. Harmless when it has ended. Since: 1.0.
    ProcessKill, "process.kill", ProcessKillParams => Empty
);

/// Parameters of [`ProcessStart`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessStartParams {
    /// The command. Its time is bounded by the operator's `sandbox.backgroundSeconds` instead of `sandbox.wallSeconds`.
    pub command: ToolRunParams,
    /// Whether it gets a terminal for input, output and errors.
    #[serde(default)]
    pub terminal: bool,
}

/// Parameters of [`ProcessPoll`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessPollParams {
    /// The run that started it.
    pub process: String,
    /// The agent. Filled in by the gateway; an agent cannot choose it.
    #[serde(default)]
    pub agent: String,
    /// From which byte of its output on.
    #[serde(default)]
    pub from: u64,
}

/// Parameters of [`ProcessList`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessListParams {
    /// The agent. Filled in by the gateway; an agent cannot choose it.
    #[serde(default)]
    pub agent: String,
}

/// Parameters of [`ProcessWrite`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessWriteParams {
    /// The run that started it.
    pub process: String,
    /// The agent. Filled in by the gateway; an agent cannot choose it.
    #[serde(default)]
    pub agent: String,
    /// Names this write: one with the same key is done once.
    pub key: String,
    /// What to write.
    #[serde(default)]
    pub text: String,
    /// Whether its input ends then.
    #[serde(default)]
    pub eof: bool,
}

/// The result of [`ProcessWrite`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessWritten {
    /// Bytes that it can read now. Fewer than asked for: it does not read what it was given before.
    pub bytes: u64,
}

/// Parameters of [`ProcessKill`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessKillParams {
    /// The run that started it.
    pub process: String,
    /// The agent. Filled in by the gateway; an agent cannot choose it.
    #[serde(default)]
    pub agent: String,
}

/// The result of [`ProcessList`], oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Processes {
    /// Without what they printed.
    pub processes: Vec<ProcessStatus>,
}

/// A background process. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessStatus {
    /// The run that started it.
    pub process: String,
    /// The command, cut to a line.
    pub command: String,
    /// Milliseconds since it was asked for.
    pub age_ms: u64,
    /// What it printed, output and errors as they came, at most [`crate::limits::MAX_PROCESS_TEXT`] bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Where to go on reading.
    #[serde(default)]
    pub next: u64,
    /// Bytes before `text` that are not kept any more.
    #[serde(default)]
    pub lost: u64,
    /// How it ended, once it has; what it printed is not in there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<ToolExit>,
}
