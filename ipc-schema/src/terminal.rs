//! Text that programs and models wrote, without what a terminal would obey.

/// Characters of a control sequence after which it is taken for text: nobody ends it any more.
const LONGEST: usize = 4096;

/// Whether a character steers whoever shows it, instead of being shown: controls (C0, DEL and C1), and those that turn the
/// direction of the text around them or begin a line of their own.
#[must_use]
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text without control sequences, whole ones with all that belongs to them. Newlines and tabs stay; a carriage return begins
/// a line.
#[must_use]
pub fn stripped(text: &str) -> String {
    if !text.contains(steers) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match sequence(rest) {
            Some(Sequence::Whole(length)) => length,
            Some(Sequence::Open) => rest.len(),
            None => {
                match c {
                    '\r' if rest.starts_with("\r\n") => {}
                    '\r' => out.push('\n'),
                    '\n' | '\t' => out.push(c),
                    c if steers(c) => {}
                    c => out.push(c),
                }
                c.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

/// Bytes at the end of the text that begin a control sequence, or a line's end, without ending it: to be read again with what
/// follows them.
#[must_use]
pub fn unfinished(text: &str) -> usize {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find(begins)) {
        at += found;
        let rest = text.get(at..).unwrap_or_default();
        match sequence(rest) {
            Some(Sequence::Open) => return rest.len(),
            Some(Sequence::Whole(length)) => at += length,
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    usize::from(text.ends_with('\r'))
}

enum Sequence {
    /// So many bytes.
    Whole(usize),
    /// The text ends before it does.
    Open,
}

fn begins(c: char) -> bool {
    matches!(c, '\u{1b}' | '\u{90}' | '\u{98}' | '\u{9b}' | '\u{9d}'..='\u{9f}')
}

/// The control sequence (ECMA-48) at the beginning of the text, if there is one.
fn sequence(text: &str) -> Option<Sequence> {
    let mut chars = text.char_indices();
    let (_, first) = chars.next().filter(|(_, c)| begins(*c))?;
    let kind = match first {
        '\u{1b}' => match chars.next() {
            None => return Some(Sequence::Open),
            // The seven-bit spelling of the same: ESC and a letter.
            Some((_, c @ ('[' | ']' | 'P' | 'X' | '^' | '_'))) => c,
            // Such as the choice of a character set, or a single letter; a lone ESC otherwise.
            Some((_, c @ '\u{20}'..='\u{2f}')) => c,
            Some((at, '\u{30}'..='\u{7e}')) => return Some(Sequence::Whole(at + 1)),
            Some(_) => return None,
        },
        '\u{9b}' => '[',
        other => other,
    };
    for (at, c) in chars.take(LONGEST) {
        let end = at + c.len_utf8();
        match kind {
            // Parameters and intermediates, then one final; whatever else comes is text again.
            '[' => match c {
                '\u{20}'..='\u{3f}' => {}
                '\u{40}'..='\u{7e}' => return Some(Sequence::Whole(end)),
                _ => return Some(Sequence::Whole(at)),
            },
            '\u{20}'..='\u{2f}' => match c {
                '\u{20}'..='\u{2f}' => {}
                '\u{30}'..='\u{7e}' => return Some(Sequence::Whole(end)),
                _ => return Some(Sequence::Whole(at)),
            },
            // A string, such as the title of a window or what is to be put on the clipboard: to its end, or where it is
            // given up.
            _ => match c {
                '\u{7}' | '\u{9c}' | '\u{18}' | '\u{1a}' => return Some(Sequence::Whole(end)),
                '\u{1b}' => {
                    return match text.get(end..).and_then(|rest| rest.chars().next()) {
                        None => Some(Sequence::Open),
                        Some('\\') => Some(Sequence::Whole(end + 1)),
                        Some(_) => Some(Sequence::Whole(at)),
                    };
                }
                '\n' => return Some(Sequence::Whole(at)),
                _ => {}
            },
        }
    }
    if text.chars().nth(LONGEST).is_some() { None } else { Some(Sequence::Open) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_gone_and_the_words_stay() {
        for (text, shown) in [
            ("plain ü 日本 🦀\n\tx", "plain ü 日本 🦀\n\tx"),
            ("\u{1b}[1;31mred\u{1b}[0m \u{9b}2Jtext", "red text"),
            // The clipboard, in both spellings and with both ends.
            ("a\u{1b}]52;c;cm0gLXJm\u{7}b", "ab"),
            ("a\u{1b}]52;c;cm0gLXJm\u{1b}\\b", "ab"),
            ("a\u{9d}52;c;cm0gLXJm\u{9c}b", "ab"),
            ("\u{1b}Pq#0;2;0;0;0\u{1b}\\x\u{1b}_G\u{1b}\\y\u{1b}^z\u{1b}\\", "xy"),
            ("\u{1b}(B\u{1b}=\u{1b}7x\u{1b}c", "x"),
            // One that is not ended takes no line with it.
            ("\u{1b}]0;title\nnext", "\nnext"),
            ("50%\r100%\r\ndone", "50%\n100%\ndone"),
            ("a\u{8}\u{0}\u{7f}\u{85}b", "ab"),
            ("good\u{202e}live\u{2066}\u{200f}\u{61c}\u{2028}", "goodlive"),
            ("\u{1b}[31", ""),
        ] {
            assert_eq!(stripped(text), shown, "{text:?}");
        }
    }

    #[test]
    fn what_is_cut_in_two_waits_for_its_rest() {
        for (text, held) in [
            ("a\u{1b}", 1),
            ("a\u{1b}[31", 4),
            ("a\u{1b}]52;c;cm0", 10),
            ("a\u{1b}]0;t\u{1b}", 6),
            ("50%\r", 1),
            ("a\u{1b}[31mb", 0),
            ("plain", 0),
            ("\u{1b}]0;t\u{7}x\u{9b}3", 3),
        ] {
            assert_eq!(unfinished(text), held, "{text:?}");
        }
        // Not for ever.
        assert_eq!(unfinished(&format!("\u{1b}]{}", "x".repeat(LONGEST + 10))), 0);
    }

    proptest! {
        #[test]
        fn nothing_steers_afterwards(text in "([\u{1b}\u{9b}\u{9d}\\[\\]P;0-9mJ\u{7}\u{9c}\\\\\r\n\u{202e}a-c]|\\PC){0,60}") {
            let shown = stripped(&text);
            prop_assert!(!shown.chars().any(|c| steers(c) && !matches!(c, '\n' | '\t')), "{:?}", shown);
            prop_assert_eq!(stripped(&shown), shown);
        }

        #[test]
        fn reading_in_parts_gives_the_same(text in "[\u{1b}\u{9b}\u{9d}\\[\\]P;0-9mJ\u{7}\\\\\r\na-c]{0,40}", at in 0_usize..40) {
            let cut = text.floor_char_boundary(at.min(text.len()));
            let first = text.get(..cut).unwrap();
            let read = cut - unfinished(first);
            let parts = stripped(text.get(..read).unwrap()) + &stripped(text.get(read..).unwrap());
            prop_assert_eq!(parts, stripped(&text));
        }
    }
}
