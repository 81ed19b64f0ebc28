//! What a run must not have done.

use std::fmt;

use super::outside::lane_of;
use super::*;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What must not be.
    pub faults: Vec<String>,
    /// Messages that were answered.
    pub answered: u64,
    /// Claims of accounts after the first.
    pub takeovers: u64,
    /// Writes that a fence refused.
    pub refused: u64,
    /// Replies of which nobody knows whether they were said.
    pub unknown: u64,
}

impl Verdict {
    pub(super) fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.takeovers += other.takeovers;
        self.refused += other.refused;
        self.unknown += other.unknown;
    }

    pub(super) fn judge(&mut self, store: &mut Memory, outside: Outside) {
        self.faults.extend(outside.faults.iter().cloned());
        let mut answered: BTreeMap<String, u32> = BTreeMap::new();
        for lane in ACCOUNTS.iter().flat_map(|account| (0..CHATS).map(|chat| lane_of(account, chat))) {
            let mut last = String::new();
            for record in store.history(&lane, u32::MAX).unwrap() {
                let Entry::User { content, .. } = record.entry else { continue };
                let text: String = content.iter().filter_map(text_of).collect();
                if text <= last {
                    self.faults.push(format!("in {lane} {text} came after {last}"));
                }
                *answered.entry(text.clone()).or_default() += 1;
                last = text;
            }
        }
        for n in 0..MESSAGES {
            let text = format!("{n:04}");
            let times = answered.get(&text).copied().unwrap_or(0);
            if times != 1 {
                let promised = if outside.acknowledged.contains(&text) { "acknowledged" } else { "waiting" };
                self.faults.push(format!("the {promised} message {text} was answered {times} times"));
            }
        }
        let rows = store.outbox(u32::MAX).unwrap();
        for row in &rows {
            let (key, said) = (&row.what.key, outside.said.get(&row.what.key).copied().unwrap_or(0));
            use crate::hub::OutboxState;
            match row.state {
                OutboxState::Sent if said == 1 => {}
                OutboxState::Unknown if said <= 1 => self.unknown += 1,
                // The last one may be on its way when the run ends.
                OutboxState::Attempting if said <= 1 => {}
                state => self.faults.push(format!("the reply {key} is {state:?} and was said {said} times")),
            }
        }
        for ((turn, step), times) in outside.effects.iter().filter(|(_, times)| **times > 1) {
            self.faults.push(format!("the effect of step {step} of {turn} happened {times} times"));
        }
        self.answered = answered.len() as u64;
    }
}

fn text_of(block: &Block) -> Option<&str> {
    match block {
        Block::Text { text, .. } => Some(text),
        _ => None,
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} messages answered, {} takeovers, {} writes refused, {} replies in doubt",
            self.answered, self.takeovers, self.refused, self.unknown
        )
    }
}
