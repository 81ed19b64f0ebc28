//! What a background process printed, output and errors as they came: the newest part, counted from the first byte.

use std::collections::VecDeque;

use creel_ipc::limits::MAX_PROCESS_TEXT;
use serde::{Deserialize, Serialize};

use crate::upgrade::octets;

/// Bytes that are kept.
const KEPT: usize = 256 * 1024;

/// The text, of which the beginning may be gone.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Scroll {
    /// Bytes that are gone.
    gone: u64,
    #[serde(with = "octets")]
    kept: VecDeque<u8>,
}

/// A part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The text.
    pub text: String,
    /// Where the next part begins.
    pub next: u64,
    /// Bytes that are missing before it.
    pub lost: u64,
}

impl Scroll {
    /// Takes text in.
    pub fn push(&mut self, text: &str) {
        self.kept.extend(text.as_bytes());
        let mut over = self.kept.len().saturating_sub(KEPT);
        while self.kept.get(over).is_some_and(|byte| byte & 0xc0 == 0x80) {
            over += 1;
        }
        self.kept.drain(..over);
        self.gone += over as u64;
    }

    /// The end of it, in bytes from its beginning.
    pub fn end(&self) -> u64 {
        self.gone + self.kept.len() as u64
    }

    /// What was printed from a place on, as much as one answer takes.
    pub fn from(&self, from: u64) -> Part {
        let begin = from.clamp(self.gone, self.end());
        let skip = usize::try_from(begin - self.gone).unwrap_or(usize::MAX);
        let bytes: Vec<u8> = self.kept.iter().skip(skip).take(MAX_PROCESS_TEXT).copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        // Only whole characters were taken in; a cut one is read with the next part.
        let text =
            if begin + bytes.len() as u64 == self.end() { &*text } else { text.trim_end_matches('\u{fffd}') };
        Part { text: text.to_owned(), next: begin + text.len() as u64, lost: begin.saturating_sub(from) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_newest_part_stays_and_tells_what_is_missing() {
        let mut scroll = Scroll::default();
        scroll.push("old");
        assert_eq!(scroll.from(0), Part { text: "old".into(), next: 3, lost: 0 });
        scroll.push(&"x".repeat(KEPT));
        let part = scroll.from(3);
        assert_eq!(
            (part.text.len(), part.next, part.lost),
            (MAX_PROCESS_TEXT, 3 + MAX_PROCESS_TEXT as u64, 0)
        );
        assert_eq!((scroll.from(0).lost, scroll.from(u64::MAX).text.as_str()), (3, ""));
    }

    proptest! {
        #[test]
        fn reading_on_gives_everything_once(pieces in proptest::collection::vec("\\PC{0,9000}", 0..12)) {
            let mut scroll = Scroll::default();
            let (mut read, mut at) = (String::new(), 0);
            for piece in &pieces {
                scroll.push(piece);
                loop {
                    let part = scroll.from(at);
                    prop_assert_eq!(part.lost, 0);
                    if part.text.is_empty() {
                        break;
                    }
                    read.push_str(&part.text);
                    at = part.next;
                }
            }
            prop_assert_eq!(read, pieces.concat());
        }
    }
}
