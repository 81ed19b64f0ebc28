//! One timer for many deadlines.
//!
//! Moving a runtime's timer costs a system call when it gets earlier, and a stream moves its deadlines with every
//! token. So the alarm only ever moves forward when it has rung: it may ring too early, which costs nothing.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Rings at the latest when the earliest deadline is due.
#[derive(Debug)]
pub struct Alarm {
    sleep: Pin<Box<Sleep>>,
}

impl Default for Alarm {
    fn default() -> Self {
        Self { sleep: Box::pin(sleep_until(Instant::now() + Duration::from_secs(3600))) }
    }
}

impl Alarm {
    /// Makes sure that it rings at `at` or before.
    pub fn set(&mut self, at: Instant) {
        if at < self.sleep.deadline() || self.sleep.is_elapsed() {
            self.sleep.as_mut().reset(at);
        }
    }

    /// Waits until it rings.
    pub async fn rings(&mut self) {
        self.sleep.as_mut().await;
    }
}
