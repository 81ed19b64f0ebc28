//! `||hidden||`, which Markdown does not know.

use std::ops::Range;

use super::{Mark, Rich, Style};

const FENCE: &str = "||";

/// Turns the fences into marks.
pub(super) fn mark(rich: Rich) -> Rich {
    let pairs = pairs(&rich);
    if pairs.is_empty() {
        return rich;
    }
    let cuts: Vec<usize> = pairs.iter().flat_map(|pair| [pair.start, pair.end]).collect();
    // A position in the text without the fences: less the length of every fence before it.
    let moved = |at: usize| {
        cuts.iter().fold(at, |moved, cut| if at > *cut { moved - FENCE.len().min(at - cut) } else { moved })
    };
    let mut text = String::with_capacity(rich.text.len());
    let mut from = 0;
    for cut in &cuts {
        text.push_str(&rich.text[from..*cut]);
        from = cut + FENCE.len();
    }
    text.push_str(&rich.text[from..]);
    let hidden = pairs.iter().map(|pair| Mark { range: pair.clone(), style: Style::Spoiler });
    let mut marks: Vec<Mark> = rich
        .marks
        .iter()
        .cloned()
        .chain(hidden)
        .map(|mark| Mark { range: moved(mark.range.start)..moved(mark.range.end), style: mark.style })
        .filter(|mark| !mark.range.is_empty())
        .collect();
    marks.sort_by_key(|mark| (mark.range.start, std::cmp::Reverse(mark.range.end)));
    Rich { text, marks }
}

/// From the beginning of each opening fence to the beginning of its closing one. A spoiler is within one line and
/// has no white space inside its fences, which tells it from the logical "or".
fn pairs(rich: &Rich) -> Vec<Range<usize>> {
    let is_code = |at: usize| {
        let code = |mark: &&Mark| matches!(mark.style, Style::Code | Style::Pre { .. });
        rich.marks.iter().filter(code).any(|mark| mark.range.contains(&at))
    };
    let mut pairs = Vec::new();
    let mut opened: Option<usize> = None;
    let mut at = 0;
    while let Some(found) = rich.text[at..].find(FENCE).map(|found| found + at) {
        at = found + FENCE.len();
        if is_code(found) {
            continue;
        }
        let white_before = rich.text[..found].chars().next_back().is_none_or(char::is_whitespace);
        let white_after = rich.text[at..].chars().next().is_none_or(char::is_whitespace);
        match opened {
            Some(start)
                if !white_before
                    && found > start + FENCE.len()
                    && !rich.text[start..found].contains('\n') =>
            {
                pairs.push(start..found);
                opened = None;
            }
            _ => opened = (!white_after).then_some(found),
        }
    }
    pairs
}
