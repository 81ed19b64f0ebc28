//! What can go wrong between a client and the Bot API.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

/// One thing that goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fault", content = "value")]
pub enum Fault {
    /// 429 with `parameters.retry_after` in seconds; nothing is done.
    RetryAfter(u64),
    /// 502 from something in front of the API; nothing is done.
    ErrorBefore,
    /// The call is carried out, and answered with 502.
    ErrorAfter,
    /// The connection is closed before anything is done.
    ClosedBefore,
    /// The call is carried out, and the connection closed instead of an answer.
    LostResponse,
    /// The request is read and never answered.
    HalfOpen,
    /// The answer comes after so many milliseconds.
    Slow(u64),
    /// The call is carried out, and answered with a page of HTML.
    Garbage,
    /// The API does not take the markup, whatever it is.
    BadMarkup,
}

impl Fault {
    /// Whether the client cannot tell afterwards if its call was carried out.
    pub(crate) fn hides_the_outcome(self) -> bool {
        match self {
            Self::ErrorBefore
            | Self::ErrorAfter
            | Self::ClosedBefore
            | Self::LostResponse
            | Self::HalfOpen
            | Self::Garbage => true,
            Self::RetryAfter(_) | Self::Slow(_) | Self::BadMarkup => false,
        }
    }
}

/// Probabilities of faults, from 0 to 1. The same seed and the same order of calls meet the same faults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Odds {
    /// Beginning of the sequence of chances.
    pub seed: u64,
    /// Only these methods meet faults; empty means all.
    pub methods: Vec<String>,
    /// Of [`Fault::RetryAfter`].
    pub retry_after: f64,
    /// Seconds told in it.
    pub retry_after_seconds: u64,
    /// Of [`Fault::ErrorBefore`].
    pub error_before: f64,
    /// Of [`Fault::ErrorAfter`].
    pub error_after: f64,
    /// Of [`Fault::ClosedBefore`].
    pub closed_before: f64,
    /// Of [`Fault::LostResponse`].
    pub lost_response: f64,
    /// Of [`Fault::HalfOpen`].
    pub half_open: f64,
    /// Of [`Fault::Slow`].
    pub slow: f64,
    /// Milliseconds of it.
    pub slow_ms: u64,
    /// Of an injected message coming a second time under a new update id.
    pub duplicate_new_id: f64,
    /// Of a confirmed update coming once more under its old id.
    pub duplicate_same_id: f64,
}

/// Faults to come.
#[derive(Debug, Default)]
pub(crate) struct Script {
    next: HashMap<String, VecDeque<Fault>>,
    odds: Odds,
    chance: u64,
}

impl Script {
    pub(crate) fn push(&mut self, method: &str, fault: Fault) {
        self.next.entry(method.to_owned()).or_default().push_back(fault);
    }

    pub(crate) fn set(&mut self, odds: Odds) {
        self.chance = odds.seed;
        self.odds = odds;
    }

    /// The fault that this call meets.
    pub(crate) fn meets(&mut self, method: &str) -> Option<Fault> {
        for name in [method, "*"] {
            if let Some(fault) = self.next.get_mut(name).and_then(VecDeque::pop_front) {
                return Some(fault);
            }
        }
        let odds = self.odds.clone();
        if !odds.methods.is_empty() && !odds.methods.iter().any(|m| m == method) {
            return None;
        }
        let mut left = self.chance();
        let table = [
            (odds.retry_after, Fault::RetryAfter(odds.retry_after_seconds.max(1))),
            (odds.error_before, Fault::ErrorBefore),
            (odds.error_after, Fault::ErrorAfter),
            (odds.closed_before, Fault::ClosedBefore),
            (odds.lost_response, Fault::LostResponse),
            (odds.half_open, Fault::HalfOpen),
            (odds.slow, Fault::Slow(odds.slow_ms)),
        ];
        for (probability, fault) in table {
            if left < probability {
                return Some(fault);
            }
            left -= probability;
        }
        None
    }

    pub(crate) fn duplicates_with_new_id(&mut self) -> bool {
        let probability = self.odds.duplicate_new_id;
        probability > 0.0 && self.chance() < probability
    }

    pub(crate) fn duplicates_with_same_id(&mut self) -> bool {
        let probability = self.odds.duplicate_same_id;
        probability > 0.0 && self.chance() < probability
    }

    /// The next chance in 0..1 (splitmix64).
    fn chance(&mut self) -> f64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.chance;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_faults_and_the_odds_hold() {
        let run = || {
            let mut script = Script::default();
            script.set(Odds { seed: 7, lost_response: 0.2, error_before: 0.1, ..Odds::default() });
            (0..2000).map(|_| script.meets("sendMessage")).collect::<Vec<_>>()
        };
        let faults = run();
        assert_eq!(faults, run());
        let lost = faults.iter().filter(|f| **f == Some(Fault::LostResponse)).count();
        let before = faults.iter().filter(|f| **f == Some(Fault::ErrorBefore)).count();
        assert!((300..500).contains(&lost) && (140..260).contains(&before), "{lost} {before}");
    }

    #[test]
    fn scripted_faults_come_first_and_once() {
        let mut script = Script::default();
        script.push("sendMessage", Fault::LostResponse);
        assert_eq!(script.meets("getUpdates"), None);
        assert_eq!(script.meets("sendMessage"), Some(Fault::LostResponse));
        assert_eq!(script.meets("sendMessage"), None);
    }
}
