//! The event journal: every change of a unit and of the supervisor, one line of JSON each.
//!
//! The supervisor appends them to `events.ndjson` in its state folder and tells them over the control socket.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::unit::{ExitCause, UnitState};
use super::{notify, request};

request!(
    /// Read the journal of events. With `follow`, new ones go on coming as [`NewEvent`]. Since: 1.0.
    Events, "control.events", EventsParams => EventPage
);

/// Parameters of [`Events`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EventsParams {
    /// Only events of this unit; absent for all.
    pub unit: Option<String>,
    /// Only events from this moment on, in milliseconds since the epoch.
    pub since_ms: Option<i64>,
    /// How many of the newest; 100 when absent, at most 1,000.
    pub limit: Option<u32>,
    /// Whether to go on.
    pub follow: bool,
}

/// Events of the journal. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPage {
    /// Oldest first.
    pub events: Vec<Event>,
    /// Whether older ones would have fitted the question, but not the answer.
    #[serde(default)]
    pub more: bool,
}

/// An event happened. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewEvent {
    /// The event.
    pub event: Event,
}
notify!(NewEvent, "control.event");

/// What happened. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The supervisor started; `detail` says when the run before did not end in order.
    SupervisorStarted,
    /// The supervisor was asked to end.
    SupervisorStopping,
    /// The supervisor ended in order.
    SupervisorStopped,
    /// The supervisor became another version of itself; its units did not notice.
    SupervisorUpgraded,
    /// An upgrade was tried and given up; everything is as before.
    UpgradeRefused,
    /// The isolation of this machine was measured.
    IsolationMeasured,
    /// A limit of the configuration cannot be enforced here.
    LimitsNotEnforced,
    /// A new configuration is in force; `detail` says what changed.
    ReloadApplied,
    /// A new configuration was refused; the one before stays in force.
    ReloadRefused,
    /// A unit's process was confined and executes.
    Launched,
    /// A unit is up and takes work.
    Ready,
    /// A unit has to be replaced; its process is about to be ended.
    Fault,
    /// An incarnation ended, or never began; `next` is the state that follows.
    Ended,
    /// A unit waits for its next attempt.
    Backoff,
    /// A unit is set aside until a human or a new configuration helps.
    Quarantined,
    /// A unit is down, as somebody wanted.
    Stopped,
    /// An operator wants a unit up.
    OperatorStart,
    /// An operator wants a unit down.
    OperatorStop,
    /// An operator wants a unit replaced.
    OperatorRestart,
    /// Something that a unit started outlived it, or left its reach.
    Escaped,
    /// A command left files that programs of the host obey, or that hold them up; they were taken away.
    Planted,
    /// Lines of a unit's log were over its budget; `count` says how many.
    LogDropped,
    /// Lines or events could not be written to the disk; `count` says how many.
    DiskLost,
    /// The home of commands was prepared by the operator's `sandbox.setupCommand`, or could not be, as `detail` says.
    Prepared,
    /// A command began or ended outside of the tool sandbox, for a sender whom `tools.elevated` lists; `detail` says for whom.
    Elevated,
    /// A sandbox denied something; `count` says how often.
    Denied,
    /// Something that this version does not know.
    #[default]
    #[serde(other)]
    Other,
}

/// One event. The writer of the journal fills `seq`, `at`, `monotonicMs`, `bootId` and `run`. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// Grows by one with each event of a home, over all runs.
    pub seq: u64,
    /// When: RFC 3339 in UTC, with milliseconds.
    pub at: String,
    /// When, on the clock that only goes forward: milliseconds since the machine started, without its sleep.
    pub monotonic_ms: u64,
    /// Names the machine's run since it was started.
    pub boot_id: String,
    /// Names the supervisor's run.
    pub run: String,
    /// What.
    pub kind: EventKind,
    /// The unit; absent when the supervisor itself is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Number of the unit's incarnation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<u64>,
    /// Its process id on the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<ExitCause>,
    /// Exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// Signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Whether the kernel wrote a core.
    #[serde(skip_serializing_if = "is_false")]
    pub core: bool,
    /// The stage at which a launch failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// What the kernel said to that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// The state that follows an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<UnitState>,
    /// Milliseconds until the next attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_ms: Option<u64>,
    /// User id of the operator who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Of how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// A sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Event {
    /// An event of a unit, for the journal to complete.
    pub fn of_unit(kind: EventKind, unit: &str, incarnation: u64) -> Self {
        Self { kind, unit: Some(unit.to_owned()), incarnation: Some(incarnation), ..Self::default() }
    }

    /// An event of the supervisor, for the journal to complete.
    pub fn told(kind: EventKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: Some(detail.into()), ..Self::default() }
    }

    /// Whether a unit fell and is to come back: what counts as a restart.
    pub fn is_restart(&self) -> bool {
        self.kind == EventKind::Ended
            && self.cause != Some(ExitCause::Stopped)
            && matches!(self.next, Some(UnitState::Starting | UnitState::Backoff))
    }
}
