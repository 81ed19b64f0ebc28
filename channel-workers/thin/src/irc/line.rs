//! Lines of the protocol, read and written.

use std::collections::HashMap;

/// One line from the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Line {
    pub(super) tags: HashMap<String, String>,
    /// Who says it: `nick!user@host`, or a server.
    pub(super) prefix: String,
    /// A word in capitals or three digits.
    pub(super) command: String,
    pub(super) params: Vec<String>,
}

impl Line {
    /// Reads a line without its end. Bytes that are no UTF-8 are taken for Latin-1, as old clients send it.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().copied().map(char::from).collect(),
        };
        let mut rest = text.trim_end_matches(['\r', '\n']);
        let mut line = Self::default();
        if let Some(tagged) = rest.strip_prefix('@') {
            let (tags, after) = tagged.split_once(' ')?;
            for tag in tags.split(';').filter(|tag| !tag.is_empty()) {
                let (key, value) = tag.split_once('=').unwrap_or((tag, ""));
                line.tags.insert(key.to_owned(), unescape(value));
            }
            rest = after.trim_start_matches(' ');
        }
        if let Some(prefixed) = rest.strip_prefix(':') {
            let (prefix, after) = prefixed.split_once(' ')?;
            line.prefix = prefix.to_owned();
            rest = after.trim_start_matches(' ');
        }
        while !rest.is_empty() {
            if let Some(last) = rest.strip_prefix(':').filter(|_| !line.command.is_empty()) {
                line.params.push(last.to_owned());
                break;
            }
            let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
            if line.command.is_empty() {
                line.command = word.to_ascii_uppercase();
            } else {
                line.params.push(word.to_owned());
            }
            rest = after.trim_start_matches(' ');
        }
        (!line.command.is_empty()).then_some(line)
    }

    /// A parameter; an absent one is empty.
    pub(super) fn param(&self, index: usize) -> &str {
        self.params.get(index).map_or("", String::as_str)
    }

    /// The last parameter, which is the sentence of a reply.
    pub(super) fn last(&self) -> &str {
        self.params.last().map_or("", String::as_str)
    }

    /// The nick of the sender.
    pub(super) fn nick(&self) -> &str {
        self.prefix.split(['!', '@']).next().unwrap_or_default()
    }
}

fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some(':') => out.push(';'),
            Some('s') => out.push(' '),
            Some('r') => out.push('\r'),
            Some('n') => out.push('\n'),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

/// A line to the server, without its end. Whatever could end it early is taken out, so that nothing that was
/// written by a person or a model can become a command.
pub(super) fn write(words: &[&str], last: Option<&str>) -> String {
    let mut line = words.join(" ");
    if let Some(last) = last {
        line.push_str(" :");
        line.push_str(last);
    }
    line.retain(|c| !matches!(c, '\r' | '\n' | '\0'));
    line
}

/// Milliseconds since the epoch of a `time` tag, such as `2026-11-21T12:34:56.789Z`.
pub(super) fn server_time(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, millis) = time.split_once('.').unwrap_or((time, "0"));
    let mut clock = clock.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let millis = format!("{millis:0<3}").get(..3)?.parse::<i64>().ok()?;
    if !((1970..10_000).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)) {
        return None;
    }
    // Days since the epoch in the Gregorian calendar, with years that begin in March.
    let (shifted, of_year) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + (153 * of_year + 2) / 5 + day - 719_469;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + millis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_read_with_all_its_parts() {
        let line = Line::read(
            b"@time=2026-11-21T12:34:56.789Z;msgid=a\\sb;+x :ada!~a@h PRIVMSG #room :hi : there\r",
        )
        .unwrap();
        assert_eq!((line.nick(), line.command.as_str()), ("ada", "PRIVMSG"));
        assert_eq!(line.params, ["#room", "hi : there"]);
        assert_eq!(line.tags["msgid"], "a b");
        assert_eq!(Line::read(b"PING :x").unwrap().last(), "x");
        assert_eq!(Line::read(b"ping x").unwrap().command, "PING");
        assert_eq!(Line::read(b""), None);
        assert_eq!(Line::read(b":only"), None);
        assert_eq!(Line::read(b":a PRIVMSG b :caf\xe9").unwrap().last(), "café");
    }

    #[test]
    fn the_time_of_the_server_is_understood() {
        assert_eq!(server_time("1970-01-01T00:00:00.000Z"), Some(0));
        assert_eq!(server_time("2026-11-21T12:34:56.789Z"), Some(1_795_264_496_789));
        assert_eq!(server_time("2024-02-29T23:59:59Z"), Some(1_709_251_199_000));
        assert_eq!(server_time("yesterday"), None);
        assert_eq!(server_time("2026-13-01T00:00:00Z"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in any::<Vec<u8>>(), tag in any::<String>()) {
            let _line = Line::read(&bytes);
            let _time = server_time(&tag);
        }

        #[test]
        fn nothing_written_can_become_a_second_line(text in any::<String>()) {
            let line = write(&["PRIVMSG", "#room"], Some(&text));
            prop_assert!(!line.contains(['\r', '\n', '\0']));
            let read = Line::read(line.as_bytes()).unwrap();
            prop_assert_eq!(read.command.as_str(), "PRIVMSG");
            prop_assert_eq!(read.params.len(), 2);
        }
    }
}
