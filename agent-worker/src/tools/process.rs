//! The tool `process`: commands that `exec` left running. What it asks goes by way of the gateway to the supervisor, which
//! has the processes.

use creel_ipc::msg::process::ProcessStatus;
use creel_ipc::msg::tool::ToolExit;
use creel_ipc::terminal::{stripped, unfinished};
use serde_json::Value;

use super::{Outcome, arguments::Arguments, exec};

/// What `poll` waits for news when nobody says otherwise, milliseconds.
const WAIT: u64 = 2000;
/// What it waits at most.
const MOST_WAIT: u64 = 60_000;
/// Lines that `log` shows when nobody says otherwise.
const LINES: u64 = 200;

/// What the model wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// All processes.
    List,
    /// What is new of one, after so many milliseconds at most.
    Poll(String, u64),
    /// Lines of what one printed: the first, from 0, and how many; without a first one the last ones.
    Log(String, Option<u64>, u64),
    /// Write to one, and close its input after that.
    Write(String, String, bool),
    /// End one.
    Kill(String),
}

/// Reads a call.
///
/// # Errors
/// A sentence for the model.
pub fn plan(arguments: &Value) -> Result<Action, String> {
    let known = ["action", "sessionId", "data", "keys", "eof", "timeout", "offset", "limit"];
    let arguments = Arguments::of("process", arguments, &known)?;
    let action = arguments.text("action")?;
    let session = || arguments.text("sessionId").map(str::to_owned);
    let data = || arguments.given_text("data").map(Option::unwrap_or_default);
    let eof = || arguments.flag("eof");
    Ok(match action {
        "list" => Action::List,
        "poll" => Action::Poll(session()?, arguments.count("timeout")?.unwrap_or(WAIT).min(MOST_WAIT)),
        "log" => {
            let limit = arguments.count("limit")?.unwrap_or(LINES);
            Action::Log(session()?, arguments.count("offset")?, limit)
        }
        "write" => Action::Write(session()?, data()?.to_owned(), eof()?),
        "submit" => Action::Write(session()?, format!("{}\n", data()?), eof()?),
        "send-keys" => Action::Write(session()?, keys(arguments.list("keys")?)?, false),
        "kill" => Action::Kill(session()?),
        other => {
            return Err(format!(
                "`process` has no action `{other}`; it has `list`, `poll`, `log`, `write`, `submit`, `send-keys`, `kill`."
            ));
        }
    })
}

/// What a terminal sends for keys.
fn keys(names: &[Value]) -> Result<String, String> {
    let mut sent = String::new();
    for name in names {
        let name = name.as_str().ok_or("The argument `keys` of `process` must hold names of keys.")?;
        match name {
            "Enter" => sent.push('\r'),
            "Tab" => sent.push('\t'),
            "Space" => sent.push(' '),
            "Escape" => sent.push('\u{1b}'),
            "Backspace" => sent.push('\u{7f}'),
            "Up" => sent.push_str("\u{1b}[A"),
            "Down" => sent.push_str("\u{1b}[B"),
            "Right" => sent.push_str("\u{1b}[C"),
            "Left" => sent.push_str("\u{1b}[D"),
            _ => match (name.strip_prefix("C-").map(str::as_bytes), name.chars().count()) {
                (Some([letter @ (b'a'..=b'z' | b'A'..=b'Z')]), _) => sent.push(char::from(letter & 0x1f)),
                (_, 1) => sent.push_str(name),
                _ => {
                    return Err(format!(
                        "`process` knows no key `{name}`; write one character, `C-c` and the like, or Enter, Tab, Space, Escape, \
                         Backspace, Up, Down, Left, Right."
                    ));
                }
            },
        }
    }
    Ok(sent)
}

/// Takes away the end of a part that is to be read again with the next: a control sequence that was cut in two.
pub fn whole(mut status: ProcessStatus) -> ProcessStatus {
    let held = if status.exit.is_some() { 0 } else { unfinished(&status.text) };
    status.text.truncate(status.text.len() - held);
    status.next = status.next.saturating_sub(held as u64);
    status
}

/// What the model reads of one that goes on or has ended.
pub fn report(status: &ProcessStatus) -> Outcome {
    let missing = match status.lost {
        0 => String::new(),
        lost => format!("[{lost} bytes before this are not kept.]\n"),
    };
    let text = format!("{missing}{}", status.text);
    match &status.exit {
        Some(exit) => exec::report(&ToolExit { stdout: text, ..exit.clone() }),
        None => Outcome::ok(format!("{}[{}]", ended_line(stripped(&text)), running(status))),
    }
}

