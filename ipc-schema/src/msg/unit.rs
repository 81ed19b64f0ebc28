//! What a unit is and how it is doing, as the supervisor tells it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hello::{Role, SelfTest};

/// State of a unit. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnitState {
    /// Not running, and nobody wants it to.
    Stopped,
    /// Launched, not yet ready.
    Starting,
    /// Up and ready.
    Running,
    /// Asked to end.
    Stopping,
    /// Ended, waits for its next attempt.
    Backoff,
    /// Ended too often or for good: waits for a human.
    Quarantined,
}

/// Why an incarnation of a unit ended. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExitCause {
    /// It exited with code 0.
    Clean,
    /// It exited with another code.
    Failed,
    /// A signal killed it that the supervisor did not send.
    Signal,
    /// The launcher could not confine or execute it; it never ran.
    LaunchFailed,
    /// It did not say ready in time.
    StartTimeout,
    /// It stopped making progress.
    Watchdog,
    /// It broke the protocol.
    Protocol,
    /// Seccomp killed it (SIGSYS).
    Sandbox,
    /// Its configuration is wrong (exit code 78 or 64).
    Config,
    /// It was asked to end.
    Stopped,
    /// The kernel killed it for its memory.
    Oom,
    /// It could not have what it needs at the moment: another process holds it, or the disk is full (exit code 75).
    Busy,
}

/// The last end of a unit. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastExit {
    /// Why.
    pub cause: ExitCause,
    /// Exit code, when it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// Signal, when one killed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Whether it left a core dump.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub core: bool,
    /// How far a launch came that failed, such as `exec` or `landlock`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// What the kernel said to it, as a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// A sentence: what went wrong, or the last line of its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
}

/// How a unit is confined: what was applied and verified, not what was asked for. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Isolation {
    /// `L3`, `L2`, `L1`, `L0` or `partial`.
    pub level: String,
    /// Namespaces of its own, such as `user`, `mount`, `pid`, `net`.
    pub namespaces: Vec<String>,
    /// ABI of the enforced Landlock ruleset; 0 when there is none.
    pub landlock_abi: u32,
    /// Seccomp programs that the launcher put in force. A worker adds its own seal (two more) as its first act, which
    /// the kernel's count in `/proc/<pid>/status` includes.
    pub seccomp_filters: u32,
    /// Whether `no_new_privs` is set.
    pub no_new_privs: bool,
    /// User id of the process outside its namespace.
    pub uid: u32,
    /// Sentences on what is missing compared to the full form.
    pub gaps: Vec<String>,
    /// What the unit itself found when it tried what must be forbidden; absent until it has tried, and for programs that
    /// do not try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selftest: Option<SelfTested>,
}

/// How many attempts of a unit's self-test were denied, and which were not. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SelfTested {
    /// Attempts that were denied, as they must be.
    pub denied: u32,
    /// Names of the others. A unit with any of them is not used.
    pub escaped: Vec<String>,
}

impl From<&SelfTest> for SelfTested {
    fn from(test: &SelfTest) -> Self {
        let denied = u32::try_from(test.denied.len()).unwrap_or(u32::MAX);
        Self { denied, escaped: test.escaped.clone() }
    }
}

/// Lines of a unit's log since the supervisor started. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LogCounts {
    /// All that it wrote.
    pub lines: u64,
    /// Those that were over its budget and are not kept.
    pub dropped: u64,
    /// Those that the disk did not take.
    pub lost: u64,
}

/// How a unit is doing. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnitStatus {
    /// The unit's name, such as `agent:main`.
    pub name: String,
    /// What it is for.
    pub kind: Role,
    /// State.
    pub state: UnitState,
    /// Process id on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Number of this incarnation, from 1.
    pub incarnation: u64,
    /// Restarts that nobody asked for since the supervisor started.
    pub restarts: u64,
    /// Restarts that nobody asked for within the last day, to the hour, over all runs of the supervisor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts_day: Option<u64>,
    /// How often it ended unasked since the supervisor started, by cause.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub falls: BTreeMap<ExitCause, u64>,
    /// Whether an operator stopped it: it stays down until an operator starts it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// Milliseconds since this incarnation was launched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uptime_ms: Option<u64>,
    /// The last end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<LastExit>,
    /// Milliseconds until the next attempt, in [`UnitState::Backoff`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_ms: Option<u64>,
    /// Proportional memory in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pss_bytes: Option<u64>,
    /// Processor time of its process in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Threads of its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<u64>,
    /// Its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogCounts>,
    /// The last lines of its log, when it fell and is not up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
    /// How it is confined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// Who keeps the limits of an agent's workspace (`sandbox.disk`, `sandbox.inodes`): `quota`, its file system, for its file tools
    /// too; `overlay`, for its commands alone. Absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_limits: Option<String>,
}
