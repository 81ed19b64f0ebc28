//! Requests, responses and events. Shapes as recorded from OpenClaw's gateways (protocol 3 and 4).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a client sends. Anything else closes the connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ClientFrame {
    /// A request.
    Req {
        /// An opaque string, repeated in the response.
        id: String,
        /// The method's name.
        method: String,
        /// The method's parameters; absent and `null` mean `{}`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        params: Option<Value>,
    },
}

/// A response. One request may get two with the same id (`agent`). Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResFrame {
    /// Always `res`.
    #[serde(rename = "type")]
    pub kind: ResTag,
    /// The request's id.
    pub id: String,
    /// Whether `payload` (or else `error`) is there.
    pub ok: bool,
    /// The result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorShape>,
}

/// The tag of a [`ResFrame`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResTag {
    /// `res`.
    Res,
}

impl ResFrame {
    /// A result.
    pub fn ok(id: impl Into<String>, payload: Value) -> Self {
        Self { kind: ResTag::Res, id: id.into(), ok: true, payload: Some(payload), error: None }
    }

    /// A failure.
    pub fn err(id: impl Into<String>, error: ErrorShape) -> Self {
        Self { kind: ResTag::Res, id: id.into(), ok: false, payload: None, error: Some(error) }
    }
}

/// An event. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventFrame {
    /// Always `event`.
    #[serde(rename = "type")]
    pub kind: EventTag,
    /// The event's name.
    pub event: String,
    /// The event's content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    /// Number within the connection, from 1, without gaps; absent on targeted events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Versions of the shared snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "stateVersion")]
    pub state_version: Option<StateVersion>,
}

/// The tag of an [`EventFrame`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EventTag {
    /// `event`.
    Event,
}

/// Versions of the snapshots of presence and health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct StateVersion {
    /// Of presence.
    pub presence: u64,
    /// Of health.
    pub health: u64,
}

/// An error as clients get it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorShape {
    /// `INVALID_REQUEST`, `NOT_PAIRED`, `UNAVAILABLE`, `FORBIDDEN`, `AGENT_TIMEOUT`, `NOT_LINKED`.
    pub code: String,
    /// A sentence; OpenClaw's own wording where its clients match on it.
    pub message: String,
    /// Machine-readable detail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Whether the same request may succeed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// Milliseconds to wait before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl ErrorShape {
    /// An error without detail.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            details: None,
            retryable: None,
            retry_after_ms: None,
        }
    }
}
