//! What the model says, decided by the last message alone: the whole "intelligence" of the fake.

use std::time::Duration;

/// The last message of a request, whatever protocol it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Last {
    /// The user spoke.
    User(String),
    /// A tool answered.
    ToolResult(String),
    /// A tool answered, and the list that the user gave has another order.
    Ordered {
        /// What the tool answered.
        result: String,
        /// The order.
        order: String,
    },
}

impl Last {
    /// The end of a conversation: the last text of the user, how many tools answered since, and what the last one said.
    pub(crate) fn of(user: String, answered: usize, result: Option<String>) -> Self {
        let order = orders(&user).nth(answered).map(str::to_owned);
        match (result, order) {
            (Some(result), Some(order)) => Self::Ordered { result, order },
            (Some(result), None) => Self::ToolResult(result),
            (None, Some(order)) => Self::User(order),
            (None, None) => Self::User(user),
        }
    }

    /// What was said or answered last.
    pub(crate) fn text(&self) -> &str {
        let (Self::User(text) | Self::ToolResult(text) | Self::Ordered { result: text, .. }) = self;
        text
    }
}

/// The orders of a message: one on each line below a line that says `obey`.
fn orders(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim).skip_while(|line| command(line) != ("obey", ""));
    lines.skip(1).filter(|line| !line.is_empty())
}

/// What the model does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Says something, in pieces, over a time.
    Say {
        /// The pieces, in order.
        pieces: Vec<String>,
        /// The time that all of them take together, besides the server's own pace.
        over: Duration,
    },
    /// Calls a tool.
    Call {
        /// Its name.
        tool: String,
        /// Its arguments as JSON.
        arguments: String,
    },
}

/// Decides. The commands are described at the crate's root.
pub fn act(last: &Last) -> Act {
    let text = match last {
        Last::ToolResult(output) => return say(format!("tool said: {}", first_line(output))),
        Last::User(text) | Last::Ordered { order: text, .. } => text.trim(),
    };
    let line = text.lines().last().unwrap_or_default();
    let (word, rest) = command(line);
    match (word, rest) {
        ("echo", rest) => say(rest.to_owned()),
        ("tool", command) if !command.is_empty() => Act::Call {
            tool: "exec".to_owned(),
            arguments: serde_json::json!({ "command": command }).to_string(),
        },
        ("call", call) => match call.split_once(' ') {
            Some((tool, arguments)) => Act::Call { tool: tool.to_owned(), arguments: arguments.to_owned() },
            None => say(format!("re: {text}")),
        },
        ("slow", rest) => slow(rest).unwrap_or_else(|| say(format!("re: {text}"))),
        ("long", n) if n.parse::<usize>().is_ok() => say(long(n.parse().unwrap_or(0))),
        ("deltas", n) if n.parse::<usize>().is_ok() => Act::Say {
            pieces: (0..n.parse().unwrap_or(0)).map(|i| format!("t{} ", i % 10)).collect(),
            over: Duration::ZERO,
        },
        _ => say(format!("re: {text}")),
    }
}

/// The first word of a line and the rest. Whoever sits between may put the speaker's name before what was said, and
/// the speaker the bot's: `ada: creelbot: echo x`, `@creel_bot echo x`.
fn command(line: &str) -> (&str, &str) {
    let mut rest = line.trim();
    loop {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        if !(word.ends_with(':') || word.starts_with('@')) {
            return (word, after);
        }
        rest = after.trim_start();
    }
}

fn slow(rest: &str) -> Option<Act> {
    let (ms, text) = rest.split_once(' ')?;
    let over = Duration::from_millis(ms.parse().ok()?);
    // At least one piece a hundred milliseconds, so that the turn is never silent for long.
    let pieces = (over.as_millis() / 100).clamp(2, 200) as usize;
    let chars: Vec<char> = text.chars().collect();
    let size = chars.len().div_ceil(pieces).max(1);
    Some(Act::Say { pieces: chars.chunks(size).map(|piece| piece.iter().collect()).collect(), over })
}

fn say(text: String) -> Act {
    let chars: Vec<char> = text.chars().collect();
    Act::Say { pieces: chars.chunks(12).map(|piece| piece.iter().collect()).collect(), over: Duration::ZERO }
}

/// `n` characters of one to four bytes each, in words and lines, so that every splitter has something to break.
pub fn long(n: usize) -> String {
    const WORDS: [&str; 9] =
        ["the", "cañon", "漢字かな", "🦀🚣", "e\u{301}te\u{301}", "한국어", "naïve", "👩‍🚀", "zwölf"];
    let mut text = String::with_capacity(n * 2);
    let mut written = 0;
    for turn in 0usize.. {
        let end = if turn % 12 == 11 { "\n" } else { " " };
        for c in format!("{}{turn}{end}", WORDS[turn % WORDS.len()]).chars() {
            if written == n {
                return text;
            }
            text.push(c);
            written += 1;
        }
    }
    text
}

fn first_line(text: &str) -> &str {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("(nothing)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        match act(&Last::User(text.into())) {
            Act::Say { pieces, .. } => pieces.concat(),
            Act::Call { tool, arguments } => format!("{tool} {arguments}"),
        }
    }

    #[test]
    fn commands_are_on_the_last_line() {
        assert_eq!(said("echo a b  c"), "a b  c");
        assert_eq!(said("[Ada, 12:00]\necho x"), "x");
        assert_eq!(said("ada: bot: echo x"), "x");
        assert_eq!(said("@bot echo x"), "x");
        assert_eq!(said("ada: hello"), "re: ada: hello");
        assert_eq!(said("hello"), "re: hello");
        assert_eq!(said("tool ls -l"), r#"exec {"command":"ls -l"}"#);
        assert_eq!(said(r#"call read {"path":"a"}"#), r#"read {"path":"a"}"#);
        assert_eq!(said("slow nonsense"), "re: slow nonsense");
        assert_eq!(said("slow 2000 one two three"), "one two three");
        assert_eq!(said(""), "re: ");
    }

    #[test]
    fn a_list_of_orders_is_obeyed_one_by_one() {
        let text = "Ada: please sum this up\nobey\n\ntool id\ncall read {\"path\":\"a\"}";
        let next =
            |answered, result: Option<&str>| Last::of(text.into(), answered, result.map(str::to_owned));
        assert_eq!(next(0, None), Last::User("tool id".into()));
        let order = r#"call read {"path":"a"}"#.to_owned();
        assert_eq!(next(1, Some("uid=0")), Last::Ordered { result: "uid=0".into(), order });
        assert!(matches!(act(&next(1, Some("uid=0"))), Act::Call { tool, .. } if tool == "read"));
        assert_eq!(next(2, Some("text")), Last::ToolResult("text".into()));
        assert_eq!(Last::of("tool obey".into(), 0, None), Last::User("tool obey".into()));
    }

    #[test]
    fn a_tool_result_is_quoted_by_its_first_line() {
        let act = act(&Last::ToolResult("\n  first \nsecond".into()));
        assert_eq!(act, say("tool said: first".into()));
    }

    #[test]
    fn long_answers_have_exactly_so_many_characters() {
        for n in [0, 1, 17, 5000] {
            assert_eq!(said(&format!("long {n}")).chars().count(), n);
        }
        assert!(long(5000).contains('漢') && long(5000).contains('🦀'));
    }
}
