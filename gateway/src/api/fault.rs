//! Why a client does not get what it asked for, in the words of each protocol.

use creel_ipc::client::ErrorShape;
use serde_json::{Value, json};

use super::scope::Scope;
use crate::hub::{HubClass, HubError};

/// A protocol of the typed frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    /// OpenClaw 2026.1.
    V3,
    /// OpenClaw since 2026.5.
    V4,
}

impl Protocol {
    /// The number in `hello-ok`.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::V3 => 3,
            Self::V4 => 4,
        }
    }
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// No method of this name.
    UnknownMethod(String),
    /// The client was not granted what the method needs.
    MissingScope(Scope),
    /// The method is not for clients of this role.
    WrongRole(String),
    /// The parameters do not fit the method's shape.
    Params {
        /// The method.
        method: String,
        /// What is wrong.
        complaint: String,
    },
    /// The gateway's core refused.
    Hub(HubError),
    /// Too much at once.
    Busy(String),
}

impl From<HubError> for Fault {
    fn from(error: HubError) -> Self {
        Self::Hub(error)
    }
}

impl Fault {
    /// A request that cannot work as it is.
    pub(crate) fn invalid(sentence: impl Into<String>) -> Self {
        Self::Hub(HubError::invalid(sentence))
    }

    /// The error member of a response.
    pub(crate) fn shape(&self, protocol: Protocol) -> ErrorShape {
        match self {
            Self::UnknownMethod(name) => {
                ErrorShape::new("INVALID_REQUEST", format!("unknown method: {}", shown(name)))
            }
            Self::MissingScope(scope) => missing_scope(*scope, protocol),
            Self::WrongRole(role) => {
                let code = if protocol == Protocol::V3 { "INVALID_REQUEST" } else { "FORBIDDEN" };
                ErrorShape::new(code, format!("unauthorized role: {}", shown(role)))
            }
            Self::Params { method, complaint } => {
                ErrorShape::new("INVALID_REQUEST", format!("invalid {method} params: {complaint}"))
            }
            Self::Hub(error) => of_hub(error),
            Self::Busy(sentence) => ErrorShape {
                retryable: Some(true),
                retry_after_ms: Some(1_000),
                ..ErrorShape::new("UNAVAILABLE", sentence)
            },
        }
    }

    /// The JSON-RPC error code that goes with it.
    pub(crate) fn rpc_code(&self) -> i32 {
        match self {
            Self::UnknownMethod(_) => -32601,
            Self::Params { .. } => -32602,
            _ => -32000,
        }
    }

    /// The JSON-RPC error data: the same class and detail that the typed frames carry.
    pub(crate) fn rpc_data(&self) -> Value {
        let shape = self.shape(Protocol::V4);
        let mut data = json!({"code": shape.code});
        if let Some(details) = shape.details {
            data["details"] = details;
        }
        if let Some(retryable) = shape.retryable {
            data["retryable"] = retryable.into();
        }
        if let Some(after) = shape.retry_after_ms {
            data["retryAfterMs"] = after.into();
        }
        data
    }
}

fn missing_scope(scope: Scope, protocol: Protocol) -> ErrorShape {
    let message = format!("missing scope: {scope}");
    if protocol == Protocol::V3 {
        return ErrorShape::new("INVALID_REQUEST", message);
    }
    let details = json!({
        "code": "MISSING_SCOPE", "missingScope": scope.as_str(), "requiredScopes": [scope.as_str()],
    });
    ErrorShape { details: Some(details), ..ErrorShape::new("FORBIDDEN", message) }
}

fn of_hub(error: &HubError) -> ErrorShape {
    match error.class {
        HubClass::Invalid => ErrorShape::new("INVALID_REQUEST", &error.sentence),
        HubClass::NotFound | HubClass::Conflict => ErrorShape {
            details: Some(json!({"code": error.class.as_str().to_ascii_uppercase()})),
            ..ErrorShape::new("INVALID_REQUEST", &error.sentence)
        },
        HubClass::Unavailable => {
            ErrorShape { retryable: Some(true), ..ErrorShape::new("UNAVAILABLE", &error.sentence) }
        }
    }
}

/// A client's own words, short enough to be said back.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(128).collect()
}
