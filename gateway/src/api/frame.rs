//! Reading what a client sends, and writing what it gets. Pure.

use creel_ipc::client::{ErrorShape, ResFrame};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::params::{self, Kind, NAME, Shape, may, must};

/// Bytes of the parameters of a method that takes no files.
pub(crate) const SMALL_PARAMS: usize = 512 * 1024;

const REQUEST: Shape = Shape {
    fields: &[
        must("type", Kind::Word(&["req"])),
        must("id", NAME),
        must("method", NAME),
        may("params", Kind::Any),
        may("traceparent", Kind::Any),
        may("expectedProfileId", Kind::Any),
    ],
    open: true,
};

/// A request.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// Repeated in the response.
    pub(crate) id: String,
    /// The method's name.
    pub(crate) method: String,
    /// Not yet read: a method may refuse it by its size.
    pub(crate) params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    method: String,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// A frame that is no request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoRequest {
    /// The id to answer to, where one could be read.
    pub(crate) id: String,
    /// What is wrong with it.
    pub(crate) complaint: String,
}

impl NoRequest {
    /// The answer to it.
    pub(crate) fn answer(&self) -> String {
        error(
            &self.id,
            ErrorShape::new("INVALID_REQUEST", format!("invalid request frame: {}", self.complaint)),
        )
    }
}

/// Reads a text frame.
pub(crate) fn read(text: &str) -> Result<Request<'_>, NoRequest> {
    match serde_json::from_str::<Envelope<'_>>(text) {
        Ok(frame) if frame.kind == "req" && !frame.id.is_empty() && !frame.method.is_empty() => {
            Ok(Request { id: frame.id, method: frame.method, params: frame.params })
        }
        _ => Err(explain(text)),
    }
}

/// Looks at a frame again, only to say what is wrong with it.
fn explain(text: &str) -> NoRequest {
    let nobody = |complaint: &str| NoRequest { id: "invalid".to_owned(), complaint: complaint.to_owned() };
    if text.len() > SMALL_PARAMS {
        return nobody("it is no request, and too large to say why");
    }
    let value: Value = match serde_json::from_str(text) {
        Ok(Value::Array(_)) => return nobody("must be object (no batches here; POST one to /rpc)"),
        Ok(value) => value,
        Err(error) => return nobody(&format!("it is not JSON: {error}")),
    };
    let id = match value.get("id") {
        Some(Value::String(id)) if !id.is_empty() => super::fault::shown(id),
        _ => "invalid".to_owned(),
    };
    let complaint = params::complaint(&REQUEST, &value).unwrap_or_else(|| "a member occurs twice".to_owned());
    NoRequest { id, complaint }
}

/// A successful response.
pub(crate) fn ok(id: &str, payload: Value) -> String {
    write(&ResFrame::ok(id, payload))
}

/// A failure.
pub(crate) fn error(id: &str, error: ErrorShape) -> String {
    write(&ResFrame::err(id, error))
}

/// A response.
pub(crate) fn write(frame: &ResFrame) -> String {
    // A `Value` always serialises; an empty text would only close the one connection.
    serde_json::to_string(frame).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_without_its_params() {
        let request = read(r#"{"type":"req","id":"1","method":"health","traceparent":"00-a"}"#).unwrap();
        assert_eq!((request.id.as_str(), request.method.as_str()), ("1", "health"));
        assert!(request.params.is_none());
    }

    #[test]
    fn what_is_no_request_is_answered_with_what_is_wrong() {
        let said = |text: &str| read(text).unwrap_err();
        assert_eq!(said(r#"{"type":"req","id":"7"}"#).complaint, "must have required property 'method'");
        assert_eq!(said(r#"{"type":"req","id":"7"}"#).id, "7");
        assert_eq!(said(r#"{"type":"res","id":"7","method":"a"}"#).id, "7");
        assert!(said("[]").complaint.contains("/rpc"));
        assert!(said("{").complaint.starts_with("it is not JSON"));
        assert!(said("nonsense").answer().contains(r#""id":"invalid""#));
    }
}
