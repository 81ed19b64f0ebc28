//! Leases, as their holder has them. Nothing outside of the store can make one.

use std::marker::PhantomData;
use std::time::Duration;

use super::{Claimant, Lost};

/// What can be held.
pub(crate) trait Leased {
    /// Names the loss of it.
    fn lost(key: &str) -> Lost;
}

/// A channel account: who holds it runs its worker and writes what comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {}

/// A session's lane: who holds it runs its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {}

impl Leased for Account {
    fn lost(key: &str) -> Lost {
        Lost::Account(key.to_owned())
    }
}

impl Leased for Lane {
    fn lost(key: &str) -> Lost {
        Lost::Lane(key.to_owned())
    }
}

/// This gateway holds something, from one claim on: its key, the claim's epoch, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held<K: Leased = Account> {
    key: String,
    epoch: u64,
    until_ms: i64,
    ttl: Duration,
    kind: PhantomData<K>,
}

impl<K: Leased> Held<K> {
    pub(in crate::store) fn new(key: &str, epoch: u64, who: &Claimant, now_ms: i64) -> Self {
        Self { key: key.to_owned(), epoch, until_ms: who.until_ms(now_ms), ttl: who.ttl, kind: PhantomData }
    }

    /// What is held.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The fencing epoch: every write is compared with it, in the write's own transaction.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The moment from which on others may claim it, in milliseconds by the store's clock.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "holders count from before they asked, on their own clock")
    )]
    pub(crate) fn until_ms(&self) -> i64 {
        self.until_ms
    }

    /// How long its holder may act on it, counted on the holder's own clock from **before** it asked the store. After
    /// that it must stop what no store can refuse, such as polling a platform: the last quarter is for doing so.
    pub(crate) fn good_for(&self) -> Duration {
        self.ttl * 3 / 4
    }

    /// The same claim, good for longer.
    pub(in crate::store) fn extended(&self, who: &Claimant, now_ms: i64) -> Self {
        Self::new(&self.key, self.epoch, who, now_ms)
    }
}

impl Held<Account> {
    /// The account.
    pub(crate) fn account(&self) -> &str {
        &self.key
    }
}