/// What the model reads when `exec` left it running.
pub fn left_running(status: &ProcessStatus) -> Outcome {
    let text = ended_line(stripped(&status.text));
    Outcome::ok(format!(
        "{text}[It runs on in the background as session {}. `process` shows what it prints (poll, log), writes to it and ends it.]",
        status.process
    ))
}

/// The list for the model.
pub fn list(processes: &[ProcessStatus]) -> Outcome {
    if processes.is_empty() {
        return Outcome::ok("There are no processes.");
    }
    let line = |status: &ProcessStatus| {
        let how = match &status.exit {
            None => running(status),
            Some(exit) => exec::ending(exit).trim_matches(['[', ']']).to_owned(),
        };
        format!("{}  {how}  {}", status.process, stripped(&status.command))
    };
    Outcome::ok(processes.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// Some lines of what one printed.
pub fn log(status: &ProcessStatus, first: Option<u64>, limit: u64) -> Outcome {
    let text = stripped(&status.text);
    let lines: Vec<&str> = text.lines().collect();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let first = match first {
        Some(first) => usize::try_from(first).unwrap_or(usize::MAX).min(lines.len()),
        None => lines.len().saturating_sub(limit),
    };
    let shown: Vec<&str> = lines.iter().skip(first).take(limit).copied().collect();
    let (end, all) = (first + shown.len(), lines.len());
    report(&ProcessStatus {
        text: format!("{}\n[lines {} to {end} of {all}]\n", shown.join("\n"), first + 1),
        ..status.clone()
    })
}

fn running(status: &ProcessStatus) -> String {
    format!("running for {} s", status.age_ms / 1000)
}

fn ended_line(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use creel_ipc::msg::tool::ToolCause;
    use serde_json::json;

    use super::*;

    fn status(text: &str, code: Option<i32>) -> ProcessStatus {
        let exit = code.map(|code| ToolExit { code: Some(code), ..ToolExit::of(ToolCause::Exited) });
        ProcessStatus {
            process: "t1:2".into(),
            command: "make all".into(),
            age_ms: 61_200,
            text: text.into(),
            next: 0,
            lost: 0,
            exit,
        }
    }

    #[test]
    fn what_the_model_reads() {
        let lost = ProcessStatus { lost: 7, ..status("tail", None) };
        let seen = [
            report(&status("half a line", None)).text,
            report(&status("done\n", Some(0))).text,
            report(&lost).text,
            left_running(&status("", None)).text,
            list(&[status("", None), status("", Some(2))]).text,
            list(&[]).text,
            log(&status("a\nb\nc\n", None), None, 2).text,
            log(&status("a\nb\nc\n", None), Some(1), 1).text,
            report(&status(
                "\u{1b}[32mgreen\u{1b}[0m\r\n10%\r20%\u{1b}]52;c;cm0=\u{7}\u{9b}2J\u{202e}",
                None,
            ))
            .text,
            log(&status("\u{1b}[32mgreen\u{1b}[0m\r\n\u{9d}0;t\u{9c}b\r\n", Some(0)), None, 9).text,
        ];
        insta::assert_snapshot!(seen.join("\n---\n"));
    }

    #[test]
    fn a_sequence_that_is_cut_in_two_is_read_again() {
        let cut = whole(ProcessStatus { next: 100, ..status("ab\u{1b}[3", None) });
        assert_eq!((cut.text.as_str(), cut.next), ("ab", 97));
        let ended = whole(ProcessStatus { next: 100, ..status("ab\u{1b}[3", Some(0)) });
        assert_eq!((ended.text.len(), ended.next), (5, 100));
    }

    #[test]
    fn calls_are_read() {
        let of = |value: Value| plan(&value);
        assert_eq!(of(json!({"action": "list"})), Ok(Action::List));
        assert_eq!(of(json!({"action": "poll", "sessionId": "a"})), Ok(Action::Poll("a".into(), WAIT)));
        let submit = of(json!({"action": "submit", "sessionId": "a", "data": "yes"}));
        assert_eq!(submit, Ok(Action::Write("a".into(), "yes\n".into(), false)));
        let end = of(json!({"action": "write", "sessionId": "a", "eof": true}));
        assert_eq!(end, Ok(Action::Write("a".into(), String::new(), true)));
        let keys = of(json!({"action": "send-keys", "sessionId": "a", "keys": ["C-c", "x", "Enter", "Up"]}));
        assert_eq!(keys, Ok(Action::Write("a".into(), "\u{3}x\r\u{1b}[A".into(), false)));
        for wrong in [
            json!({"action": "explode"}),
            json!({"action": "poll"}),
            json!({"action": "send-keys", "sessionId": "a", "keys": ["F99"]}),
            json!({"sessionId": "a"}),
            json!({"action": "write", "sessionId": "a", "eof": "yes"}),
        ] {
            assert!(of(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
