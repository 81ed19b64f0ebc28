//! A message as lines that arrive whole.

use creel_channel_core::chunk::{Unit, split_text};
use creel_channel_core::render::{parse, plain};

/// Bytes of a line, its end included.
const LINE: usize = 512;
/// Bytes of a host that is not known yet: no network shows a longer one.
const HOST: usize = 63;

/// Bytes of text that fit into one line to `target`, with the prefix that the server puts before it for others.
pub(super) fn budget(prefix_length: usize, target: &str) -> usize {
    let around = ":".len() + prefix_length + " PRIVMSG ".len() + target.len() + " :".len() + "\r\n".len();
    LINE.saturating_sub(around).max(16)
}

/// The length of our `nick!user@host` as far as it can be known before the server told it.
pub(super) fn assumed_prefix(nick: &str, username: &str) -> usize {
    // A server may put a `~` before the user name.
    nick.len() + "!~".len() + username.len() + "@".len() + HOST
}

/// Markdown as lines of at most `budget` bytes.
pub(super) fn lines(markdown: &str, addressee: Option<&str>, budget: usize) -> Vec<String> {
    let mut text = plain(&parse(markdown));
    if let Some(addressee) = addressee {
        text.insert_str(0, &format!("{addressee}: "));
    }
    let printable = |line: &str| -> String {
        line.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| !c.is_control()).collect()
    };
    let mut lines = Vec::new();
    for line in text.split(['\n', '\r']) {
        for (index, piece) in split_text(&printable(line), Unit::Bytes, budget).iter().enumerate() {
            // The space at which a line was cut is not said; the indent of its beginning is.
            let piece = if index > 0 { piece.trim() } else { piece.trim_end() };
            if !piece.is_empty() {
                lines.push(piece.to_owned());
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markdown_becomes_plain_lines() {
        let lines =
            lines("# Hi\n\n**bold** [site](https://e.org)\n\n```\n  code\n```\n- a\n- b", Some("ada"), 400);
        insta::assert_snapshot!(lines.join("\n"));
    }

    proptest! {
        #[test]
        fn every_line_fits_and_carries_no_control(text in any::<String>(), target in "#[a-z]{1,50}") {
            let budget = budget(assumed_prefix("creel", "creel"), &target);
            for line in lines(&text, None, budget) {
                prop_assert!(line.len() <= budget && !line.is_empty());
                prop_assert!(!line.contains(char::is_control));
            }
        }
    }
}
