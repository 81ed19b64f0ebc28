//! Cutting a byte stream into lines, sans-IO.
//!
//! A frame is one line of UTF-8 ending in `\n`. A torn line ends at the next newline; a line over the limit is
//! discarded up to its newline and counted, and memory never grows past the limit. Blank lines are keep-alives.

use crate::limits::MAX_FRAME;

/// One event of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A whole line without its newline (and without a trailing `\r`); never empty, always UTF-8.
    Line(Vec<u8>),
    /// A line over the limit was discarded.
    Oversize {
        /// Its length in bytes.
        len: usize,
    },
    /// A line that is not UTF-8 was discarded.
    NotUtf8 {
        /// Its length in bytes.
        len: usize,
    },
}

/// Cuts pushed bytes into [`Frame`]s.
#[derive(Debug)]
pub struct Framer {
    line: Vec<u8>,
    /// Bytes of the current line that were thrown away; 0 while it still fits.
    discarded: usize,
    max: usize,
}

impl Default for Framer {
    fn default() -> Self {
        Self::new(MAX_FRAME)
    }
}

impl Framer {
    /// A framer whose lines hold at most `max` bytes, newline excluded.
    pub fn new(max: usize) -> Self {
        Self { line: Vec::new(), discarded: 0, max }
    }

    /// Takes bytes as they were read and hands each finished frame to `sink`.
    pub fn push(&mut self, mut bytes: &[u8], mut sink: impl FnMut(Frame)) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.extend(&bytes[..end]);
            if let Some(frame) = self.finish() {
                sink(frame);
            }
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    /// A framer in the middle of a line, as [`Framer::unfinished`] told it.
    pub fn within(line: Vec<u8>, discarded: usize) -> Self {
        Self { line, discarded, max: MAX_FRAME }
    }

    /// The unfinished line, and how many bytes of it were thrown away.
    pub fn unfinished(&self) -> (&[u8], usize) {
        (&self.line, self.discarded)
    }

    /// Bytes of an unfinished line, at the end of the stream. They are never parsed.
    pub fn torn(&self) -> usize {
        self.line.len() + self.discarded
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.discarded == 0 && self.line.len() + bytes.len() <= self.max {
            self.line.extend_from_slice(bytes);
        } else {
            self.discarded += self.line.len() + bytes.len();
            self.line = Vec::new();
        }
    }

    fn finish(&mut self) -> Option<Frame> {
        if self.discarded > 0 {
            return Some(Frame::Oversize { len: std::mem::take(&mut self.discarded) });
        }
        let mut line = std::mem::take(&mut self.line);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        if std::str::from_utf8(&line).is_err() {
            return Some(Frame::NotUtf8 { len: line.len() });
        }
        Some(Frame::Line(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(max: usize, chunks: &[&[u8]]) -> Vec<Frame> {
        let mut framer = Framer::new(max);
        let mut out = Vec::new();
        for chunk in chunks {
            framer.push(chunk, |frame| out.push(frame));
        }
        out
    }

    #[test]
    fn lines_survive_any_cut() {
        assert_eq!(
            frames(64, &[b"{\"a\"", b":1}\n\n  \r\n{}", b"\n"]),
            [Frame::Line(b"{\"a\":1}".to_vec()), Frame::Line(b"{}".to_vec())]
        );
    }

    #[test]
    fn an_oversized_line_is_counted_and_the_next_one_lives() {
        assert_eq!(
            frames(4, &[b"12345", b"678\n{}\n"]),
            [Frame::Oversize { len: 8 }, Frame::Line(b"{}".to_vec())]
        );
    }

    #[test]
    fn a_line_of_exactly_the_limit_passes() {
        assert_eq!(frames(4, &[b"1234\n"]), [Frame::Line(b"1234".to_vec())]);
    }

    #[test]
    fn a_line_that_is_not_utf8_is_refused_alone() {
        assert_eq!(frames(8, &[b"\xff\xfe\n{}\n"]), [Frame::NotUtf8 { len: 2 }, Frame::Line(b"{}".to_vec())]);
    }
}
