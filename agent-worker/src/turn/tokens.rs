//! Guessing tokens without a tokenizer: on the safe side, and right for Chinese too.

use creel_ipc::msg::transcript::{Block, Entry};

/// What an image costs at most providers, roughly.
const IMAGE: u64 = 1600;
/// What the envelope of an entry costs.
const ENVELOPE: u64 = 8;

/// Tokens of a text: four ASCII characters make one, each wide character makes 1.2, anything else half of one;
/// 1.2 times that for safety.
pub fn of_text(text: &str) -> u64 {
    // In thousandths of a token, so that nothing is rounded before the end.
    let mut total: u64 = 0;
    let bytes = text.as_bytes();
    if bytes.is_ascii() {
        total = bytes.len() as u64 * 250;
    } else {
        for c in text.chars() {
            total += match c {
                '\0'..='\x7f' => 250,
                '\u{2e80}'..='\u{d7ff}'
                | '\u{f900}'..='\u{faff}'
                | '\u{ff00}'..='\u{ffef}'
                | '\u{1f000}'.. => 1200,
                _ => 500,
            };
        }
    }
    (total * 12 / 10).div_ceil(1000)
}

/// Tokens of an entry.
pub fn of_entry(entry: &Entry) -> u64 {
    let content = match entry {
        Entry::User { content, .. }
        | Entry::Assistant { content, .. }
        | Entry::ToolResult { content, .. } => content,
    };
    ENVELOPE + content.iter().map(of_block).sum::<u64>()
}

/// Tokens of several entries.
pub fn of_entries(entries: &[Entry]) -> u64 {
    entries.iter().map(of_entry).sum()
}

fn of_block(block: &Block) -> u64 {
    match block {
        Block::Text { text } => of_text(text),
        Block::Thinking { thinking, thinking_signature } => {
            of_text(thinking) + thinking_signature.as_deref().map_or(0, |text| of_text(text) / 2)
        }
        Block::Image { .. } => IMAGE,
        Block::ToolCall { name, arguments, .. } => of_text(name) + of_text(&arguments.to_string()) + ENVELOPE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_and_chinese() {
        assert_eq!(of_text(""), 0);
        assert_eq!(of_text(&"word ".repeat(800)), 1200);
        assert_eq!(of_text(&"网关系统".repeat(250)), 1440);
    }
}
