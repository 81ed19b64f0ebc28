//! What all connections share.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::sync::Notify;

use super::brake::Brake;
use super::clients::Clients;
use crate::hub::Hub;

/// Runs whose asked-for key is remembered.
const ECHOES: usize = 4096;

/// The counter at which all clients are served.
#[derive(Debug)]
pub(crate) struct Desk {
    /// The gateway's core.
    pub(crate) hub: Hub,
    /// Who is connected.
    pub(crate) clients: Clients,
    /// This life of the gateway.
    pub(crate) boot: String,
    /// Somebody came or went.
    pub(crate) presence_changed: Notify,
    /// A unit or a channel is doing otherwise.
    pub(crate) health_changed: Notify,
    /// Sessions that changed and were not told yet.
    pub(crate) changed: Changed,
    health: Mutex<Option<(Instant, Value)>>,
    brake: Mutex<Brake>,
    runs: Mutex<Book>,
}

/// Sessions that changed.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    keys: Mutex<BTreeSet<String>>,
    bell: Notify,
}

impl Changed {
    /// Notes a change.
    pub(crate) fn note(&self, key: String) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        self.bell.notify_one();
    }

    /// Waits for a change.
    pub(crate) async fn wait(&self) {
        self.bell.notified().await;
    }

    /// Takes all that changed, each once.
    pub(crate) fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Debug, Default)]
struct Book {
    /// The session key as a client wrote it, by run: protocol 3 says it back.
    echoes: HashMap<String, String>,
    /// The run under way, by session.
    under_way: HashMap<String, String>,
}

impl Desk {
    /// A counter without clients.
    pub(crate) fn new(hub: Hub) -> Self {
        let boot = uuid::Uuid::now_v7().to_string();
        Self {
            hub,
            clients: Clients::default(),
            boot,
            presence_changed: Notify::new(),
            health_changed: Notify::new(),
            changed: Changed::default(),
            health: Mutex::default(),
            brake: Mutex::default(),
            runs: Mutex::default(),
        }
    }

    fn brake(&self) -> MutexGuard<'_, Brake> {
        self.brake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn runs(&self) -> MutexGuard<'_, Book> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last health that was asked for, if it is not older than this.
    pub(crate) fn known_health(&self, age: Duration) -> Option<Value> {
        let known = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(when, _)| when.elapsed() <= age).map(|(_, health)| health.clone())
    }

    /// Remembers health.
    pub(crate) fn remember_health(&self, health: &Value) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), health.clone()));
    }

    /// Milliseconds that `peer` has to wait before its next token is looked at.
    pub(crate) fn locked_ms(&self, peer: IpAddr) -> Option<u64> {
        self.brake().wait(peer, Instant::now()).map(|left| left.as_millis() as u64 + 1)
    }

    /// Notes a wrong token.
    pub(crate) fn wrong_token(&self, peer: IpAddr) {
        let mut brake = self.brake();
        brake.wrong(peer, Instant::now());
        tracing::warn!(%peer, wrong_tokens = brake.total(), "a client had a wrong token");
    }

    /// Notes a right token.
    pub(crate) fn right_token(&self, peer: IpAddr) {
        self.brake().right(peer);
    }

    /// Remembers how a client called the session of a run.
    pub(crate) fn remember_echo(&self, run: &str, key: &str) {
        let mut book = self.runs();
        if book.echoes.len() >= ECHOES {
            book.echoes.clear();
        }
        book.echoes.insert(run.to_owned(), key.to_owned());
    }

    /// How a client called the session of a run.
    pub(crate) fn echo(&self, run: &str) -> Option<String> {
        self.runs().echoes.get(run).cloned()
    }

    /// Notes that a run began.
    pub(crate) fn run_began(&self, session: &str, run: &str) {
        self.runs().under_way.insert(session.to_owned(), run.to_owned());
    }

    /// Notes that a run ended.
    pub(crate) fn run_ended(&self, session: &str, run: &str) {
        let mut book = self.runs();
        book.echoes.remove(run);
        if book.under_way.get(session).is_some_and(|known| known == run) {
            book.under_way.remove(session);
        }
    }

    /// The run under way in a session.
    pub(crate) fn run_of(&self, session: &str) -> Option<String> {
        self.runs().under_way.get(session).cloned()
    }
}

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
