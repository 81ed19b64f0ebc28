//! Shortening text to what a model should read at once.

/// Lines that are shown.
pub const MAX_LINES: usize = 2000;
/// Bytes that are shown.
pub const MAX_BYTES: usize = 50 * 1024;

/// The end of a text, and whether something was cut off before it.
pub fn tail(text: &str) -> (&str, bool) {
    let mut start = text.len() - end(text, MAX_BYTES).len();
    let body = text.strip_suffix('\n').unwrap_or(text);
    if let Some((at, _)) = body.rmatch_indices('\n').nth(MAX_LINES - 1) {
        start = start.max(at + 1);
    }
    // Begin with a whole line if there is one.
    if start > 0 && !text[..start].ends_with('\n') {
        start = text[start..].find('\n').map_or(start, |at| start + at + 1);
    }
    (&text[start..], start > 0)
}

/// The beginning of a text of at most `max` bytes.
pub fn head(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The last bytes of a text, at most `max`.
pub fn end(text: &str, max: usize) -> &str {
    let mut start = text.len().saturating_sub(max);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_left_alone() {
        assert_eq!(tail("a\nb\n"), ("a\nb\n", false));
        assert_eq!(tail(""), ("", false));
    }

    #[test]
    fn the_last_lines_are_kept_whole() {
        let text: String = (0..3000).map(|n| format!("line {n}\n")).collect();
        let (shown, cut) = tail(&text);
        assert!(cut && shown.starts_with("line 1000\n"), "{}", head(shown, 20));
        let wide = format!("{}\nlast\n", "é".repeat(MAX_BYTES));
        assert_eq!(tail(&wide), ("last\n", true));
        let one_line = "é".repeat(MAX_BYTES);
        assert!(tail(&one_line).0.len() <= MAX_BYTES);
    }
}
