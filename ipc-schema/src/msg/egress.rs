//! Supervisor ↔ egress, over egress's stdio, and what the gateway hears of it.
//!
//! The policy of a listener is the operator's and comes from the supervisor alone: a gateway that was taken over
//! cannot widen it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::notify;

/// Configuration of egress. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EgressConfig {
    /// A `tracing` filter, such as `info`.
    pub log_level: Option<String>,
}

/// One destination that a unit may reach. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostRule {
    /// An exact host name or address, or `*.` and a suffix on a label boundary.
    pub host: String,
    /// The port.
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
