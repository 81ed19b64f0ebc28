//! Command line ↔ supervisor, over the control socket (0600, peer credentials checked).
//!
//! The same frames as everywhere. `units.status`, `unit.restart` and `config.reload` mean what they mean on the
//! gateway's link; the methods below exist only here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Empty, notify, request};

request!(
    /// Stop everything in order. Answered when it has begun; the socket closes when it is done. Since: 1.0.
    Stop, "control.stop", Empty => Empty
);

request!(
    /// Read the log of one unit, or of all. With `follow`, lines go on coming as [`LogLines`]. Since: 1.0.
    Logs, "control.logs", LogsParams => LogLines
);

/// Parameters of [`Logs`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LogsParams {
    /// One unit; absent for all.
    pub unit: Option<String>,
    /// How many of the last lines; 200 when absent, at most 1,000.
    pub lines: Option<u32>,
    /// Whether to go on.
    pub follow: bool,
    /// Only lines from this moment on, in milliseconds since the epoch: also those of earlier runs, from the files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
}

/// Lines of logs. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogLines {
    /// Oldest first.
    pub lines: Vec<LogLine>,
}
notify!(LogLines, "control.lines");

/// One line of a unit's log. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// The unit's name.
    pub unit: String,
    /// When it was read, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The line, cut at the limit.
    pub text: String,
}

request!(
    /// Put another program in the place of the supervisor's; the units run on. Answered when it has begun: the program
    /// that comes out of it tells the rest to [`UpgradeStatus`]. Since: 1.0.
    Upgrade, "control.upgrade", UpgradeParams => UpgradeState
);

request!(
    /// How the latest upgrade went, or goes. Since: 1.0.
    UpgradeStatus, "control.upgradeStatus", Empty => UpgradeState
);

/// Parameters of [`Upgrade`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UpgradeParams {
    /// The new program; absent for what is now at the running one's path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary: Option<String>,
    /// Whether to check it and no more.
    pub check: bool,
    /// Whether the units are left on their old programs.
    pub no_roll: bool,
}

/// How far an upgrade is. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpgradePhase {
    /// There was none.
    #[default]
    None,
    /// The new program looks at a copy of the state.
    Checking,
    /// Everything under way is brought to a point where it can stop.
    Settling,
    /// The new program runs and shows that it can.
    Confirming,
    /// Units are moved to their new programs, one by one.
    Rolling,
    /// It is over.
    Done,
    /// The new program was refused; nothing changed.
    Refused,
    /// The new program did not prove itself; the old one is back.
    RolledBack,
}

impl UpgradePhase {
    /// Whether nothing more will happen.
    pub fn is_over(self) -> bool {
        matches!(self, Self::None | Self::Done | Self::Refused | Self::RolledBack)
    }
}

/// How an upgrade goes. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UpgradeState {
    /// How far it is.
    pub phase: UpgradePhase,
    /// Grows with each upgrade of this process.
    pub number: u64,
    /// The version before.
    pub from: String,
    /// The version after, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The new program.
    pub binary: String,
    /// Why it was refused or rolled back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Microseconds from the last act of the old program to the first of the new one that any unit could notice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec_micros: Option<u64>,
    /// Units whose processes were kept.
    pub kept: u64,
    /// Units that were moved to their new programs.
    pub rolled: Vec<String>,
    /// Units that were left, each with the reason; while units are moved, the names of those still to come.
    pub left: Vec<String>,
}
