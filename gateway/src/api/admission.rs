//! The decision about `connect`: who the client is, which protocol it gets and what it may do. Pure.
//!
//! Rights come from the token alone. A device identity is accepted so that OpenClaw's clients can connect, but
//! it is not verified yet and gives no right: the issue for the full protocol checks its signature and pairs it.

use creel_ipc::client::{ConnectParams, ErrorShape};
use serde_json::{Value, json};

use super::fault::{Protocol, shown};
use super::params::{self, Kind, NAME, Shape, TEXT, may, must};
use super::scope::{Scopes, asked};

const CLIENT_IDS: &[&str] = &[
    "webchat-ui",
    "openclaw-control-ui",
    "openclaw-browser-copilot",
    "openclaw-tui",
    "webchat",
    "cli",
    "gateway-client",
    "openclaw-macos",
    "openclaw-linux",
    "openclaw-ios",
    "openclaw-watchos",
    "openclaw-android",
    "node-host",
    "openclaw-worker",
    "test",
    "fingerprint",
    "openclaw-probe",
];
const CLIENT_MODES: &[&str] = &["webchat", "cli", "ui", "backend", "node", "worker", "probe", "test"];

const CLIENT: Shape = Shape {
    fields: &[
        must("id", Kind::Word(CLIENT_IDS)),
        may("displayName", NAME),
        must("version", NAME),
        must("platform", NAME),
        may("deviceFamily", NAME),
        may("modelIdentifier", NAME),
        must("mode", Kind::Word(CLIENT_MODES)),
        may("instanceId", NAME),
    ],
    open: true,
};
const DEVICE: Shape = Shape {
    fields: &[
        must("id", NAME),
        must("publicKey", NAME),
        must("signature", NAME),
        must("signedAt", params::COUNT),
        may("nonce", NAME),
    ],
    open: true,
};
const AUTH: Shape = Shape { fields: &[may("token", TEXT), may("password", TEXT)], open: true };
const CONNECT: Shape = Shape {
    fields: &[
        must("minProtocol", Kind::Int(1, u32::MAX as i64)),
        must("maxProtocol", Kind::Int(1, u32::MAX as i64)),
        must("client", Kind::Object(&CLIENT)),
        may("caps", Kind::Texts),
        may("role", NAME),
        may("scopes", Kind::Texts),
        may("device", Kind::Object(&DEVICE)),
        may("auth", Kind::Object(&AUTH)),
        may("locale", TEXT),
        may("userAgent", TEXT),
    ],
    open: true,
};

/// What a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A person's client.
    Operator,
    /// A device that offers abilities. None of the methods here are for it yet.
    Node,
}

impl Role {
    /// The word on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Node => "node",
        }
    }
}

/// A client that was let in.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    /// The negotiated protocol.
    pub(crate) protocol: Protocol,
    /// What it is.
    pub(crate) role: Role,
    /// What it may do.
    pub(crate) scopes: Scopes,
    /// What it said of itself.
    pub(crate) params: ConnectParams,
}

/// A client that was not let in: the answer, and how its connection is closed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    /// The error of the response.
    pub(crate) error: ErrorShape,
    /// The close code.
    pub(crate) close: u16,
    /// The close reason.
    pub(crate) reason: String,
    /// Whether it counts as a wrong guess of the token.
    pub(crate) guess: bool,
}

impl Refusal {
    /// A plain refusal with close code 1008.
    pub(crate) fn new(error: ErrorShape) -> Self {
        Self { close: 1008, reason: close_reason(&error.message), error, guess: false }
    }

    /// Too many wrong tokens from one address.
    pub(crate) fn rate_limited(retry_after_ms: u64) -> Self {
        let details = json!({
            "code": "AUTH_RATE_LIMITED", "authReason": "rate_limited", "canRetryWithDeviceToken": false,
            "recommendedNextStep": "wait_then_retry",
        });
        let message = "unauthorized: too many failed authentication attempts (retry later)";
        Self::new(ErrorShape {
            details: Some(details),
            retryable: Some(true),
            retry_after_ms: Some(retry_after_ms),
            ..ErrorShape::new("INVALID_REQUEST", message)
        })
    }
}

/// A close reason fits in a control frame: 123 bytes.
pub(crate) fn close_reason(text: &str) -> String {
    let end = (0..=text.len().min(120)).rev().find(|&n| text.is_char_boundary(n)).unwrap_or(0);
    text[..end].to_owned()
}

