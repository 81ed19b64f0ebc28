//! Fitting a conversation into a model's window.

use creel_ipc::msg::agent::Model;
use creel_ipc::msg::transcript::{Block, Entry};

use super::tokens;

/// Characters that are kept of each end of a tool result that is shortened.
const KEEP: usize = 1500;
/// Results shorter than this are never shortened.
const LONG: usize = 4000;
/// The newest results of a turn are left whole for as long as possible.
const NEWEST: usize = 3;

/// Tokens of the conversation that fit beside the answer and what is sent with every call.
pub fn budget(model: &Model, overhead: u64) -> u64 {
    let answer = model.max_tokens.min(model.context_window / 2);
    model.context_window.saturating_sub(answer).saturating_sub(overhead)
}

/// The transcript before the turn, and how much of it is still sent.
#[derive(Debug, Clone, Default)]
pub struct Past {
    entries: Vec<Entry>,
    /// Entries from the start that are not sent any more. Only grows, so that the provider's cache stays warm.
    cut: usize,
}

impl Past {
    /// Takes a repaired transcript.
    pub fn new(entries: Vec<Entry>) -> Self {
        Self { entries, cut: 0 }
    }

    /// What is sent.
    pub fn shown(&self) -> &[Entry] {
        &self.entries[self.cut..]
    }

    /// Drops the oldest whole turns until the rest and `present` tokens fit the budget. Once it has to drop, it makes
    /// room for some more, so that not every further call drops again.
    pub fn fit(&mut self, budget: u64, present: u64) {
        let mut size = tokens::of_entries(self.shown());
        if size + present <= budget {
            return;
        }
        let goal = budget.saturating_sub(budget / 5);
        while size + present > goal && self.cut < self.entries.len() {
            let end = self.end_of_oldest();
            size -= tokens::of_entries(&self.entries[self.cut..end]);
            self.cut = end;
        }
    }

    /// Drops the older half of what is sent, in whole turns. False when there was nothing to drop.
    pub fn halve(&mut self) -> bool {
        let (from, middle) = (self.cut, self.cut + self.shown().len().div_ceil(2));
        while self.cut < middle {
            self.cut = self.end_of_oldest();
        }
        self.cut > from
    }

    fn end_of_oldest(&self) -> usize {
        let after = self.cut + 1;
        let next = self.entries[after.min(self.entries.len())..]
            .iter()
            .position(|entry| matches!(entry, Entry::User { .. }));
        next.map_or(self.entries.len(), |at| after + at)
    }
}

/// Shortens long tool results of the running turn, oldest first, until it fits. What is journalled stays whole.
pub fn shorten(present: &mut [Entry], budget: u64) {
    let mut size = tokens::of_entries(present);
    let results: Vec<usize> =
        (0..present.len()).filter(|&at| matches!(present[at], Entry::ToolResult { .. })).collect();
    let older = results.len().saturating_sub(NEWEST);
    // The newest ones only when nothing else helps.
    for &at in results[..older].iter().chain(&results[older..]) {
        if size <= budget {
            return;
        }
        size -= tokens::of_entry(&present[at]);
        if let Entry::ToolResult { content, .. } = &mut present[at] {
            for block in content {
                if let Block::Text { text } = block {
                    *text = both_ends(text);
                }
            }
        }
        size += tokens::of_entry(&present[at]);
    }
}

fn both_ends(text: &str) -> String {
    if text.chars().count() <= LONG {
        return text.to_owned();
    }
    let start = text.char_indices().nth(KEEP).map_or(text.len(), |(at, _)| at);
    let end = text.char_indices().rev().nth(KEEP - 1).map_or(0, |(at, _)| at);
    format!("{}\n[… {} bytes left out to save room …]\n{}", &text[..start], end - start, &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(words: usize) -> Entry {
        Entry::User { content: vec![Block::text("word ".repeat(words))], timestamp: 0 }
    }

    fn result(words: usize) -> Entry {
        Entry::ToolResult {
            tool_call_id: "c".to_owned(),
            tool_name: "exec".to_owned(),
            content: vec![Block::text("word ".repeat(words))],
            is_error: false,
            timestamp: 0,
        }
    }

    #[test]
    fn whole_turns_go_and_the_cut_only_grows() {
        let mut past = Past::new(vec![user(100), result(100), user(100), result(100), user(100)]);
        past.fit(10_000, 0);
        assert_eq!(past.shown().len(), 5);
        past.fit(700, 0);
        assert_eq!(past.shown().len(), 3);
        past.fit(10_000, 0);
        assert_eq!(past.shown().len(), 3);
        past.fit(10, 0);
        assert!(past.shown().is_empty());
    }

    #[test]
    fn half_of_it_goes_in_whole_turns() {
        let mut past = Past::new(vec![user(1), result(1), result(1), result(1), user(1)]);
        assert!(past.halve());
        assert_eq!(past.shown().len(), 1);
        assert!(past.halve());
        assert!(!past.halve());
    }

    #[test]
    fn old_results_are_shortened_first() {
        let mut present = vec![user(1), result(2000), result(2000), result(2000), result(2000)];
        let budget = tokens::of_entries(&present) - 1000;
        shorten(&mut present, budget);
        let sizes: Vec<u64> = present.iter().map(tokens::of_entry).collect();
        assert!(sizes[1] < 1100 && sizes[2] > 2500, "{sizes:?}");
        shorten(&mut present, 10);
        assert!(present.iter().all(|entry| tokens::of_entry(entry) < 1100));
    }
}
