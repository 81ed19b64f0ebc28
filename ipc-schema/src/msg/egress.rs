//! Supervisor ↔ egress, over egress's stdio, and what the gateway hears of it.
//!
//! The policy of a listener is the operator's and comes from the supervisor alone: a gateway that was taken over
//! cannot widen it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{notify, request};

/// Configuration of egress. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EgressConfig {
    /// A `tracing` filter, such as `info`.
    pub log_level: Option<String>,
    /// The file of the access log, which egress may write and turn over; without it none is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_log: Option<String>,
}

/// One destination that a unit may reach. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostRule {
    /// An exact host name or address; `*.` and a name, for every name below it; or `*` for every host.
    pub host: String,
    /// The port; 0 is every port.
    pub port: u16,
    /// Whether the operator wrote this very host although it is private or loopback (a local model).
    #[serde(default)]
    pub private: bool,
    /// Whether the stream must be TLS for that host. Without it other protocols (IRC, plain HTTP) pass.
    #[serde(default)]
    pub tls: bool,
    /// The configuration key that this rule comes from, for messages.
    pub source: String,
}

/// What holds for all connections of a unit. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EgressTerms {
    /// The configuration keys that hold the unit's hosts, for messages.
    pub key: String,
    /// Whose budget its connections use; its own when absent. All tool runs of an agent share one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The budget of that account.
    pub budget: EgressBudget,
}

impl EgressTerms {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What the connections of one account may use. What is absent has no limit. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EgressBudget {
    /// Connections that are open at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Connections that are opened within a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_per_minute: Option<u32>,
    /// Bytes from the unit within a day, which begins with the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_up_per_day: Option<u64>,
    /// Bytes to the unit within that day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_down_per_day: Option<u64>,
    /// Seconds in which no byte moves either way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<u32>,
    /// Seconds that a connection is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_seconds: Option<u32>,
}

/// A unit's listener and what may be reached through it. Replaces an earlier one of the unit. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EgressAttach {
    /// Always 1.
    pub fds: u32,
    /// The unit's name.
    pub unit: String,
    /// Number of the unit's incarnation.
    pub incarnation: u64,
    /// What may be reached. Empty means nothing.
    pub allow: Vec<HostRule>,
    /// What holds for all of its connections.
    #[serde(default, skip_serializing_if = "EgressTerms::is_empty")]
    pub terms: EgressTerms,
}
notify!(EgressAttach, "egress.attach");

/// New rules for a unit whose listener stays. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EgressAllow {
    /// The unit's name.
    pub unit: String,
    /// What may be reached.
    pub allow: Vec<HostRule>,
    /// What holds for all of its connections.
    #[serde(default, skip_serializing_if = "EgressTerms::is_empty")]
    pub terms: EgressTerms,
}
notify!(EgressAllow, "egress.allow");

/// A unit ended: close its listener and its connections. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EgressDetach {
    /// The unit's name.
    pub unit: String,
    /// Number of the incarnation that ended; a newer one stays.
    pub incarnation: u64,
}
notify!(EgressDetach, "egress.detach");

/// A unit tried to reach what it may not. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EgressDenied {
    /// The unit's name.
    pub unit: String,
    /// The host that it asked for.
    pub host: String,
    /// The port that it asked for.
    pub port: u16,
    /// A sentence naming the rule and the configuration key that would allow it.
    pub reason: String,
    /// How often since the last report of the same destination.
    pub count: u64,
}
notify!(EgressDenied, "egress.denied");

/// How a connection ended. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EgressVerdict {
    /// It was allowed, and both sides came to their end.
    Done,
    /// It was refused, and no byte of it left.
    Denied,
    /// It was allowed and ended for a limit or for what was sent.
    Cut,
    /// It was allowed; the destination could not be reached, or either side broke.
    Failed,
}

/// One line of the access log: one connection, or several of one kind that were refused in one go. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EgressRecord {
    /// When it ended, milliseconds since 1970 in UTC.
    pub at_ms: i64,
    /// The unit.
    pub unit: String,
    /// Whose budget it used, where that is not the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The host that was asked for; empty when the request could not be read.
    pub host: String,
    /// The port that was asked for; 0 when the request could not be read.
    pub port: u16,
    /// The address that was dialled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The configuration key that allowed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Bytes from the unit.
    pub up: u64,
    /// Bytes to the unit.
    pub down: u64,
    /// Milliseconds from its beginning to its end.
    pub ms: u64,
    /// How it ended.
    pub verdict: EgressVerdict,
    /// Why, unless all went well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Connections to this destination that were refused since the line before and have none of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<u64>,
}

/// A connection that is only thought of. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EgressTestParams {
    /// The unit's name.
    pub unit: String,
    /// The host as a program would write it.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether to really connect, and to send nothing.
    #[serde(default)]
    pub connect: bool,
}

/// What egress would say. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EgressTestResult {
    /// Whether a connection would be allowed.
    pub allowed: bool,
    /// The configuration key that names the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Whether the stream would have to be TLS for that host.
    #[serde(default)]
    pub tls: bool,
    /// What the name resolves to; empty when it was not asked for.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The address that answered, when a connection was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected: Option<String>,
}

request!(
    /// Asks what egress would say to a connection of a unit. Since: 1.0.
    EgressTest, "egress.test", EgressTestParams => EgressTestResult
);
