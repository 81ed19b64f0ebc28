//! Cuts a byte stream into lines of bounded length.

use serde::{Deserialize, Serialize};

use crate::upgrade::octets;

/// Bytes of one line that are kept.
pub const MAX_LINE: usize = 16 * 1024;

/// The state between two reads.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Cutter {
    #[serde(with = "octets")]
    part: Vec<u8>,
    /// Bytes of the current line beyond [`MAX_LINE`].
    beyond: usize,
}

impl Cutter {
    /// Takes bytes in and gives out each line that they complete, without its newline.
    pub fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&str)) {
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            let (head, rest) = bytes.split_at(at);
            bytes = rest.get(1..).unwrap_or_default();
            if self.part.is_empty() && self.beyond == 0 && head.len() <= MAX_LINE {
                line(&String::from_utf8_lossy(strip(head)));
            } else {
                self.keep(head);
                self.give(&mut line);
            }
        }
        self.keep(bytes);
    }

    /// The stream ended: gives out what has no newline, and says so.
    pub fn finish(&mut self, mut line: impl FnMut(&str)) {
        if !self.part.is_empty() {
            self.give(&mut |text: &str| line(&format!("{text} [cut short]")));
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_LINE - self.part.len();
        let (kept, rest) = bytes.split_at(room.min(bytes.len()));
        self.part.extend_from_slice(kept);
        self.beyond += rest.len();
    }

    fn give(&mut self, line: &mut impl FnMut(&str)) {
        // The buffer is given back: a hundred quiet units must not hold a hundred of them.
        let part = std::mem::take(&mut self.part);
        let text = String::from_utf8_lossy(strip(&part));
        match std::mem::take(&mut self.beyond) {
            0 => line(&text),
            beyond => line(&format!("{text} [+{beyond} bytes]")),
        }
    }
}

fn strip(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let (mut cutter, mut out) = (Cutter::default(), Vec::new());
        for chunk in chunks {
            cutter.push(chunk, |line| out.push(line.to_owned()));
        }
        cutter.finish(|line| out.push(line.to_owned()));
        out
    }

    #[test]
    fn a_long_line_is_cut_and_says_by_how_much() {
        let long = vec![b'x'; MAX_LINE + 5];
        let out = lines(&[&long, b"yy\nnext\n"]);
        assert_eq!(out.len(), 2);
        assert!(out[0].ends_with("x [+7 bytes]"), "{}", &out[0][MAX_LINE - 3..]);
        assert_eq!(out[1], "next");
    }

    #[test]
    fn a_last_line_without_a_newline_is_kept_and_says_so() {
        assert_eq!(lines(&[b"a\r\nhalf", b" of it"]), ["a", "half of it [cut short]"]);
    }

    proptest! {
        #[test]
        fn the_cuts_of_the_chunks_do_not_matter(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..400),
            at in proptest::collection::vec(0_usize..400, 0..6),
        ) {
            let mut cuts: Vec<usize> = at.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(lines(&chunks), lines(&[&text]));
        }
    }
}
