//! Who is connected, and one fan-out to all of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::admission::{Admitted, Role};
use super::fault::Protocol;
use super::queue::Queue;
use super::scope::{Scope, Scopes};

/// Entries of a presence list.
const PRESENCE: usize = 200;

/// A connected client.
#[derive(Debug)]
pub(crate) struct Client {
    /// The connection's id.
    pub(crate) id: String,
    /// The negotiated protocol.
    pub(crate) protocol: Protocol,
    /// What it is.
    pub(crate) role: Role,
    /// What it may do.
    pub(crate) scopes: Scopes,
    /// Whether it wants to see tools at work.
    pub(crate) tool_events: bool,
    /// Whether it asked for changes of sessions.
    pub(crate) sessions: AtomicBool,
    /// What waits to be written to it.
    pub(crate) queue: Queue,
    /// Its entry in the presence list; `null` for clients that are not listed.
    pub(crate) presence: Value,
    /// What it is, such as `cli`.
    pub(crate) name: String,
}

impl Client {
    /// A client that was just let in.
    pub(crate) fn new(id: String, admitted: &Admitted, peer: IpAddr, buffer: usize, now_ms: i64) -> Self {
        Self {
            id,
            protocol: admitted.protocol,
            role: admitted.role,
            scopes: admitted.scopes,
            tool_events: admitted.params.caps.iter().any(|cap| cap == "tool-events"),
            sessions: AtomicBool::new(false),
            queue: Queue::new(buffer),
            presence: presence(admitted, peer, now_ms),
            name: admitted.params.client.id.clone(),
        }
    }

    fn hears(&self, audience: Audience) -> bool {
        match audience {
            Audience::Everyone => true,
            Audience::Readers => self.scopes.allow(Scope::Read),
            Audience::ToolWatchers => self.tool_events && self.scopes.allow(Scope::Read),
            Audience::SessionWatchers => {
                self.sessions.load(Ordering::Relaxed) && self.scopes.allow(Scope::Read)
            }
            Audience::Approvals => self.scopes.allow(Scope::Approvals),
            Audience::Pairing => self.scopes.allow(Scope::Pairing),
        }
    }
}

fn presence(admitted: &Admitted, peer: IpAddr, now_ms: i64) -> Value {
    let client = &admitted.params.client;
    // A command line comes and goes; it is nobody's presence.
    if matches!(client.mode.as_str(), "cli" | "probe") {
        return Value::Null;
    }
    let host = client.display_name.as_deref().unwrap_or(&client.id);
    let mut entry = json!({
        "host": host, "ip": peer.to_string(), "clientId": client.id, "version": client.version,
        "platform": client.platform, "mode": client.mode, "roles": [admitted.role.as_str()],
        "scopes": admitted.scopes.names(), "reason": "connect",
        "text": format!("{host} · mode {}", client.mode), "ts": now_ms, "onlineSince": now_ms,
    });
    if let Some(instance) = &client.instance_id {
        entry["instanceId"] = instance.as_str().into();
    }
    entry
}

/// Who gets an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Every client.
    Everyone,
    /// Who may read.
    Readers,
    /// Who may read and wants to see tools.
    ToolWatchers,
    /// Who may read and asked for sessions.
    SessionWatchers,
    /// Who decides on commands that wait.
    Approvals,
    /// Who lets people in.
    Pairing,
}

/// Something to tell, its payload rendered once for each protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    /// The event's name.
    pub(crate) event: &'static str,
    /// JSON for protocol 4; absent when it has no such event.
    pub(crate) v4: Option<String>,
    /// JSON for protocol 3.
    pub(crate) v3: Option<String>,
    /// Who gets it.
    pub(crate) audience: Audience,
    /// Whether a slow client may miss it.
    pub(crate) may_be_missed: bool,
    /// Whether the versions of the snapshots go with it.
    pub(crate) versioned: bool,
}

impl Note {
    /// The same for both protocols.
    pub(crate) fn same(event: &'static str, payload: &Value, audience: Audience) -> Self {
        let payload = payload.to_string();
        Self {
            event,
            v4: Some(payload.clone()),
            v3: Some(payload),
            audience,
            may_be_missed: false,
            versioned: false,
        }
    }

    /// Only for protocol 4.
    pub(crate) fn new_only(event: &'static str, payload: &Value, audience: Audience) -> Self {
        let v4 = Some(payload.to_string());
        Self { event, v4, v3: None, audience, may_be_missed: false, versioned: false }
    }

