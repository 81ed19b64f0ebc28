//! How many bytes a unit may log.

use serde::{Deserialize, Serialize};

use crate::unit::At;

/// A token bucket in bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Budget {
    per_second: f64,
    burst: f64,
    left: f64,
    at: At,
    dropped_lines: u64,
    dropped_bytes: u64,
}

impl Budget {
    /// A full bucket.
    pub fn new(per_second: u64, burst: u64) -> Self {
        let (per_second, burst) = (per_second as f64, burst as f64);
        Self { per_second, burst, left: burst, at: At::ZERO, dropped_lines: 0, dropped_bytes: 0 }
    }

    /// Whether a line of this length fits; if not, it is counted.
    pub fn take(&mut self, bytes: usize, now: At) -> bool {
        let passed = now.saturating_sub(self.at);
        self.at = now;
        self.left = (self.left + passed.as_secs_f64() * self.per_second).min(self.burst);
        let fits = self.left >= bytes as f64;
        if fits {
            self.left -= bytes as f64;
        } else {
            self.dropped_lines += 1;
            self.dropped_bytes += bytes as u64;
        }
        fits
    }

    /// Whether [`Budget::dropped`] has something to say.
    pub fn has_dropped(&self) -> bool {
        self.dropped_lines > 0
    }

    /// Lines and bytes that did not fit since the last call, if any.
    pub fn dropped(&mut self) -> Option<(u64, u64)> {
        let counts = (std::mem::take(&mut self.dropped_lines), std::mem::take(&mut self.dropped_bytes));
        (counts.0 > 0).then_some(counts)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_over_the_budget_is_counted_and_time_refills_it() {
        let mut budget = Budget::new(100, 200);
        assert!(budget.take(200, Duration::ZERO));
        assert!(!budget.take(1, Duration::ZERO));
        assert!(!budget.take(60, Duration::from_millis(500)));
        assert_eq!(budget.dropped(), Some((2, 61)));
        assert!(budget.take(100, Duration::from_secs(1)));
        assert_eq!(budget.dropped(), None);
    }
}
