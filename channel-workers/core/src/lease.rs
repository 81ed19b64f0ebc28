//! Until when the account is this worker's, where several hosts share a database.
//!
//! No platform compares epochs: two workers that poll one account take each other's messages. So a worker stops by itself
//! when nobody has told it in time that it may go on, also when its gateway is paused, gone, or cut off.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use creel_ipc::msg::channel::Lease;
use creel_ipc::{ErrorClass, RpcError};
use creel_link::uptime_ms;
use tokio::sync::watch;

/// How long a timer may be late that does not count the time for which the machine slept.
const LOOK: Duration = Duration::from_millis(250);

/// The latest lease. Cheap to clone. Without one the account is this worker's for good.
#[derive(Debug, Clone)]
pub(crate) struct Tenure(watch::Sender<Option<Lease>>, Arc<AtomicBool>);

impl Tenure {
    pub(crate) fn new(lease: Option<Lease>) -> Self {
        Self(watch::Sender::new(lease), Arc::default())
    }

    /// Takes over what the gateway says.
    pub(crate) fn set(&self, lease: Option<Lease>) {
        self.0.send_replace(lease);
    }

    /// What the gateway said last.
    pub(crate) fn lease(&self) -> Option<Lease> {
        self.0.borrow().clone()
    }

    /// Whether the account has stopped because it was not this worker's any more.
    pub(crate) fn rested(&self) -> bool {
        self.1.load(Ordering::Acquire)
    }

    /// It begins, or begins again.
    pub(crate) fn go_on(&self) {
        self.1.store(false, Ordering::Release);
    }

    /// It has stopped. Says why nothing is received or sent.
    pub(crate) fn rest(&self) -> RpcError {
        self.1.store(true, Ordering::Release);
        self.refusal()
    }

    /// Whether the account is this worker's now.
    pub(crate) fn holds(&self) -> bool {
        self.left() > Some(Duration::ZERO) || self.0.borrow().is_none()
    }

    fn left(&self) -> Option<Duration> {
        let until_ms = self.0.borrow().as_ref().map(|lease| lease.until_ms)?;
        Some(Duration::from_millis(until_ms.saturating_sub(uptime_ms())))
    }

    /// Why nothing is received or sent, to be tried again.
    pub(crate) fn refusal(&self) -> RpcError {
        let reason = self.0.borrow().as_ref().map(|lease| lease.reason.clone()).unwrap_or_default();
        RpcError::new(ErrorClass::Transient, reason)
    }

    /// Works as long as the account is this worker's. `None` when that ended first.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let mut over = pin!(self.over());
        std::future::poll_fn(|context| {
            // Before each step, not only when a timer says so: the process may have been stopped meanwhile.
            if !self.holds() || over.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(context).map(Some)
        })
        .await
    }

    async fn over(&self) {
        let mut changes = self.0.subscribe();
        loop {
            let wait = match self.left() {
                Some(Duration::ZERO) => return,
                Some(left) => left.min(LOOK),
                None => Duration::MAX,
            };
            // Whether a change or the time woke it makes no difference.
            let _elapsed = tokio::time::timeout(wait, changes.changed()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(ms: u64) -> Option<Lease> {
        Some(Lease { until_ms: uptime_ms() + ms, reason: "It is over.".into() })
    }

    #[tokio::test]
    async fn work_ends_with_the_lease_and_a_renewal_lets_it_go_on() {
        let tenure = Tenure::new(until(60));
        let asked = std::time::Instant::now();
        let (renewing, kept) = (tenure.clone(), tenure.clone());
        let renewals = async move {
            for _ in 0..8 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                renewing.set(until(60));
            }
        };
        let (ended, ()) = tokio::join!(kept.within(std::future::pending::<()>()), renewals);
        assert_eq!(ended, None);
        assert!(asked.elapsed() >= Duration::from_millis(160), "it was renewed for so long");
        assert!(!tenure.holds());
        assert_eq!(tenure.refusal().message, "It is over.");
    }

    #[tokio::test]
    async fn a_word_ends_it_at_once_and_without_a_lease_it_never_ends() {
        let tenure = Tenure::new(until(600_000));
        let telling = tenure.clone();
        let told = async move { telling.set(Some(Lease { until_ms: 0, reason: "Lost.".into() })) };
        let (ended, ()) = tokio::join!(tenure.within(std::future::pending::<()>()), told);
        assert_eq!(ended, None);
        assert_eq!(Tenure::new(None).within(async { 7 }).await, Some(7));
    }

    #[tokio::test]
    async fn no_step_is_taken_after_the_end_whatever_wakes_the_work_first() {
        let tenure = Tenure::new(until(20));
        // Blocks the thread beyond the lease, as a stopped process does; no timer has fired when it goes on.
        let mut steps = 0;
        let work = async {
            loop {
                steps += 1;
                std::thread::sleep(Duration::from_millis(40));
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(tenure.within::<()>(work).await, None);
        assert_eq!(steps, 1);
    }
}
