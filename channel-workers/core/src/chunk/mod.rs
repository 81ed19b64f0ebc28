//! Cutting a message into parts of the platform's size, in the platform's unit.
//!
//! The best place within reach is taken: paragraph, line, sentence, word, and only then between two characters as
//! people see them. The parts together are the text, byte for byte.

use unicode_segmentation::GraphemeCursor;

use crate::render::Rich;

/// What a platform counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// UTF-16 code units.
    Utf16,
    /// Bytes of UTF-8.
    Bytes,
    /// Unicode characters.
    Chars,
}

/// No part can be smaller than the largest single character.
const LEAST: usize = 4;

impl Unit {
    /// The length of a text.
    pub fn length(self, text: &str) -> usize {
        match self {
            Self::Utf16 => text.chars().map(char::len_utf16).sum(),
            Self::Bytes => text.len(),
            Self::Chars => text.chars().count(),
        }
    }

    fn of(self, c: char) -> usize {
        match self {
            Self::Utf16 => c.len_utf16(),
            Self::Bytes => c.len_utf8(),
            Self::Chars => 1,
        }
    }
}

/// Cuts into parts of at most `limit` units. `fits` measures the rendered part; one that does not fit is made
/// smaller until it does or holds only one character. A limit below 4 counts as 4.
pub fn split(rich: &Rich, unit: Unit, limit: usize, fits: impl Fn(&Rich) -> bool) -> Vec<Rich> {
    let limit = limit.max(LEAST);
    let mut parts = Vec::new();
    let mut start = 0;
    while start < rich.text.len() {
        let rest = &rich.text[start..];
        let mut budget = limit;
        let part = loop {
            let end = start + cut(rest, unit, budget);
            let part = rich.slice(start..end);
            let used = unit.length(&part.text);
            if fits(&part) || part.text.chars().nth(1).is_none() {
                break part;
            }
            budget = (used * 3 / 4).max(1);
        };
        start += part.text.len();
        parts.push(part);
    }
    parts
}

/// Cuts plain text.
pub fn split_text(text: &str, unit: Unit, limit: usize) -> Vec<String> {
    split(&Rich::text(text), unit, limit, |_| true).into_iter().map(|part| part.text).collect()
}

/// Where the first part of at most `budget` units ends: at least one character, at most the whole text.
fn cut(text: &str, unit: Unit, budget: usize) -> usize {
    let mut used = 0;
    let mut hard = text.len();
    for (at, c) in text.char_indices() {
        used += unit.of(c);
        if used > budget && at > 0 {
            hard = at;
            break;
        }
    }
    if hard == text.len() {
        return hard;
    }
    // A good place too near the beginning would make many small parts.
    let early = hard / 4;
    [paragraph(text, hard), line(text, hard), sentence(text, hard), word(text, hard)]
        .into_iter()
        .flatten()
        .find(|end| *end > early)
        .unwrap_or_else(|| grapheme(text, hard))
}

fn paragraph(text: &str, hard: usize) -> Option<usize> {
    if text[hard..].starts_with("\n\n") {
        return Some(hard);
    }
    text[..hard].rfind("\n\n").map(|at| at + 2)
}

fn line(text: &str, hard: usize) -> Option<usize> {
    if text[hard..].starts_with('\n') {
        return Some(hard);
    }
    text[..hard].rfind('\n').map(|at| at + 1)
}

/// Behind a full stop and the white space after it; East Asian stops need none.
fn sentence(text: &str, hard: usize) -> Option<usize> {
    let mut best = None;
    let mut before = '\0';
    for (at, c) in text[..hard].char_indices() {
        let ended = c.is_whitespace() && matches!(before, '.' | '!' | '?' | '…');
        if ended || matches!(c, '。' | '！' | '？') {
            best = Some(at + c.len_utf8());
        }
        before = c;
    }
    best
}

fn word(text: &str, hard: usize) -> Option<usize> {
    if text[hard..].starts_with(char::is_whitespace) {
        return Some(hard);
    }
    let (at, c) = text[..hard].char_indices().rev().find(|(_, c)| c.is_whitespace())?;
    Some(at + c.len_utf8())
}

fn grapheme(text: &str, hard: usize) -> usize {
    let mut cursor = GraphemeCursor::new(hard, text.len(), true);
    if cursor.is_boundary(text, 0) != Ok(false) {
        return hard;
    }
    match cursor.prev_boundary(text, 0) {
        Ok(Some(before)) if before > 0 => before,
        // One character as people see it is larger than a part: it cannot stay whole.
        _ => hard,
    }
}

#[cfg(test)]
mod tests;
