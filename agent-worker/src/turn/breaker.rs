//! The loop breaker: the same call with the same result, again and again.

use creel_ipc::msg::transcript::{Block, Entry};
use serde_json::Value;

/// From this many times in a row the model is warned.
const WARN: u32 = 3;
/// At this many times in a row the turn ends.
const STOP: u32 = 5;

/// Counts equal calls in a row.
#[derive(Debug, Default)]
pub struct Breaker {
    last: Option<(String, Value, String)>,
    count: u32,
}

/// What to do about a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Fine,
    /// Add this to what the model reads.
    Warn(String),
    /// Add this to what the model would read, and end the turn.
    Stop(String),
}

impl Breaker {
    /// Counts a call with its result. Only the result's first block counts: a warning stands behind it.
    pub fn count(&mut self, name: &str, arguments: &Value, result: &Entry) -> Verdict {
        let text = match result {
            Entry::ToolResult { content, .. } => match content.first() {
                Some(Block::Text { text }) => text.clone(),
                _ => String::new(),
            },
            _ => String::new(),
        };
        let this = (name.to_owned(), arguments.clone(), text);
        if self.last.as_ref() == Some(&this) {
            self.count += 1;
        } else {
            self.count = 1;
            self.last = Some(this);
        }
        let n = self.count;
        match n {
            STOP.. => Verdict::Stop(format!(
                "The agent called `{name}` {n} times in a row with the same arguments and the same result, so the turn was ended."
            )),
            WARN.. => Verdict::Warn(format!(
                "[creel] This is call {n} in a row of `{name}` with the same arguments and the same result. Do something else, \
                 or tell the person what is in the way. At call {STOP} the turn is ended."
            )),
            _ => Verdict::Fine,
        }
    }
}
