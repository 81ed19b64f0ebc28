//! How fast units may come back all together.
//!
//! When everything falls at once, everything is to be back at once: as many restarts as there are workers are free.
//! When everything falls again and again (a bad release), the rest is spread out, so that the gateway, which is not
//! held back, stays able to say so.

use std::time::Duration;

use super::At;

/// Time between two restarts once the free ones are used up: 20 a second.
const EVERY: Duration = Duration::from_millis(50);
/// Restarts that are free however few workers there are.
const LEAST: u32 = 20;

/// The restarts of all workers. Knows one moment: when all that were granted would have been due one by one.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
pub struct Pace {
    due: At,
}

impl Pace {
    /// Grants a restart; how long it must wait. `workers`: how many there are.
    pub fn grant(&mut self, now: At, workers: usize) -> Duration {
        let free = u32::try_from(workers).unwrap_or(u32::MAX).max(LEAST);
        self.due = self.due.max(now) + EVERY;
        self.due.saturating_sub(now + EVERY * free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_52_one_fall_of_all_is_free_and_the_next_ones_are_spread() {
        let mut pace = Pace::default();
        let now = Duration::from_secs(100);
        assert!((0..100).all(|_| pace.grant(now, 100).is_zero()));
        let second: Vec<Duration> = (0..100).map(|_| pace.grant(now + EVERY, 100)).collect();
        assert_eq!(second.first(), Some(&Duration::ZERO));
        assert_eq!(second.last(), Some(&(EVERY * 99)));
        // Five seconds of quiet make the next one free again.
        let later = now + EVERY * 400;
        assert!((0..100).all(|_| pace.grant(later, 100).is_zero()));
    }

    #[test]
    fn a_few_units_are_never_held_back_by_each_other() {
        let mut pace = Pace::default();
        let mut now = Duration::from_secs(1);
        for _ in 0..1000 {
            assert!(pace.grant(now, 2).is_zero());
            now += Duration::from_millis(60);
        }
    }
}
