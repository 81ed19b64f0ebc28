//! The first lines of a link.
//!
//! A worker says [`Hello`] at once when it starts and again whenever a gateway that took over the link says
//! [`Renew`]; the gateway answers with [`Welcome`] or [`Reject`]. After a welcome both ends send every
//! unanswered request again, oldest first. The shape of [`Hello`] never changes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::msg::agent::{AgentConfig, TurnRef};
use crate::msg::channel::{ChannelConfig, Lease};
use crate::msg::egress::EgressConfig;
use crate::msg::supervisor::GatewayConfig;
use crate::rpc::Notify;

/// The version that this build speaks.
pub const PROTOCOL: Protocol = Protocol { major: 1, minor: 0 };

/// Version of the contract. A different major is refused; a higher minor is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Protocol {
    /// Changed when an old peer could misunderstand.
    pub major: u16,
    /// Changed when something was added.
    pub minor: u16,
}

impl Protocol {
    /// Whether the two ends understand each other.
    pub fn accepts(self, other: Self) -> bool {
        self.major == other.major
    }
}

/// What a unit is for. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Owns the state and the one port.
    Gateway,
    /// The only way out.
    Egress,
    /// One agent.
    Agent,
    /// One channel account.
    Channel,
    /// One command of an agent.
    Tool,
}

/// The worker introduces itself. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// The version the worker speaks.
    pub protocol: Protocol,
    /// What the worker is for.
    pub role: Role,
    /// Its unit, such as `agent:main`.
    pub unit: String,
    /// Its process id as it sees it (1 inside a process namespace).
    pub pid: u32,
    /// Its build, such as `0.1.0`.
    pub build: String,
    /// Optional abilities.
    #[serde(default)]
    pub caps: Vec<String>,
    /// The session of the [`Renew`] that this answers; absent at the worker's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Turns that the worker is in the middle of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<TurnRef>,
    /// What the worker found when it tried what must be forbidden; absent when it did not try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selftest: Option<SelfTest>,
}

/// Result of a unit's own attempts to leave its sandbox. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SelfTest {
    /// Names of the attempts that were denied, as they must be.
    pub denied: Vec<String>,
    /// Names of the attempts that worked. Not empty means: the sandbox is weaker than it claims.
    pub escaped: Vec<String>,
}

impl Notify for Hello {
    const METHOD: &'static str = "hello";
    type Params = Self;
}

/// The gateway (or, for gateway and egress, the supervisor) takes the worker in. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    /// The version the link will speak.
    pub protocol: Protocol,
    /// Names this life of the peer; a new gateway has a new one.
    pub session: String,
    /// Fencing epoch of the account or agent, checked by every write.
    pub epoch: u64,
    /// Limits of the link.
    #[serde(default)]
    pub limits: Limits,
    /// The worker's own configuration, secrets included.
    pub config: WorkerConfig,
    /// The last platform cursor that was stored with an inbound message of this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Until when the account is this worker's; without it, it always is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
}

impl Notify for Welcome {
    const METHOD: &'static str = "welcome";
    type Params = Self;
}

/// Configuration by role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum WorkerConfig {
    /// For the gateway.
    Gateway(GatewayConfig),
    /// For egress.
    Egress(EgressConfig),
    /// For an agent worker.
    Agent(Box<AgentConfig>),
    /// For a channel worker.
    Channel(ChannelConfig),
}

/// The worker is not taken in and exits with the code. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reject {
    /// A whole sentence.
    pub reason: String,
    /// What the worker exits with.
    pub exit_code: u8,
}

impl Notify for Reject {
    const METHOD: &'static str = "reject";
    type Params = Self;
}

/// A new gateway took over the link: introduce yourself again. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Renew {
    /// To be repeated in the [`Hello`].
    pub session: String,
}

impl Notify for Renew {
    const METHOD: &'static str = "renew";
    type Params = Self;
}

/// The worker is up and takes work. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ready {}

impl Notify for Ready {
    const METHOD: &'static str = "ready";
    type Params = Self;
}

/// The worker's configuration changed without a restart (log level, streaming mode). Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reconfigure {
    /// The whole new configuration.
    pub config: WorkerConfig,
}

impl Notify for Reconfigure {
    const METHOD: &'static str = "reconfigure";
    type Params = Self;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_minor_is_accepted_and_another_major_is_not() {
        assert!(PROTOCOL.accepts(Protocol { major: 1, minor: 9 }));
        assert!(!PROTOCOL.accepts(Protocol { major: 2, minor: 0 }));
    }
}
