//! Gateway ↔ supervisor, over the gateway's stdio.
//!
//! Frames that carry file descriptors say how many in `fds`; descriptors are taken in order of arrival.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::egress::EgressDenied;
use super::unit::{ExitCause, SelfTested, UnitStatus};
use super::{Empty, notify, request};
use crate::hello::Role;
use crate::secret::{Secret, reveal};

/// Configuration of the gateway. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayConfig {
    /// The home directory, as `CREEL_HOME` names it.
    pub home: String,
    /// The configuration file; it need not exist.
    pub config_file: String,
    /// Where the database, the token and blobs live.
    pub state_dir: String,
    /// Grows with each applied configuration.
    pub generation: u64,
    /// The machine's host name: the gateway's name among others, where the configuration has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The environment of the supervisor, which `${VAR}` in the configuration and provider keys refer to. The
    /// gateway's own environment holds none of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", serialize_with = "reveal")]
    pub env: BTreeMap<String, Secret>,
}

/// The listening socket of the one port. The supervisor keeps a duplicate, so that connections wait in its
/// backlog while the gateway is restarted. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayListen {
    /// Always 1.
    pub fds: u32,
    /// The address that it is bound to.
    pub address: String,
}
notify!(GatewayListen, "gateway.listen");

/// Here is the gateway's end of a worker's link. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnitAttached {
    /// Always 1.
    pub fds: u32,
    /// The unit's name.
    pub unit: String,
    /// `agent` or `channel`.
    pub kind: Role,
    /// Number of the worker's incarnation.
    pub incarnation: u64,
    /// Whether no gateway had this link before. If not, the link must be renewed.
    pub fresh: bool,
}
notify!(UnitAttached, "unit.attached");

request!(
    /// Connect to a database server that the configuration names, and to no other. [`DatabaseDialed`] with the connected
    /// socket comes before the answer. Since: 1.0.
    DatabaseDial, "database.dial", DatabaseDialParams => Empty
);

/// Parameters of [`DatabaseDial`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseDialParams {
    /// Names this connection.
    pub dial: u64,
    /// Which of the servers that the configuration names, from 0 in its order.
    #[serde(default, skip_serializing_if = "is_first")]
    pub server: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_first(server: &u32) -> bool {
    *server == 0
}

/// Here is a connection to the database server. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseDialed {
    /// Always 1.
    pub fds: u32,
    /// The name of the [`DatabaseDial`] that it belongs to.
    pub dial: u64,
}
notify!(DatabaseDialed, "database.dialed");

/// A worker ended. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnitGone {
    /// The unit's name.
    pub unit: String,
    /// Number of the incarnation that ended.
    pub incarnation: u64,
    /// Why.
    pub cause: ExitCause,
}
notify!(UnitGone, "unit.gone");

/// A unit's status changed. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnitChanged {
    /// The new status.
    pub status: UnitStatus,
}
notify!(UnitChanged, "unit.changed");

/// A worker was welcomed and said ready. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnitReady {
    /// The unit's name.
    pub unit: String,
    /// Number of the incarnation.
    pub incarnation: u64,
    /// What it found when it tried what must be forbidden; absent when it did not try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selftest: Option<SelfTested>,
}
notify!(UnitReady, "unit.ready");

/// A worker must be replaced. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnitFault {
    /// The unit's name.
    pub unit: String,
    /// Number of the incarnation; a fault of an older one is ignored.
    pub incarnation: u64,
    /// [`ExitCause::Watchdog`], [`ExitCause::Protocol`], [`ExitCause::Sandbox`] for a self-test that failed, or
    /// [`ExitCause::Busy`] for one that cannot be welcomed while the disk is full.
    pub cause: ExitCause,
    /// A sentence.
    pub detail: String,
}
notify!(UnitFault, "unit.fault");

/// With this word and the path of a database as its arguments a gateway's program only tells whether it could go on with that
/// database: exit code 0, or a sentence on standard error. Since: 1.0.
pub const REHEARSE: &str = "rehearse";

request!(
    /// How all units are doing. Since: 1.0.
    UnitsStatus, "units.status", Empty => Units
);

/// All units. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Units {
    /// One row a unit.
    pub units: Vec<UnitStatus>,
    /// The measured isolation level of the host.
    pub level: String,
    /// The supervisor's process id.
    pub supervisor_pid: u32,
    /// Proportional memory of the supervisor in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor_pss_bytes: Option<u64>,
    /// Resident memory of the supervisor in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor_rss_bytes: Option<u64>,
    /// Processor time of the supervisor in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor_cpu_ms: Option<u64>,
    /// The supervisor's version.
    pub version: String,
    /// Milliseconds since the supervisor started.
    pub uptime_ms: u64,
    /// The last error of a reload, until one succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_error: Option<String>,
}

request!(
    /// Restart one unit; lifts its quarantine. Since: 1.0.
    UnitRestart, "unit.restart", UnitName => Empty
);

request!(
    /// Stop one unit. It stays down, over a reload and over a restart of the supervisor, until somebody starts it.
    /// Answered when the stop has begun. Since: 1.0.
    UnitStop, "unit.stop", UnitName => Empty
);

request!(
    /// Start a unit that was stopped or set aside; one that runs does not mind. Since: 1.0.
    UnitStart, "unit.start", UnitName => Empty
);

request!(
    /// Ask the gateway for a moment at which a unit can be replaced: none of these workers is in the middle of anything.
    /// New work is held back from them meanwhile, and after a yes until the unit runs again. Since: 1.0.
    UnitDrain, "unit.drain", UnitDrainParams => UnitDrained
);

/// Parameters of [`UnitDrain`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnitDrainParams {
    /// The unit that is to be replaced.
    pub unit: String,
    /// Number of its incarnation.
    pub incarnation: u64,
    /// The workers whose work it would cut: itself, or all that have their network through it.
    pub workers: Vec<UnitLife>,
    /// How long to wait for such a moment, in milliseconds.
    pub deadline_ms: u64,
}

/// One life of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnitLife {
    /// The unit's name.
    pub unit: String,
    /// Number of the incarnation.
    pub incarnation: u64,
}

/// The answer to [`UnitDrain`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnitDrained {
    /// Whether all of them are idle. If not, nothing is held back any more.
    pub idle: bool,
}

/// Names a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnitName {
    /// The unit's name.
    pub unit: String,
}

request!(
    /// Read the configuration again and apply what changed. A bad file changes nothing. Since: 1.0.
    ConfigReload, "config.reload", Empty => Reloaded
);

/// What a reload did. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reloaded {
    /// The new generation.
    pub generation: u64,
    /// One sentence for each unit that was started, stopped or restarted.
    pub changes: Vec<String>,
}

/// The configuration file was applied: read it again. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigApplied {
    /// The new generation.
    pub generation: u64,
}
notify!(ConfigApplied, "config.applied");

/// A unit tried to reach what it may not. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnitDenied {
    /// What was denied.
    pub denied: EgressDenied,
}
notify!(UnitDenied, "unit.denied");

/// End: finish what is being written and exit. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shutdown {
    /// A sentence.
    pub reason: String,
    /// Milliseconds until SIGKILL.
    pub deadline_ms: u64,
}
notify!(Shutdown, "shutdown");
