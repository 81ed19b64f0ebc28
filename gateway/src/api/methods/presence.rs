//! `system-presence`: who is connected.

use serde_json::{Value, json};

use crate::api::desk::{Desk, now_ms};
use crate::api::method::{Call, Method, Outcome, Reply, method};
use crate::api::params::NOTHING;

/// Rows.
pub(crate) const METHODS: &[Method] = &[method!("system-presence", Read, &NOTHING, list)];

async fn list(call: Call) -> Outcome {
    Ok(Reply::Now(entries(&call.desk).into()))
}

/// The gateway itself, then its clients.
pub(crate) fn entries(desk: &Desk) -> Vec<Value> {
    let version = env!("CARGO_PKG_VERSION");
    let own = json!({
        "host": "creel", "version": version, "platform": std::env::consts::OS, "mode": "gateway",
        "reason": "self", "instanceId": desk.boot, "text": format!("Gateway: creel · app {version} · mode gateway"),
        "ts": now_ms(),
    });
    std::iter::once(own).chain(desk.clients.presence()).collect()
}
