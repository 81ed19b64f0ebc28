//! Codes for colour and weight in the middle of a text.

/// The text without codes for colour and weight.
pub(super) fn without_codes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{3}' {
            let digits = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
                (0..2).filter(|_| chars.next_if(char::is_ascii_digit).is_some()).count()
            };
            let behind = |chars: &std::iter::Peekable<std::str::Chars<'_>>| {
                let mut ahead = chars.clone();
                ahead.next() == Some(',') && ahead.next().is_some_and(|c| c.is_ascii_digit())
            };
            if digits(&mut chars) > 0 && behind(&chars) {
                chars.next();
                digits(&mut chars);
            }
        } else if !c.is_control() {
            out.push(c);
        }
    }
    out
}
