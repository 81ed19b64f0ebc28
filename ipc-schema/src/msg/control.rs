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
