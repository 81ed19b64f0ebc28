//! What every Creel channel worker shares.
//!
//! A platform implements [`Account`]; [`Worker`] drives it over the link to the gateway: the handshake, inbound
//! messages that count only once they are stored ([`inbound`]), sends that happen once for each key
//! ([`dispatch`]), typing, drafts and status. [`render`] turns Markdown into text with marks and [`chunk`] cuts it
//! into parts of the platform's size.

#![forbid(unsafe_code)]

pub mod account;
pub mod backoff;
mod book;
pub mod chunk;
pub mod dispatch;
mod drafts;
pub mod inbound;
mod lease;
pub mod render;
pub mod status;
mod typing;
pub mod worker;

pub use account::{Account, Drafted, Order, Parts, Pending, Ports, Refusing};
pub use backoff::Backoff;
pub use worker::Worker;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the epoch, by this machine's clock.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The state behind these locks is never left half-changed, so a poisoned one is as good as another.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
