//! How a sandbox is made, and what it denied: command line ↔ supervisor, over the control socket.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::request;
use super::unit::Isolation;

request!(
    /// Explain the sandbox of an agent and of its commands, as it is in force. Runs `true` in it once. Since: 1.0.
    SandboxExplain, "sandbox.explain", ExplainParams => Explanation
);

/// Parameters of [`SandboxExplain`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExplainParams {
    /// The agent; absent for the first of the plan.
    pub agent: Option<String>,
    /// One of its sessions, whose commands are explained; absent for what all of them have in common. Since: 1.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionOf>,
}

/// A session as commands know it: without telling which it is. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionOf {
    /// Hexadecimal digits, as in `tool.run`.
    pub name: String,
    /// Whether it is the agent's main session.
    pub main: bool,
}

/// What a session means for the sandbox of its commands. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionSandbox {
    /// Its key; filled in by the command line.
    pub key: String,
    /// Whether it is the agent's main session.
    pub main: bool,
    /// Whether its commands are confined, by `sandbox.mode`.
    pub confined: bool,
    /// `sandbox.scope` of its agent.
    pub scope: String,
    /// The folder of the host that its commands have as their home; absent where none is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
}

/// A policy in force. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Explanation {
    /// The agent.
    pub agent: String,
    /// The session that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionSandbox>,
    /// `sandbox.mode`.
    pub mode: String,
    /// `sandbox.floor`.
    pub floor: String,
    /// The measured level of this machine: `L3`, `L2`, `L1` or `L0`.
    pub level: String,
    /// Escape attempts that were denied when the level was measured.
    pub denied: u32,
    /// Why it is not a stronger level.
    pub reasons: Vec<String>,
    /// What can be done about that.
    pub remedies: Vec<String>,
    /// A command of the agent, then its worker.
    pub sandboxes: Vec<Sandboxed>,
}

/// One sandbox. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Sandboxed {
    /// Whose, such as `commands of agent:main` or `agent:main`.
    pub of: String,
    /// What was applied, as measured in a process that has it: for commands in a run of `true` for this very answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// Why there is no measurement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What it sees of the host.
    pub visible: Vec<Visible>,
    /// Sentences on the network.
    pub network: Vec<String>,
    /// Limits.
    pub limits: Vec<Limit>,
    /// System calls that are denied.
    pub calls: Vec<DeniedCalls>,
    /// What became of `sandbox.setupCommand` in its home; absent where there is none to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setup: Option<String>,
    /// Names of its variables.
    pub variables: Vec<String>,
    /// Sentences on what is not enforced here.
    pub gaps: Vec<String>,
}

/// A file or folder in a sandbox. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Visible {
    /// Where the unit finds it.
    pub path: String,
    /// `ro`, `rw`, or `private` for what is not the host's.
    pub access: String,
    /// The configuration key that it comes from, or `built in`.
    pub from: String,
    /// Anything else about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A limit of a sandbox. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limit {
    /// What is limited.
    pub what: String,
    /// The value in words; `no limit` where there is none.
    pub value: String,
    /// Who enforces it: `cgroup`, `rlimit` (each process for itself), `tmpfs`, `overlay`, `quota` (the file system), `supervisor`,
    /// or `none`.
    pub by: String,
    /// The configuration key that it comes from, or `built in`.
    pub from: String,
}

/// System calls that are answered with one errno. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeniedCalls {
    /// The list of the profile, such as `common` or `no_fork`.
    pub class: String,
    /// `EPERM` or `ENOSYS`.
    pub errno: String,
    /// The calls; one with a `*` is denied for some arguments only.
    pub names: Vec<String>,
}

request!(
    /// What was denied lately, newest last. Since: 1.0.
    SandboxWhy, "sandbox.why", WhyParams => Denials
);

/// Parameters of [`SandboxWhy`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WhyParams {
    /// Only of this agent, its worker and its commands; absent for all units.
    pub agent: Option<String>,
    /// How many of the newest; 20 when absent.
    pub limit: Option<u32>,
}

/// Denials. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Denials {
    /// Oldest first.
    pub denials: Vec<Denial>,
    /// Those that were too many to be kept, since the supervisor started.
    pub forgotten: u64,
}

/// Something that a sandbox denied. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Denial {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Whose: `agent:main`, `channel:telegram:default`; of a command the agent that ran it.
    pub unit: String,
    /// The command, when it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// What denied it.
    pub rule: Rule,
    /// Whether the kernel, egress or the supervisor itself said so, or it was read from what the command printed, or told by
    /// a worker.
    pub certainty: Certainty,
    /// One sentence that names the rule, the path or host and the configuration key.
    pub sentence: String,
    /// How often.
    pub count: u64,
}

/// What denies. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The view of the file system.
    Files,
    /// The network.
    Network,
    /// A system call.
    Call,
    /// Memory.
    Memory,
    /// Processes.
    Pids,
    /// Processor time.
    Cpu,
    /// Size of a file, or of `/tmp`.
    Size,
    /// Open files.
    OpenFiles,
    /// Time.
    Wall,
    /// Output.
    Output,
    /// Another rule of a later version.
    #[serde(other)]
    Other,
}

/// How a denial is known. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Counted or refused by the kernel, egress or the supervisor.
    Exact,
    /// Concluded from an exit code or from what was printed.
    Inferred,
    /// Told by the worker of an agent, whose own tools refused it.
    Told,
}

request!(
    /// The home folders of commands, the one that was not used for longest first. Since: 1.0.
    SandboxHomes, "sandbox.homes", HomesParams => Homes
);

/// Parameters of [`SandboxHomes`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HomesParams {}

request!(
    /// Take home folders away that nobody uses any more, and say which. Since: 1.0.
    SandboxPrune, "sandbox.prune", PruneParams => Homes
);

/// Parameters of [`SandboxPrune`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PruneParams {
    /// Whether nothing is to be changed.
    pub dry_run: bool,
    /// Hours without a command; absent for `sandbox.prune.idleHours`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_hours: Option<u32>,
}

/// Home folders of commands. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Homes {
    /// The homes.
    pub homes: Vec<Home>,
    /// Sentences on what could not be taken away.
    pub problems: Vec<String>,
}

/// One home folder of commands. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Home {
    /// `session`, `agent` or `shared`.
    pub scope: String,
    /// Its agent; absent for the one that all share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The name of its session, which does not tell the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The folder.
    pub path: String,
    /// When a command last used it, in milliseconds since the epoch.
    pub used_ms: i64,
    /// When it was made, where the file system knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_ms: Option<i64>,
    /// Whether a command is in it or waits for it.
    pub in_use: bool,
    /// Why it may go: `idle`, `age`, or `nobodys` when the configuration gives it to nobody; absent when it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over: Option<String>,
}
