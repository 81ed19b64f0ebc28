//! Lines of a peer that are no messages: a few are an accident, more are a broken peer.

use std::time::Duration;

use creel_ipc::limits::{STRAY_WINDOW_MS, STRAYS};

use crate::unit::At;

/// The strays of one link.
#[derive(Debug, Default)]
pub struct Strays {
    count: u32,
    since: At,
}

impl Strays {
    /// Counts one; whether it is the first that is too many.
    pub fn one_too_many(&mut self, now: At) -> bool {
        if now.saturating_sub(self.since) > Duration::from_millis(STRAY_WINDOW_MS) {
            *self = Self { count: 0, since: now };
        }
        self.count += 1;
        self.count == STRAYS + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nth(every: Duration) -> Option<u32> {
        let mut strays = Strays::default();
        (1..=100).find(|n| strays.one_too_many(Duration::from_secs(1000) + every * *n))
    }

    #[test]
    fn the_eleventh_within_a_minute_is_one_too_many() {
        assert_eq!(nth(Duration::from_millis(1)), Some(11));
        assert_eq!(nth(Duration::from_secs(5)), Some(11));
        assert_eq!(nth(Duration::from_secs(7)), None);
    }
}
