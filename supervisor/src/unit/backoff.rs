//! How long to wait before a unit that fell is launched again.

use std::time::Duration;

use creel_config::operation::Backoff as Rules;
use serde::{Deserialize, Serialize};

/// A unit that ran this long gets its first restart at once.
const SETTLED: Duration = Duration::from_secs(1);

/// The waits of one unit: none, then geometric up to the longest, each a little longer or shorter at random.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Backoff {
    #[serde(skip)]
    rules: Rules,
    /// Waits since the unit was last healthy.
    step: u32,
    /// Whether the restart without a wait was spent.
    spent: bool,
}

impl Backoff {
    /// A unit that never fell.
    pub fn new(rules: Rules) -> Self {
        Self { rules, step: 0, spent: false }
    }

    /// Takes new rules over; what was counted stays.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// The wait after a fall. `ran` is the time since the launch, `healthy` the time since it was ready, `dice` a
    /// random number from 0 to 1.
    pub fn after_fall(&mut self, ran: Duration, healthy: Duration, dice: f64) -> Duration {
        if healthy >= Duration::from_secs(u64::from(self.rules.reset_seconds)) {
            self.forget();
        }
        if !self.spent && ran >= SETTLED {
            self.spent = true;
            return Duration::ZERO;
        }
        self.spent = true;
        let wait = self.wait_of(self.step);
        self.step = self.step.saturating_add(1);
        self.jittered(wait, dice)
    }

    /// The longest wait, for what will not mend itself in a moment.
    pub fn longest(&mut self, dice: f64) -> Duration {
        self.spent = true;
        while self.wait_of(self.step) < self.max() && self.step < 64 {
            self.step += 1;
        }
        self.jittered(self.max(), dice)
    }

    /// Starts over.
    pub fn forget(&mut self) {
        self.step = 0;
        self.spent = false;
    }

    fn max(&self) -> Duration {
        Duration::from_millis(self.rules.max_ms)
    }

    fn wait_of(&self, step: u32) -> Duration {
        let exponent = i32::try_from(step).unwrap_or(i32::MAX).min(64);
        let millis = (self.rules.initial_ms as f64) * self.rules.factor.powi(exponent);
        Duration::try_from_secs_f64(millis / 1000.0).unwrap_or(Duration::MAX).min(self.max())
    }

    fn jittered(&self, wait: Duration, dice: f64) -> Duration {
        let share = (dice.clamp(0.0, 1.0) * 2.0 - 1.0) * self.rules.jitter.clamp(0.0, 1.0);
        wait.mul_f64(1.0 + share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: f64 = 0.5;

    fn waits(ran: Duration, count: usize) -> Vec<u128> {
        let mut backoff = Backoff::new(Rules::default());
        (0..count).map(|_| backoff.after_fall(ran, Duration::ZERO, MIDDLE).as_millis()).collect()
    }

    #[test]
    fn the_first_restart_is_immediate_only_after_a_second() {
        assert_eq!(waits(Duration::from_secs(2), 4), [0, 100, 250, 625]);
        assert_eq!(waits(Duration::ZERO, 3), [100, 250, 625]);
    }

    #[test]
    fn waits_end_at_the_longest_and_start_over_after_a_healthy_minute() {
        let all = waits(Duration::ZERO, 100);
        assert_eq!(all.last(), Some(&30_000));
        let mut backoff = Backoff::new(Rules::default());
        assert_eq!(backoff.longest(MIDDLE), Duration::from_secs(30));
        assert_eq!(backoff.after_fall(Duration::ZERO, Duration::ZERO, MIDDLE), Duration::from_secs(30));
        let minute = Duration::from_secs(60);
        assert_eq!(backoff.after_fall(minute, minute, MIDDLE), Duration::ZERO);
        assert_eq!(backoff.after_fall(Duration::ZERO, Duration::ZERO, MIDDLE).as_millis(), 100);
    }

    #[test]
    fn jitter_stays_within_its_share() {
        let mut backoff = Backoff::new(Rules::default());
        assert_eq!(backoff.after_fall(Duration::ZERO, Duration::ZERO, 0.0).as_millis(), 80);
        assert_eq!(backoff.after_fall(Duration::ZERO, Duration::ZERO, 1.0).as_millis(), 300);
    }
}
