//! The gateway's core: what the seam in [`crate::hub`] stands on.

use creel_ipc::msg::supervisor::{Reloaded, Units};
use tokio::sync::broadcast;

use crate::hub::*;

type Answer<T> = Result<T, HubError>;

/// The running gateway.
#[derive(Debug)]
pub(crate) struct Core {
    events: broadcast::Sender<CoreEvent>,
}

fn starting<T>() -> Answer<T> {
    Err(HubError::unavailable("The gateway is still starting; ask again in a moment."))
}

impl Core {
    pub(crate) async fn chat_send(&self, _: ChatSend) -> Answer<ChatAccepted> {
        starting()
    }
    pub(crate) async fn chat_abort(&self, _: &str, _: Option<&str>) -> Answer<Vec<String>> {
        starting()
    }
    pub(crate) async fn chat_history(&self, _: &str, _: u32) -> Answer<Vec<StoredEntry>> {
        starting()
    }
    pub(crate) async fn run_wait(&self, _: &str, _: u64) -> Answer<RunStatus> {
        starting()
    }
    pub(crate) async fn sessions_list(&self, _: SessionFilter) -> Answer<Vec<SessionRow>> {
        starting()
    }
    pub(crate) async fn send(&self, _: SendRequest) -> Answer<SendAccepted> {
        starting()
    }
    pub(crate) async fn outbox_list(&self, _: u32) -> Answer<Vec<OutboxRow>> {
        starting()
    }
    pub(crate) async fn pairing_list(&self, _: Option<&str>) -> Answer<Vec<PairingRow>> {
        starting()
    }
    pub(crate) async fn pairing_approve(&self, _: &str, _: &str, _: Option<&str>) -> Answer<Approved> {
        starting()
    }
    pub(crate) async fn pairing_dismiss(&self, _: &str, _: &str) -> Answer<()> {
        starting()
    }
    pub(crate) async fn channels_status(&self) -> Vec<ChannelRow> {
        Vec::new()
    }
    pub(crate) async fn units(&self) -> Answer<Units> {
        starting()
    }
    pub(crate) async fn unit_restart(&self, _: &str) -> Answer<()> {
        starting()
    }
    pub(crate) async fn config_reload(&self) -> Answer<Reloaded> {
        starting()
    }
    pub(crate) async fn health(&self) -> Health {
        Health {
            ready: false,
            reasons: vec!["The gateway is still starting.".to_owned()],
            store_ok: false,
            units_running: 0,
            units_total: 0,
            uptime_ms: 0,
        }
    }
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<CoreEvent> {
        self.events.subscribe()
    }
    pub(crate) fn resolve_session_key(&self, _: &str) -> Answer<String> {
        starting()
    }
    pub(crate) fn default_agent(&self) -> String {
        "main".to_owned()
    }
    pub(crate) fn agents(&self) -> Vec<(String, String)> {
        Vec::new()
    }
    pub(crate) fn token_ok(&self, _: &str) -> bool {
        false
    }
}
