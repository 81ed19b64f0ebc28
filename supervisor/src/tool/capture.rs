//! What is kept of one stream of a tool run: its head and its tail.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::upgrade::octets;

/// Keeps the first and the last half of a limit, and counts what fell out between.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Capture {
    half: usize,
    #[serde(with = "octets")]
    head: Vec<u8>,
    #[serde(with = "octets")]
    tail: VecDeque<u8>,
    dropped: u64,
}

impl Capture {
    /// At most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { half: limit / 2, head: Vec::new(), tail: VecDeque::new(), dropped: 0 }
    }

    /// Takes bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = self.half - self.head.len();
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        let skipped = rest.len().saturating_sub(self.half);
        let rest = rest.get(skipped..).unwrap_or_default();
        let over = (self.tail.len() + rest.len()).saturating_sub(self.half);
        self.tail.drain(..over);
        self.tail.extend(rest);
        self.dropped += (skipped + over) as u64;
    }

    /// The text, never longer than the limit, and the bytes that are missing in it.
    pub fn finish(self) -> (String, u64) {
        let Self { half, head, tail, mut dropped } = self;
        let tail = Vec::from(tail);
        if dropped == 0 && head.len() + tail.len() <= half * 2 {
            let whole = [head, tail].concat();
            let text = String::from_utf8_lossy(&whole).into_owned();
            if text.len() <= half * 2 {
                return (text, 0);
            }
            let (head, tail) = whole.split_at(whole.len() / 2);
            return join(half, head, tail, &mut dropped);
        }
        join(half, &head, &tail, &mut dropped)
    }
}

/// Room for the words that tell of the gap.
const GAP: usize = 64;

fn join(half: usize, head: &[u8], tail: &[u8], dropped: &mut u64) -> (String, u64) {
    let room = half.saturating_sub(GAP / 2);
    let mut head = String::from_utf8_lossy(head).into_owned();
    let tail = String::from_utf8_lossy(tail).into_owned();
    let mut end = room.min(head.len());
    while !head.is_char_boundary(end) {
        end -= 1;
    }
    let mut start = tail.len() - room.min(tail.len());
    while !tail.is_char_boundary(start) {
        start += 1;
    }
    *dropped += (head.len() - end + start) as u64;
    head.truncate(end);
    let tail = tail.get(start..).unwrap_or_default();
    (format!("{head}\n[... {dropped} bytes not shown ...]\n{tail}"), *dropped)
}

/// Joins characters that a read cut in two.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Characters {
    #[serde(with = "octets")]
    rest: Vec<u8>,
}

impl Characters {
    /// The text of these bytes, without a character that is not complete yet.
    pub fn text(&mut self, bytes: &[u8]) -> String {
        let mut all = std::mem::take(&mut self.rest);
        all.extend_from_slice(bytes);
        let keep = incomplete(&all);
        self.rest = all.split_off(all.len() - keep);
        String::from_utf8_lossy(&all).into_owned()
    }
}

/// How many bytes at the end begin a character without ending it.
fn incomplete(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let Some(byte) = bytes.get(bytes.len() - back) else { return 0 };
        let length = match byte {
            0x00..=0x7f => return 0,
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
        };
        return if length > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn head_and_tail_stay() {
        let mut capture = Capture::new(200);
        capture.push(b"begin ");
        capture.push(&vec![b'.'; 10_000]);
        capture.push(b" end");
        let (text, dropped) = capture.finish();
        assert!(text.starts_with("begin ") && text.ends_with(" end") && text.len() <= 200, "{text}");
        assert!(dropped > 9_800, "{dropped}");
    }

    proptest! {
        #[test]
        fn the_text_never_exceeds_the_limit(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..12)
        ) {
            let mut capture = Capture::new(512);
            for chunk in &chunks {
                capture.push(chunk);
            }
            let (text, _) = capture.finish();
            prop_assert!(text.len() <= 512, "{}", text.len());
        }

        #[test]
        fn reads_do_not_cut_characters(text in "\\PC{0,40}", cut in 0_usize..200) {
            let bytes = text.as_bytes();
            let (a, b) = bytes.split_at(cut.min(bytes.len()));
            let mut characters = Characters::default();
            prop_assert_eq!(characters.text(a) + &characters.text(b), text);
        }
    }
}
