//! The latest denials, and how many are told to the journal.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use creel_ipc::msg::sandbox::{Certainty, Denial, Denials, WhyParams};
use serde::{Deserialize, Serialize};

use super::run::Terms;
use crate::unit::At;

/// Denials that are kept.
const KEPT: usize = 256;
/// Of these, what workers tell: it pushes out nothing else.
const KEPT_OF_TOLD: usize = 64;
/// Denials that are shown when nobody says how many.
const SHOWN: u32 = 20;
/// Denials of one unit within a minute that go to its log and to the journal; an agent can cause as many as it likes.
const TOLD: u32 = 20;

/// The latest denials, and the terms of the commands that run.
#[derive(Debug, Default)]
pub struct Ring {
    kept: VecDeque<Denial>,
    forgotten: u64,
    terms: BTreeMap<String, Terms>,
    /// By unit, and apart what its worker tells, so that the one uses up nothing of the other.
    told: BTreeMap<(String, bool), (At, u32)>,
}

/// The same for the program that comes after an upgrade.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RingState {
    kept: VecDeque<Denial>,
    forgotten: u64,
    terms: BTreeMap<String, Terms>,
}

impl Ring {
    /// A command is about to run under these terms.
    pub fn expect(&mut self, run: &str, terms: Terms) {
        self.terms.insert(run.to_owned(), terms);
    }

    /// The terms of a command.
    pub fn terms(&self, run: &str) -> Option<&Terms> {
        self.terms.get(run)
    }

    /// A command was launched: of these folders the file system keeps the limits.
    pub fn launched(&mut self, run: &str, by_quota: &[PathBuf]) {
        if let Some(terms) = self.terms.get_mut(run) {
            terms.launched(by_quota);
        }
    }

    /// A command has ended: its terms, and what was denied to it meanwhile by others than the kernel.
    pub fn ended(&mut self, run: &str) -> Option<(Terms, Vec<Denial>)> {
        let terms = self.terms.remove(run)?;
        let of_run = self.kept.iter().filter(|denial| denial.run.as_deref() == Some(run));
        Some((terms, of_run.cloned().collect()))
    }

    /// Keeps a denial; whether it is to be told further. The same one again is counted.
    pub fn push(&mut self, denial: Denial, now: At) -> bool {
        let same = |kept: &&mut Denial| {
            kept.unit == denial.unit && kept.run == denial.run && kept.sentence == denial.sentence
        };
        if let Some(kept) = self.kept.iter_mut().find(same) {
            kept.count = kept.count.saturating_add(denial.count);
            kept.at_ms = denial.at_ms;
            return false;
        }
        let by_worker = denial.certainty == Certainty::Told;
        let told = self.told.entry((denial.unit.clone(), by_worker)).or_insert((now, 0));
        if now.saturating_sub(told.0) >= Duration::from_secs(60) {
            *told = (now, 0);
        }
        told.1 += 1;
        let tell = told.1 <= TOLD;
        let of_worker = |kept: &&Denial| kept.certainty == Certainty::Told;
        let oldest = match by_worker && self.kept.iter().filter(of_worker).count() >= KEPT_OF_TOLD {
            true => self.kept.iter().position(|kept| of_worker(&kept)),
            false => (self.kept.len() >= KEPT).then_some(0),
        };
        if oldest.and_then(|at| self.kept.remove(at)).is_some() {
            self.forgotten += 1;
        }
        self.kept.push_back(denial);
        tell
    }

    /// The answer to `sandbox.why`.
    pub fn answer(&self, asked: &WhyParams) -> Denials {
        let unit = asked.agent.as_ref().map(|agent| format!("agent:{agent}"));
        let limit = usize::try_from(asked.limit.unwrap_or(SHOWN)).unwrap_or(KEPT);
        let wanted = |denial: &&Denial| unit.as_ref().is_none_or(|unit| denial.unit == *unit);
        let mut denials: Vec<_> = self.kept.iter().rev().filter(wanted).take(limit).cloned().collect();
        denials.reverse();
        Denials { denials, forgotten: self.forgotten }
    }

    /// What the program after this one needs to go on.
    pub fn state(&self) -> RingState {
        RingState { kept: self.kept.clone(), forgotten: self.forgotten, terms: self.terms.clone() }
    }

    /// Goes on where the program before this one stopped.
    pub fn resume(state: RingState) -> Self {
        let RingState { kept, forgotten, terms } = state;
        Self { kept, forgotten, terms, told: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use creel_ipc::msg::sandbox::{Certainty, Rule};

    use super::*;

    fn denial(unit: &str, sentence: &str) -> Denial {
        Denial {
            at_ms: 1,
            unit: unit.into(),
            run: None,
            rule: Rule::Files,
            certainty: Certainty::Exact,
            sentence: sentence.into(),
            count: 1,
        }
    }

    #[test]
    fn the_newest_are_kept_the_same_is_counted_and_few_are_told() {
        let mut ring = Ring::default();
        let told = (0..300).filter(|n| ring.push(denial("agent:a", &n.to_string()), At::ZERO)).count();
        assert_eq!(told, 20);
        assert!(ring.push(denial("agent:b", "x"), At::ZERO), "another unit has a budget of its own");
        assert!(!ring.push(denial("agent:b", "x"), At::ZERO));
        assert!(ring.push(denial("agent:a", "later"), At::from_secs(60)));
        let all = ring.answer(&WhyParams::default());
        assert_eq!((all.denials.len(), all.forgotten), (20, 46));
        assert_eq!(all.denials.last().unwrap().sentence, "later");
        // What a worker tells pushes nothing else out, and has a budget of its own.
        let of_worker = |n: u32| Denial { certainty: Certainty::Told, ..denial("agent:b", &n.to_string()) };
        let told = (0..500).filter(|n| ring.push(of_worker(*n), At::ZERO)).count();
        assert_eq!(told, 20);
        let all = ring.answer(&WhyParams { agent: Some("b".into()), limit: Some(256) }).denials;
        assert_eq!((all.len(), all[0].sentence.as_str(), all[1].sentence.as_str()), (65, "x", "436"));
        assert_eq!(all[0].count, 2);
    }
}
