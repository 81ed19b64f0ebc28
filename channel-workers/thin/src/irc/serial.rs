//! Names for messages that have none of their own.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

/// Names messages for which the network has no name.
#[derive(Debug)]
pub(super) struct Serial {
    boot: Uuid,
    next: AtomicU64,
}

impl Serial {
    pub(super) fn new() -> Self {
        Self { boot: Uuid::now_v7(), next: AtomicU64::new(0) }
    }

    pub(super) fn take(&self) -> String {
        format!("irc:{}:{}", self.boot, self.next.fetch_add(1, Ordering::Relaxed))
    }
}
