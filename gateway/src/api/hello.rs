//! What a client is told when it is let in.

use std::time::Duration;

use creel_ipc::client::HelloOk;
use creel_ipc::client::connect::{Features, Granted, Policy, ServerInfo, SessionDefaults, Snapshot};
use creel_ipc::client::frames::StateVersion;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::clients::Client;
use super::connection::{MAX_BUFFERED, MAX_PAYLOAD, OLD_MAX_BUFFERED};
use super::desk::Desk;
use super::fault::Protocol;
use super::feed::TICK;
use super::methods::{catalog, health, presence};

/// Events that may come, in both protocols.
const EVENTS: &[&str] = &["connect.challenge", "agent", "chat", "presence", "tick", "shutdown", "health"];
/// Events of protocol 4 only.
const NEW_EVENTS: &[&str] = &["sessions.changed", "channels.pairing.changed"];

/// What newer clients ask for before they call `models.list`.
const CAPABILITIES: &[&str] = &["published-model-catalog"];
/// Health of this age is good enough for a hello.
const HEALTH_AGE: Duration = Duration::from_secs(1);

/// 122 random bits as a UUID.
pub(crate) fn nonce() -> String {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => uuid::Builder::from_random_bytes(bytes).into_uuid().to_string(),
        // The kernel has no randomness yet: unique is enough here, nothing is proved with it.
        Err(_) => uuid::Uuid::now_v7().to_string(),
    }
}

/// The payload of `hello-ok`.
pub(crate) async fn hello(desk: &Desk, client: &Client) -> Value {
    let health = recent_health(desk).await;
    let agent = desk.hub.default_agent();
    let (main_key, main_session_key) = desk.hub.main_session();
    let (presence_version, health_version) = desk.clients.versions();
    let old = client.protocol == Protocol::V3;
    let events = EVENTS.iter().chain(if old { &[] } else { NEW_EVENTS });
    let hello = HelloOk {
        kind: "hello-ok".to_owned(),
        protocol: client.protocol.number(),
        server: ServerInfo { version: env!("CARGO_PKG_VERSION").to_owned(), conn_id: client.id.clone() },
        features: Features {
            methods: catalog::names(),
            events: events.map(|&name| name.to_owned()).collect(),
        },
        snapshot: Snapshot {
            presence: presence::entries(desk),
            state_version: StateVersion { presence: presence_version, health: health_version },
            uptime_ms: health["uptimeMs"].as_u64().unwrap_or(0),
            health,
            session_defaults: SessionDefaults { main_session_key, default_agent_id: agent, main_key },
            auth_mode: Some(desk.hub.auth_mode().to_owned()),
        },
        auth: Granted { role: client.role.as_str().to_owned(), scopes: client.scopes.names() },
        policy: Policy {
            max_payload: MAX_PAYLOAD as u64,
            max_buffered_bytes: if old { OLD_MAX_BUFFERED } else { MAX_BUFFERED } as u64,
            tick_interval_ms: TICK.as_millis() as u64,
        },
    };
    let mut hello = serde_json::to_value(hello).unwrap_or_default();
    if !old {
        hello["features"]["capabilities"] = json!(CAPABILITIES);
    }
    hello
}

/// Health as it was a moment ago, or as it is. A supervisor that does not answer must not keep clients out.
async fn recent_health(desk: &Desk) -> Value {
    if let Some(known) = desk.known_health(HEALTH_AGE) {
        return known;
    }
    match timeout(Duration::from_secs(2), health::snapshot(desk)).await {
        Ok(health) => health,
        Err(_) => desk.known_health(Duration::MAX).unwrap_or_else(|| json!({})),
    }
}
