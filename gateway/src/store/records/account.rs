//! Accounts, and who asks to be let in.

use creel_ipc::msg::channel::Route;

/// What an account has done and has yet to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct AccountRecord {
    /// When a message last came in.
    pub inbound_ms: Option<i64>,
    /// When a message last went out.
    pub outbound_ms: Option<i64>,
    /// Rows that wait.
    pub queued: u64,
    /// Rows of which nobody knows.
    pub unknown: u64,
}

/// Somebody who waits to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PairingRecord {
    /// The account, as `channel:account`.
    pub account: String,
    /// The platform's id of the person.
    pub sender: String,
    /// The person's name.
    pub name: Option<String>,
    /// The code.
    pub code: String,
    /// When the person asked.
    pub created_ms: i64,
    /// When the code expires.
    pub expires_ms: i64,
    /// Where the person is told.
    pub route: Route,
}
