//! Error classes: what the receiver of an error may do about it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The class of a failure, so that nobody has to read the sentence to act on it. Since: 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// Try again, not before `retryAfterMs`; nothing was done.
    RetryAfter,
    /// Try again later; nothing was done.
    Transient,
    /// Somebody else holds the resource (a second poller, a stale epoch).
    Conflict,
    /// The credential is refused; a human must act.
    AuthFatal,
    /// The configuration is wrong; a human must act.
    ConfigFatal,
    /// This one request is wrong; others may work.
    BadRequest,
    /// The request left, the answer never came: it may or may not have been done.
    UnknownOutcome,
    /// The peer's code has a class that this build does not know.
    #[serde(other)]
    Unknown,
}

/// The `data` member of a JSON-RPC error. Since: 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorData {
    /// What may be done about it.
    pub class: ErrorClass,
    /// Milliseconds to wait, for [`ErrorClass::RetryAfter`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Parts of an outbound message that the platform had accepted before the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts_sent: Option<u32>,
}

impl ErrorData {
    /// Data of a class without further detail.
    pub fn of(class: ErrorClass) -> Self {
        Self { class, retry_after_ms: None, parts_sent: None }
    }
}
