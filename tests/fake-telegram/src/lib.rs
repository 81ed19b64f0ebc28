//! A small, faithful Telegram Bot API server for tests, with faults on demand.
//!
//! It knows what matters to a client that must not lose or repeat anything: update offsets with long polling, the two
//! kinds of 409, limits in UTF-16 units after entity parsing, HTML entities, topics, edits, media and file downloads.
//! [`Fake::start`] runs it inside a test; the binary serves the same over `/control` for other processes.

#![forbid(unsafe_code)]

pub mod control;
mod entities;
pub mod fault;
mod files;
mod http;
mod media;
mod methods;
mod poll;
mod server;
mod world;

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use control::{From, Inject, InjectFile, Injected};
pub use fault::{Fault, Odds};
use world::World;
pub use world::{Sent, SentFile};

/// A token that is as good as any other of the form `<digits>:<text>`.
pub const TOKEN: &str = "1000:fake-token";
/// The user name of the bot with [`TOKEN`].
pub const USERNAME: &str = "creel1000_bot";

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct Fake {
    world: Arc<World>,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Fake {
    /// Starts on a free loopback port.
    ///
    /// # Errors
    /// When no loopback port can be opened.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_on(0).await
    }

    /// Starts on a loopback port.
    ///
    /// # Errors
    /// When the port cannot be opened.
    pub async fn start_on(port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let world = Arc::new(World::default());
        let serving = tokio::spawn(server::serve(listener, Arc::clone(&world)));
        Ok(Self { world, address, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client's `apiRoot` must be.
    pub fn api_root(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A message comes in.
    ///
    /// # Errors
    /// A sentence when the message makes no sense.
    pub fn inject(&self, inject: Inject) -> Result<Injected, String> {
        control::inject(&self.world, inject)
    }

    /// Everything that bots said so far, in order.
    pub fn sent(&self) -> Vec<Sent> {
        self.world.state().sent.clone()
    }

    /// Waits until what bots said fulfils the condition.
    pub async fn sent_when(&self, condition: impl Fn(&[Sent]) -> bool) -> Vec<Sent> {
        self.world.when(|state| condition(&state.sent).then(|| state.sent.clone())).await
    }

    /// The next call of `method` (`*` for any) meets this fault.
    pub fn fault_next(&self, method: &str, fault: Fault) {
        self.world.state().script.push(method, fault);
    }

    /// From now on calls meet faults by chance.
    pub fn odds(&self, odds: Odds) {
        self.world.state().script.set(odds);
    }

    /// Calls of a method so far, those that met a fault too.
    pub fn calls(&self, method: &str) -> u64 {
        self.world.state().calls.get(method).copied().unwrap_or(0)
    }

    /// Calls of a method whose outcome a fault hid from the client.
    pub fn hidden(&self, method: &str) -> u64 {
        self.world.state().hidden.get(method).copied().unwrap_or(0)
    }

    /// Waits until a method was called at least so often.
    pub async fn called(&self, method: &str, times: u64) {
        let reached =
            |state: &world::State| state.calls.get(method).is_some_and(|n| *n >= times).then_some(());
        self.world.when(reached).await;
    }

    /// What the `apiRoot` of a client must be that is told apart by its name.
    pub fn api_root_as(&self, client: &str) -> String {
        format!("http://{}/as/{client}", self.address)
    }

    /// Each time that a client began to poll a bot while another one polled it: who did already, and who began.
    pub fn beside(&self) -> Vec<(String, String)> {
        self.world.state().polls.beside.clone()
    }

    /// Everybody who polled, in the order in which they began.
    pub fn pollers(&self) -> Vec<String> {
        self.world.state().polls.clients.clone()
    }

    /// Updates of a bot that its client has not confirmed by an offset.
    pub fn unconfirmed(&self, token: &str) -> usize {
        self.world.state().bots.get(token).map_or(0, |bot| bot.updates.len())
    }

    /// Waits until a bot has no unconfirmed updates.
    pub async fn confirmed(&self, token: &str) {
        let none = |state: &world::State| {
            state.bots.get(token).is_none_or(|bot| bot.updates.is_empty()).then_some(())
        };
        self.world.when(none).await;
    }

    /// From now on the token is refused.
    pub fn revoke(&self, token: &str) {
        self.world.state().revoked.insert(token.to_owned());
    }

    /// Changes a chat, created if need be: `type`, `title`, `is_forum`, `topics`, `blocked`, `migrated_to`.
    ///
    /// # Errors
    /// A sentence when the change makes no sense.
    pub fn chat(&self, id: i64, change: &Value) -> Result<(), String> {
        control::change_chat(&self.world, id, change)
    }

    /// Lets the clock run: updates older than 24 hours are gone.
    pub fn advance(&self, seconds: u64) {
        self.world.state().ahead_ms += i64::try_from(seconds).unwrap_or(0) * 1000;
    }
}
