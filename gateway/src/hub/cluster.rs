//! Several hosts on one database, as an operator sees them.

use super::{Answer, Hub};

/// Hosts, and what they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Whether other hosts could share the database.
    pub shared: bool,
    /// How long a lease holds.
    pub lease_seconds: u64,
    /// By name.
    pub hosts: Vec<HostRow>,
    /// Accounts, then lanes with a turn.
    pub leases: Vec<LeaseRow>,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRow {
    /// Its name; empty for one that is alone.
    pub name: String,
    /// Whether it is the one that was asked.
    pub own: bool,
    /// `primary`, `secondary` or `standby`; only the host itself tells.
    pub role: Option<String>,
    /// Whether it was heard of within a lease.
    pub up: bool,
    /// Channel accounts that it holds.
    pub accounts: usize,
    /// Turns that it runs.
    pub turns: usize,
}

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    /// `account` or `lane`.
    pub kind: &'static str,
    /// What is held.
    pub key: String,
    /// By whom.
    pub host: String,
    /// The claim's number.
    pub epoch: u64,
    /// Milliseconds that it still holds by the database's clock; negative when it is over.
    pub left_ms: i64,
}

impl Hub {
    /// Who has what.
    ///
    /// # Errors
    /// `unavailable` when the store cannot be read.
    pub async fn cluster(&self) -> Answer<Cluster> {
        self.core.cluster().await
    }
}