    /// A slow client may miss it.
    pub(crate) fn missable(mut self) -> Self {
        self.may_be_missed = true;
        self
    }

    /// The versions of the snapshots go with it.
    pub(crate) fn versioned(mut self) -> Self {
        self.versioned = true;
        self
    }
}

/// All connected clients.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    list: Mutex<BTreeMap<String, Arc<Client>>>,
    old: AtomicU64,
    new: AtomicU64,
    /// Protocol 3 numbers its broadcasts for the whole gateway.
    seq: AtomicU64,
    presence_version: AtomicU64,
    health_version: AtomicU64,
    left: Notify,
}

impl Clients {
    fn list(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Client>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counter(&self, protocol: Protocol) -> &AtomicU64 {
        match protocol {
            Protocol::V3 => &self.old,
            Protocol::V4 => &self.new,
        }
    }

    /// Whether anybody speaks this protocol: if not, nothing has to be rendered for it.
    pub(crate) fn any(&self, protocol: Protocol) -> bool {
        self.counter(protocol).load(Ordering::Relaxed) > 0
    }

    /// Adds a client.
    pub(crate) fn join(&self, client: &Arc<Client>) {
        self.counter(client.protocol).fetch_add(1, Ordering::Relaxed);
        self.list().insert(client.id.clone(), client.clone());
        self.presence_version.fetch_add(1, Ordering::Relaxed);
    }

    /// Removes a client.
    pub(crate) fn leave(&self, client: &Client) {
        if self.list().remove(&client.id).is_some() {
            self.counter(client.protocol).fetch_sub(1, Ordering::Relaxed);
            self.presence_version.fetch_add(1, Ordering::Relaxed);
            self.left.notify_one();
        }
    }

    /// Returns when nobody is connected any more.
    pub(crate) async fn empty(&self) {
        while !self.list().is_empty() {
            self.left.notified().await;
        }
    }

    /// Entries of those who are listed.
    pub(crate) fn presence(&self) -> Vec<Value> {
        let list = self.list();
        let listed = list.values().map(|client| &client.presence).filter(|entry| !entry.is_null());
        listed.take(PRESENCE).cloned().collect()
    }

    /// Versions of the snapshots of presence and health.
    pub(crate) fn versions(&self) -> (u64, u64) {
        (self.presence_version.load(Ordering::Relaxed), self.health_version.load(Ordering::Relaxed))
    }

    /// Notes that health is another one now.
    pub(crate) fn health_changed(&self) {
        self.health_version.fetch_add(1, Ordering::Relaxed);
    }

    /// Leaves a gap in everybody's numbers: something was missed.
    pub(crate) fn gap(&self) {
        self.seq.fetch_add(1, Ordering::Relaxed);
        self.list().values().for_each(|client| client.queue.gap());
    }

    /// Closes every connection, after what waits.
    pub(crate) fn close_all(&self, code: u16, reason: &str) {
        self.list().values().for_each(|client| client.queue.close(code, reason));
    }

    /// Tells everybody whom it concerns. Renders at most once for each protocol, whatever the number of clients.
    pub(crate) fn tell(&self, note: &Note) {
        let versions = note.versioned.then(|| self.versions());
        // The lock also keeps the numbers of protocol 3 in the order of their delivery.
        let list = self.list();
        let new = note.v4.as_ref().map(|payload| head(note.event, payload, versions));
        let old = note.v3.as_ref().map(|payload| {
            let mut head = head(note.event, payload, versions);
            // Writing to a string cannot fail.
            let _ = write!(head, ",\"seq\":{}", self.seq.fetch_add(1, Ordering::Relaxed) + 1);
            head
        });
        for client in list.values().filter(|client| client.hears(note.audience)) {
            let (head, numbered) = match client.protocol {
                Protocol::V3 => (&old, false),
                Protocol::V4 => (&new, true),
            };
            if let Some(head) = head {
                client.queue.event(head, numbered, note.may_be_missed);
            }
        }
    }
}

/// An event frame up to its number.
fn head(event: &str, payload: &str, versions: Option<(u64, u64)>) -> String {
    let mut head = String::with_capacity(payload.len() + 128);
    let _ = write!(head, "{{\"type\":\"event\",\"event\":\"{event}\",\"payload\":{payload}");
    if let Some((presence, health)) = versions {
        let _ = write!(head, ",\"stateVersion\":{{\"presence\":{presence},\"health\":{health}}}");
    }
    head
}
