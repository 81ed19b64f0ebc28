//! When a unit fell too often.

use std::collections::VecDeque;
use std::time::Duration;

use creel_config::operation::Brake as Rules;
use serde::{Deserialize, Serialize};

use super::At;

const HOUR: Duration = Duration::from_secs(3600);

/// The crashes of one unit within the last hour.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Brake {
    #[serde(skip)]
    rules: Rules,
    crashes: VecDeque<At>,
    violation: Option<At>,
}

impl Brake {
    /// A unit that never crashed.
    pub fn new(rules: Rules) -> Self {
        Self { rules, crashes: VecDeque::new(), violation: None }
    }

    /// Takes new rules over; what was counted stays.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Counts a crash; says why it was one too many, if it was.
    pub fn crash(&mut self, now: At) -> Option<String> {
        self.crashes.push_back(now);
        while self.crashes.front().is_some_and(|at| now.saturating_sub(*at) >= HOUR) {
            self.crashes.pop_front();
        }
        let window = Duration::from_secs(u64::from(self.rules.window_seconds));
        let recent = self.crashes.iter().rev().take_while(|at| now.saturating_sub(**at) < window).count();
        let over = |count: usize, limit: u32| u32::try_from(count).unwrap_or(u32::MAX) > limit;
        if over(recent, self.rules.crashes) {
            return Some(format!("It crashed {recent} times within {} s.", self.rules.window_seconds));
        }
        let hourly = self.crashes.len();
        over(hourly, self.rules.crashes_per_hour)
            .then(|| format!("It crashed {hourly} times within an hour."))
    }

    /// Counts a violation of the sandbox: the second within an hour is one too many. The same program will do it
    /// again, and it is never given more rights for it.
    pub fn violation(&mut self, now: At) -> Option<String> {
        let repeated = self.violation.replace(now).is_some_and(|at| now.saturating_sub(at) < HOUR);
        let crashed = self.crash(now);
        if repeated {
            return Some("It did so before within an hour.".to_owned());
        }
        crashed
    }

    /// Starts over.
    pub fn release(&mut self) {
        self.crashes.clear();
        self.violation = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crashes(every: Duration, count: u32) -> Option<u32> {
        let mut brake = Brake::new(Rules::default());
        (1..=count).find(|n| brake.crash(every * *n).is_some())
    }

    #[test]
    fn the_sixth_crash_of_a_minute_and_the_thirty_first_of_an_hour_are_too_many() {
        assert_eq!(crashes(Duration::from_millis(10), 10), Some(6));
        assert_eq!(crashes(Duration::from_secs(60), 100), Some(31));
        assert_eq!(crashes(Duration::from_secs(121), 100), None);
    }

    #[test]
    fn the_second_violation_of_an_hour_is_too_many() {
        let mut brake = Brake::new(Rules::default());
        let hour = Duration::from_secs(3600);
        assert_eq!(brake.violation(hour), None);
        assert_eq!(brake.violation(hour * 2), None);
        assert!(brake.violation(hour * 2 + hour / 2).is_some());
        brake.release();
        assert_eq!(brake.violation(hour * 3), None);
    }
}