fn invalid(message: impl Into<String>, details: Option<Value>) -> Box<Refusal> {
    Box::new(Refusal::new(ErrorShape { details, ..ErrorShape::new("INVALID_REQUEST", message) }))
}

/// Picks the newest protocol that both sides speak.
///
/// A probe that only offers 3 is answered in protocol 3: unlike OpenClaw's newer gateways, this one speaks it.
pub(crate) fn negotiate(min: u32, max: u32) -> Option<Protocol> {
    [Protocol::V4, Protocol::V3].into_iter().find(|protocol| (min..=max).contains(&protocol.number()))
}

fn mismatch(min: u32, max: u32) -> Box<Refusal> {
    let details = json!({
        "code": "PROTOCOL_MISMATCH", "clientMinProtocol": min, "clientMaxProtocol": max,
        "expectedProtocol": 4, "minimumProbeProtocol": 3,
    });
    let mut refusal = invalid("protocol mismatch", Some(details));
    refusal.close = 1002;
    refusal
}

/// Decides about the parameters of `connect`.
pub(crate) fn decide(
    params: &Value,
    origin_allowed: bool,
    token_ok: impl Fn(&str) -> bool,
) -> Result<Admitted, Box<Refusal>> {
    if let Some(complaint) = params::complaint(&CONNECT, params) {
        return Err(invalid(format!("invalid connect params: {complaint}"), None));
    }
    let params: ConnectParams = serde_json::from_value(params.clone())
        .map_err(|error| invalid(format!("invalid connect params: {error}"), None))?;
    let (min, max) = (params.min_protocol, params.max_protocol);
    let protocol = negotiate(min, max).ok_or_else(|| mismatch(min, max))?;
    let role = match params.role.as_deref() {
        None | Some("operator") => Role::Operator,
        Some("node") => Role::Node,
        Some(other) => return Err(invalid(format!("invalid role: {}", shown(other)), None)),
    };
    if !origin_allowed {
        let message = "origin not allowed (open the page from the gateway's own address)";
        return Err(invalid(message, Some(json!({"code": "CONTROL_UI_ORIGIN_NOT_ALLOWED"}))));
    }
    authenticate(&params, protocol, token_ok)?;
    let scopes = granted(&params, protocol, role);
    Ok(Admitted { protocol, role, scopes, params })
}

fn granted(params: &ConnectParams, protocol: Protocol, role: Role) -> Scopes {
    match (&params.scopes, role) {
        (_, Role::Node) => Scopes::default(),
        (Some(names), _) if !names.is_empty() => asked(names.iter().map(String::as_str)),
        // The old protocol's operators without scopes are administrators.
        _ if protocol == Protocol::V3 => asked(["operator.admin"]),
        _ => Scopes::default(),
    }
}

fn authenticate(
    params: &ConnectParams,
    protocol: Protocol,
    token_ok: impl Fn(&str) -> bool,
) -> Result<(), Box<Refusal>> {
    let auth = params.auth.as_ref();
    let given = [auth.and_then(|auth| auth.token.as_ref()), auth.and_then(|auth| auth.password.as_ref())];
    let mut given = given.into_iter().flatten().filter(|secret| !secret.is_empty()).peekable();
    let nothing_given = given.peek().is_none();
    // Both are always compared, so that the time does not tell which one was right.
    if given.fold(false, |right, secret| token_ok(secret.expose()) | right) {
        return Ok(());
    }
    let detailed = protocol == Protocol::V4;
    if nothing_given && params.device.is_none() {
        let details = detailed.then(|| json!({"code": "DEVICE_IDENTITY_REQUIRED"}));
        let error = ErrorShape { details, ..ErrorShape::new("NOT_PAIRED", "device identity required") };
        return Err(Box::new(Refusal::new(error)));
    }
    let (message, code, reason) = if nothing_given {
        (
            "unauthorized: gateway token missing (provide gateway auth token)",
            "AUTH_TOKEN_MISSING",
            "token_missing",
        )
    } else {
        (
            "unauthorized: gateway token mismatch (provide gateway auth token)",
            "AUTH_TOKEN_MISMATCH",
            "token_mismatch",
        )
    };
    let details = json!({
        "code": code, "authReason": reason, "canRetryWithDeviceToken": false,
        "recommendedNextStep": "update_auth_credentials",
    });
    let mut refusal = invalid(message, detailed.then_some(details));
    refusal.guess = !nothing_given;
    Err(refusal)
}

#[cfg(test)]
mod tests;
