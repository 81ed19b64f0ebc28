//! How the account is doing: told to the gateway at once when it changes, and every 30 s.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use creel_ipc::RpcError;
use creel_ipc::msg::channel::{ChannelState, ChannelStatus};
use creel_link::Link;
use tokio::sync::Notify;

use crate::{lock, now_ms};

/// The status is repeated this often.
pub const EVERY: Duration = Duration::from_secs(30);

/// Holds the account's status. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Board(Arc<(Mutex<ChannelStatus>, Notify)>);

impl Default for Board {
    fn default() -> Self {
        let status = ChannelStatus {
            state: ChannelState::Connecting,
            transport_alive_at_ms: None,
            last_inbound_at_ms: None,
            self_name: None,
            error: None,
        };
        Self(Arc::new((Mutex::new(status), Notify::new())))
    }
}

impl Board {
    /// The status now.
    pub fn now(&self) -> ChannelStatus {
        lock(&self.0.0).clone()
    }

    /// The transport proved alive, so the account is connected.
    pub fn alive(&self) {
        self.change(|status| {
            status.transport_alive_at_ms = Some(now_ms());
            status.state = ChannelState::Connected;
            status.error = None;
        });
    }

    /// The account is known at the platform by this name.
    pub fn named(&self, name: &str) {
        self.change(|status| status.self_name = Some(name.to_owned()));
    }

    /// The connection is gone or not there yet; the account tries.
    pub fn connecting(&self, error: Option<RpcError>) {
        self.change(|status| {
            status.state = ChannelState::Connecting;
            status.error = error;
        });
    }

    /// The account gave up until a human acts.
    pub fn stopped(&self, error: RpcError) {
        self.change(|status| {
            status.state = ChannelState::Stopped;
            status.error = Some(error);
        });
    }

    /// A message came in.
    pub fn inbound(&self, at_ms: i64) {
        self.change(|status| status.last_inbound_at_ms = Some(at_ms));
    }

    /// Tells the status soon, whether it changed or not: a new gateway knows nothing.
    pub fn tell(&self) {
        self.0.1.notify_one();
    }

    fn change(&self, change: impl FnOnce(&mut ChannelStatus)) {
        let mut status = lock(&self.0.0);
        let before = (status.state, status.self_name.clone(), status.error.clone());
        change(&mut status);
        if before != (status.state, status.self_name.clone(), status.error.clone()) {
            self.0.1.notify_one();
        }
    }

    /// Tells the gateway, until the link ends.
    pub(crate) async fn report(self, link: Link) {
        loop {
            if link.notify::<ChannelStatus>(&self.now()).await.is_err() {
                return;
            }
            // Whether a change or the time woke it makes no difference.
            let _elapsed = tokio::time::timeout(EVERY, self.0.1.notified()).await;
        }
    }
}
