//! The handshake of a client: `connect.challenge` → `connect` → `hello-ok`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::frames::StateVersion;
use crate::secret::{Secret, reveal};

/// Parameters of `connect`. Unknown keys are ignored: newer clients send more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectParams {
    /// The lowest protocol that the client speaks.
    pub min_protocol: u32,
    /// The highest protocol that the client speaks.
    pub max_protocol: u32,
    /// What the client is.
    pub client: ClientInfo,
    /// Optional abilities, such as `tool-events`.
    #[serde(default)]
    pub caps: Vec<String>,
    /// `operator` (when absent) or `node`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Scopes that the client asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<ConnectAuth>,
    /// Device identity; checked by the full protocol only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Value>,
    /// Such as `en-US`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Such as a browser's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// What a client is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientInfo {
    /// One of OpenClaw's client ids, such as `cli` or `openclaw-control-ui`.
    pub id: String,
    /// For lists of clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The client's version.
    pub version: String,
    /// Such as `linux` or `web`.
    pub platform: String,
    /// `webchat`, `cli`, `ui`, `backend`, `node`, `worker`, `probe` or `test`.
    pub mode: String,
    /// One of several clients of the same kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
}

/// Credentials of a client.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ConnectAuth {
    /// The gateway's token.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "reveal")]
    pub token: Option<Secret>,
    /// The gateway's password; some clients send the token here too.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "reveal")]
    pub password: Option<Secret>,
}

/// The payload of a successful `connect`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelloOk {
    /// Always `hello-ok`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The negotiated protocol, 3 or 4.
    pub protocol: u32,
    /// What the gateway is.
    pub server: ServerInfo,
    /// What it can do.
    pub features: Features,
    /// State at this moment.
    pub snapshot: Snapshot,
    /// What the client was granted.
    pub auth: Granted,
    /// Limits of the connection.
    pub policy: Policy,
}

/// What the gateway is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerInfo {
    /// The gateway's version.
    pub version: String,
    /// This connection.
    pub conn_id: String,
}

/// What the gateway can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Features {
    /// Methods that may be called.
    pub methods: Vec<String>,
    /// Events that may come.
    pub events: Vec<String>,
}

/// State at the moment of the handshake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Who is connected.
    pub presence: Vec<Value>,
    /// The result of `health`.
    pub health: Value,
    /// Versions of both.
    pub state_version: StateVersion,
    /// Milliseconds since the gateway started.
    pub uptime_ms: u64,
    /// Where a client that names no session ends up.
    pub session_defaults: SessionDefaults,
    /// `token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_mode: Option<String>,
}

/// Where a client that names no session ends up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionDefaults {
    /// The default agent.
    pub default_agent_id: String,
    /// The short name of the main session.
    pub main_key: String,
    /// Its full key.
    pub main_session_key: String,
}

/// What the client was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Granted {
    /// `operator` or `node`.
    pub role: String,
    /// Scopes.
    pub scopes: Vec<String>,
}

/// Limits of the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Bytes of one frame.
    pub max_payload: u64,
    /// Bytes that may wait for a slow client.
    pub max_buffered_bytes: u64,
    /// Milliseconds between two `tick` events.
    pub tick_interval_ms: u64,
}
