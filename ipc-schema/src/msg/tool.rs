//! Tool runs: agent → gateway → supervisor, and back.
//!
//! A run is idempotent by its id: asking again for a run that goes on attaches to it, asking for a finished one
//! returns its result.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::agent::Author;
use super::sandbox::Denial;
use super::{Empty, notify, request};

request!(
    /// Run a command in the agent's tool sandbox. Answered when it ended. Since: 1.0.
    ToolRun, "tool.run", ToolRunParams => ToolExit
);

/// Parameters of [`ToolRun`]. Neither policy nor limits can be widened here: they are the operator's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolRunParams {
    /// Names the run: unique, chosen by the agent from turn and step.
    pub run: String,
    /// The agent whose sandbox policy applies. Filled in by the gateway; an agent cannot choose it.
    #[serde(default)]
    pub agent: String,
    /// The command and its arguments.
    pub argv: Vec<String>,
    /// Working directory relative to the workspace; absent for the workspace itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Added to the sandbox's own small environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Milliseconds it may take; the operator's limit applies when it is smaller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// Names the session, without telling which it is: hexadecimal digits. Filled in by the gateway. Since: 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Whether it is the agent's main session. Filled in by the gateway. Since: 1.0.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub main: bool,
    /// Whether only what is known of the run is wanted, its result or its end when it comes: it is never started. One that
    /// nobody knows is refused as of unknown outcome. Since: 1.0.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub known_only: bool,
    /// Whether the agent wants it to run outside of the tool sandbox. Since: 1.0.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub elevated: bool,
    /// For whom it may: everybody who wrote what the turn answers. Filled in by the gateway; an agent cannot choose them.
    /// Since: 1.0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elevated_for: Vec<Author>,
}

/// How a run ended. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolExit {
    /// Why it ended.
    pub cause: ToolCause,
    /// Exit code, when it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// Signal, when one killed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// A sentence for the model, when it did not simply exit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What it printed, at most [`crate::limits::MAX_TOOL_STREAM`] bytes: head and tail.
    pub stdout: String,
    /// What it printed as errors, with the same limit.
    pub stderr: String,
    /// Bytes that did not fit.
    pub dropped_bytes: u64,
    /// How long it took, in milliseconds.
    pub wall_ms: u64,
    /// What its sandbox denied it, as far as anybody can tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denials: Vec<Denial>,
}

impl ToolExit {
    /// An end of which nothing else is to be told yet: no code, no words, no output.
    pub fn of(cause: ToolCause) -> Self {
        Self {
            cause,
            code: None,
            signal: None,
            message: None,
            stdout: String::new(),
            stderr: String::new(),
            dropped_bytes: 0,
            wall_ms: 0,
            denials: Vec::new(),
        }
    }
}

/// Why a run ended. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolCause {
    /// By itself.
    Exited,
    /// By a signal that was not the supervisor's.
    Signalled,
    /// Its time was up.
    TimedOut,
    /// Somebody asked for it.
    Killed,
    /// The sandbox could not be built; the command never ran.
    LaunchFailed,
}

/// A run printed something. Best effort. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolOutput {
    /// The run.
    pub run: String,
    /// What it printed; bytes that are no UTF-8 are replaced.
    pub text: String,
}
notify!(ToolOutput, "tool.output");

/// A file tool of an agent's worker refused a call: worker → gateway → supervisor, for the operator. It is the word of
/// the worker, which may be wrong or bent. Best effort. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolRefused {
    /// The agent. Filled in by the gateway; an agent cannot choose it.
    #[serde(default)]
    pub agent: String,
    /// The tool, such as `read`.
    pub tool: String,
    /// The path as the model gave it.
    pub path: String,
    /// Why.
    pub why: Refusal,
    /// Refusals before this one that were too many to be passed on. Filled in by the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<u64>,
}
notify!(ToolRefused, "tool.refused");

/// Why a file tool refused. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The path is, or leads, outside of the workspace.
    Outside,
    /// Programs of the host obey that file.
    Protected,
    /// It is a link, a pipe, a socket or a device.
    NotAFile,
    /// The kernel did not allow it.
    Kernel,
    /// Another reason of a later version.
    #[serde(other)]
    Other,
}

request!(
    /// Kill a run and everything it started. Harmless when it has ended. Since: 1.0.
    ToolKill, "tool.kill", ToolKillParams => Empty
);

/// Parameters of [`ToolKill`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolKillParams {
    /// The run.
    pub run: String,
}
