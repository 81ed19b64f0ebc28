//! The envelope: JSON-RPC 2.0, one message a line, no batches.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{ErrorClass, ErrorData};

/// A method that is answered.
pub trait Request {
    /// The method's name on the wire.
    const METHOD: &'static str;
    /// What the caller sends.
    type Params: Serialize + DeserializeOwned + JsonSchema;
    /// What the callee answers.
    type Result: Serialize + DeserializeOwned + JsonSchema;
}

/// A method that is not answered.
pub trait Notify {
    /// The method's name on the wire.
    const METHOD: &'static str;
    /// What the sender says.
    type Params: Serialize + DeserializeOwned + JsonSchema;
}

/// The error member of a response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// JSON-RPC code: -32700…-32600 for protocol errors, -32000 for everything of Creel's own.
    pub code: i64,
    /// A whole sentence.
    pub message: String,
    /// The class, and what goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<ErrorData>,
}

impl RpcError {
    /// The request was not understood as JSON.
    pub const PARSE: i64 = -32700;
    /// The method does not exist.
    pub const NO_METHOD: i64 = -32601;
    /// The parameters do not fit the method.
    pub const BAD_PARAMS: i64 = -32602;
    /// Every failure of Creel's own; `data.class` tells them apart.
    pub const APPLICATION: i64 = -32000;

    /// A failure of the given class.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { code: Self::APPLICATION, message: message.into(), data: Some(ErrorData::of(class)) }
    }

    /// Try again, but not before `retry_after_ms`.
    pub fn retry_after(message: impl Into<String>, retry_after_ms: u64) -> Self {
        let data =
            ErrorData { retry_after_ms: Some(retry_after_ms), ..ErrorData::of(ErrorClass::RetryAfter) };
        Self { code: Self::APPLICATION, message: message.into(), data: Some(data) }
    }

    /// The receiver does not know the method.
    pub fn no_method(method: &str) -> Self {
        let message = format!("The method `{method}` is not known here.");
        Self { code: Self::NO_METHOD, message, data: Some(ErrorData::of(ErrorClass::BadRequest)) }
    }

    /// The parameters do not fit.
    pub fn bad_params(method: &str, error: &serde_json::Error) -> Self {
        let message = format!("The parameters of `{method}` do not fit: {error}.");
        Self { code: Self::BAD_PARAMS, message, data: Some(ErrorData::of(ErrorClass::BadRequest)) }
    }

    /// The class; [`ErrorClass::Unknown`] when the peer gave none.
    pub fn class(&self) -> ErrorClass {
        self.data.as_ref().map_or(ErrorClass::Unknown, |data| data.class)
    }
}

/// One message of a link.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Expects a response with the same id.
    Request {
        /// Chosen by the sender, unique among its own requests.
        id: u64,
        /// The method's name.
        method: String,
        /// The method's parameters.
        params: Value,
    },
    /// Answers a request of the receiver.
    Response {
        /// The id of the request.
        id: u64,
        /// The method's result, or why there is none.
        outcome: Result<Value, RpcError>,
    },
    /// Expects nothing.
    Notification {
        /// The method's name.
        method: String,
        /// The method's parameters.
        params: Value,
    },
}

/// Why a line is not a message.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or not an object. Workers' libraries print such lines; they are counted and skipped.
    #[error("The line is not a JSON object: {0}.")]
    NotJson(String),
    /// JSON, but no JSON-RPC 2.0 message.
    #[error("The line is no JSON-RPC 2.0 message: {reason}.")]
    NotRpc {
        /// What is wrong.
        reason: &'static str,
        /// The request's id, where it could be read, so that it can be answered with an error.
        id: Option<u64>,
    },
}

#[derive(Deserialize)]
struct Envelope {
    jsonrpc: Option<String>,
    #[serde(default)]
    id: Option<Value>,
    method: Option<String>,
    #[serde(default)]
    params: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    result: Option<Value>,
    error: Option<RpcError>,
}

/// Tells `"result": null` (present) from no result at all.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Message {
    /// A request of a typed method.
    pub fn request<M: Request>(id: u64, params: &M::Params) -> Result<Self, serde_json::Error> {
        Ok(Self::Request { id, method: M::METHOD.to_owned(), params: serde_json::to_value(params)? })
    }

    /// A notification of a typed method.
    pub fn notification<M: Notify>(params: &M::Params) -> Result<Self, serde_json::Error> {
        Ok(Self::Notification { method: M::METHOD.to_owned(), params: serde_json::to_value(params)? })
    }

    /// The line, with its newline.
    pub fn encode(&self) -> Vec<u8> {
        let value = match self {
            Self::Request { id, method, params } => {
                json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
            }
            Self::Response { id, outcome: Ok(result) } => {
                json!({"jsonrpc": "2.0", "id": id, "result": result})
            }
            Self::Response { id, outcome: Err(error) } => json!({"jsonrpc": "2.0", "id": id, "error": error}),
            Self::Notification { method, params } => {
                json!({"jsonrpc": "2.0", "method": method, "params": params})
            }
        };
        let mut line = value.to_string().into_bytes();
        line.push(b'\n');
        line
    }

    /// Reads one line (without its newline).
    pub fn decode(line: &[u8]) -> Result<Self, DecodeError> {
        if line.first() != Some(&b'{') {
            return Err(DecodeError::NotJson("it does not begin with `{`".to_owned()));
        }
        let envelope: Envelope =
            serde_json::from_slice(line).map_err(|e| DecodeError::NotJson(e.to_string()))?;
        let id = envelope.id.as_ref().and_then(Value::as_u64);
        let bad = |reason| DecodeError::NotRpc { reason, id };
        if envelope.jsonrpc.as_deref() != Some("2.0") {
            return Err(bad("the member `jsonrpc` is not \"2.0\""));
        }
        if envelope.id.is_some() && id.is_none() {
            return Err(bad("the member `id` is not an unsigned integer"));
        }
        let params = envelope.params.unwrap_or(Value::Null);
        match (envelope.method, id, envelope.result, envelope.error) {
            (Some(method), Some(id), None, None) => Ok(Self::Request { id, method, params }),
            (Some(method), None, None, None) => Ok(Self::Notification { method, params }),
            (None, Some(id), Some(result), None) => Ok(Self::Response { id, outcome: Ok(result) }),
            (None, Some(id), None, Some(error)) => Ok(Self::Response { id, outcome: Err(error) }),
            _ => Err(bad("it is neither a request, a notification nor a response")),
        }
    }
}

/// Reads the parameters of a typed method; the error can be sent back as it is.
pub fn params<T: DeserializeOwned>(method: &str, params: Value) -> Result<T, RpcError> {
    serde_json::from_value(params).map_err(|error| RpcError::bad_params(method, &error))
}
