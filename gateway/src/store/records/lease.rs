//! Who claims, and what is known of claims.

use std::time::Duration;

use crate::store::{Account, Held, Lane, Lost};

/// How early a gateway is when something becomes free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Rank {
    /// At once.
    #[default]
    Primary,
    /// One lease later.
    Secondary,
    /// Two leases later.
    Standby,
}

impl Rank {
    /// Leases that it lets pass before it claims.
    pub(crate) fn waits(self) -> u32 {
        match self {
            Self::Primary => 0,
            Self::Secondary => 1,
            Self::Standby => 2,
        }
    }
}

/// One life of a gateway, as it claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claimant {
    /// This life.
    pub life: String,
    /// Its host, where no two gateways are alive at a time; empty for a gateway that is alone on its store. A life
    /// takes over from the one before it on the same host without waiting.
    pub host: String,
    /// How early it is.
    pub rank: Rank,
    /// How long a claim holds.
    pub ttl: Duration,
}

impl Claimant {
    /// The only gateway on its store.
    pub(crate) fn alone(life: impl ToString) -> Self {
        let (host, rank) = (String::new(), Rank::Primary);
        Self { life: life.to_string(), host, rank, ttl: Duration::from_secs(15) }
    }

    /// Whether there is no other gateway, so that nothing is renewed and nothing ends.
    pub(crate) fn is_alone(&self) -> bool {
        self.host.is_empty()
    }

    /// Until when a claim holds that is made now.
    pub(in crate::store) fn until_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_add(millis(self.ttl))
    }

    /// Whether a lane that is held by `host` until `expires_ms` may be claimed.
    pub(in crate::store) fn may_take(&self, host: &str, expires_ms: i64, now_ms: i64) -> bool {
        host == self.host || now_ms >= expires_ms
    }

    /// Whether something that is held by `host` until `expires_ms`, or was free since then, is this gateway's to claim.
    pub(in crate::store) fn may_reach_for(&self, host: &str, expires_ms: i64, now_ms: i64) -> bool {
        let waits = millis(self.ttl * self.rank.waits());
        host == self.host || now_ms >= expires_ms.saturating_add(waits)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// What a renewal left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Renewed {
    /// Accounts, held for longer.
    pub accounts: Vec<Held<Account>>,
    /// Lanes, held for longer.
    pub lanes: Vec<Held<Lane>>,
    /// What somebody else has claimed meanwhile.
    pub lost: Vec<Lost>,
}

/// A claim, as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeaseRecord {
    /// An account or a lane.
    pub what: Lost,
    /// The host, and the life of its gateway.
    pub host: String,
    /// The life of the gateway.
    pub life: String,
    /// The claim's epoch.
    pub epoch: u64,
    /// Milliseconds that it still holds; negative when it is over.
    pub left_ms: i64,
}
