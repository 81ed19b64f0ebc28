//! The built-in model: a script without any network, for a home that has no provider yet.
//!
//! It always says what it is, and it uses the real tools, so that the whole way of a message can be seen working.
//! The same conversation always gets the same answer.

use creel_ipc::msg::transcript::{Block, Entry, Usage};
use serde_json::{Value, json};

use super::{Ask, Ev, Opening, Stop};

const INTRO: &str =
    "I am Creel's demo model: no real model is configured, so I follow a small script instead of thinking.";
const LOOK: &str = "uname -sr; id -u; pwd; ls";
const NOTE: &str = "demo-note.txt";
const HELP: &str = "You can write `hello`, `time`, `list files`, `run <command>`, `remember <text>` or `read <file>`. \
                    To get a real model, add a provider with its `apiKey` to `models.providers` in creel.json.";

/// The whole answer, word by word.
pub fn answer(ask: &Ask<'_>) -> Vec<Ev> {
    let mut events = Vec::new();
    let step = next(ask);
    let (text, call) = match step {
        Step::Say(text) => (text, None),
        Step::Use { text, tool, arguments } => (text, Some((tool, arguments))),
    };
    words(&text, &mut events);
    if let Some((tool, arguments)) = &call {
        let id = format!("demo_{}", ask.messages.len());
        events.push(Ev::Open { at: 1, block: Opening::Tool { id, name: (*tool).to_owned() } });
        events.push(Ev::Args { at: 1, text: arguments.to_string() });
        events.push(Ev::Close { at: 1 });
    }
    let output = text.len() as u64 / 4;
    events.push(Ev::Usage(Usage { input: 0, output, ..Usage::default() }));
    events.push(Ev::Stop(if call.is_some() { Stop::Tools } else { Stop::Done }));
    events.push(Ev::End);
    events
}

enum Step {
    Say(String),
    Use { text: String, tool: &'static str, arguments: Value },
}

fn next(ask: &Ask<'_>) -> Step {
    match ask.messages.last() {
        Some(Entry::ToolResult { tool_name, content, is_error, .. }) => {
            Step::Say(explain(tool_name, text_of(content).trim(), *is_error))
        }
        Some(Entry::User { content, .. }) => reply(ask, &text_of(content)),
        _ => Step::Say(format!("{INTRO} {HELP}")),
    }
}

fn reply(ask: &Ask<'_>, said: &str) -> Step {
    let first = ask.messages.iter().filter(|entry| matches!(entry, Entry::User { .. })).count() == 1;
    let greeting = if first { format!("{INTRO}\n\n") } else { String::new() };
    let offered = |name: &str| ask.tools.iter().any(|tool| tool.name == name);
    let said = said.trim();
    let lower = said.to_lowercase();
    // Names of senders and notes on context come before the words themselves.
    let request = |verb: &str| {
        let at = lower.find(verb)?;
        let starts = at == 0 || lower[..at].ends_with([' ', '\n']);
        // Lower case may have another length than the text itself.
        let rest = said.get(at + verb.len()..)?.lines().next()?.trim().trim_matches('`');
        (starts && !rest.is_empty()).then(|| rest.to_owned())
    };
    let exec = |text: &str, command: &str| Step::Use {
        text: format!("{greeting}{text}"),
        tool: "exec",
        arguments: json!({"command": command}),
    };
    if offered("exec") {
        if let Some(command) = request("run ") {
            return exec("I run that in my tool sandbox.", &command);
        }
        if has_word(&lower, &["time"]) {
            return exec("I ask the sandbox for the time.", "date");
        }
        if lower.contains("list files") {
            return exec("I list my workspace.", "ls -la");
        }
    }
    if let Some(text) = request("remember ").filter(|_| offered("write")) {
        let text = format!("{text}\n");
        return Step::Use {
            text: format!("{greeting}I write that down in my workspace."),
            tool: "write",
            arguments: json!({"path": NOTE, "content": text}),
        };
    }
    if let Some(path) = request("read ").filter(|_| offered("read")) {
        return Step::Use {
            text: format!("{greeting}I open that file."),
            tool: "read",
            arguments: json!({"path": path}),
        };
    }
    let hello = has_word(&lower, &["hello", "hi", "hey", "你好"]);
    if (first || hello) && offered("exec") {
        let greeting = if first { "" } else { "Hello! " };
        let intro = if first { INTRO } else { "I am still Creel's demo model." };
        return Step::Use {
            text: format!("{greeting}{intro} Let me show you a tool that really runs."),
            tool: "exec",
            arguments: json!({"command": LOOK}),
        };
    }
    let echoed: String = said.chars().take(200).collect();
    Step::Say(format!("{INTRO} You wrote: “{echoed}”. {HELP}"))
}

fn has_word(text: &str, words: &[&str]) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|part| words.contains(&part))
}

fn explain(tool: &str, result: &str, failed: bool) -> String {
    let shown = if result.is_empty() { "(nothing)" } else { result };
    let fence = "```";
    let what = match (tool, failed) {
        ("exec", false) => {
            "The command ran as a process of its own in this agent's tool sandbox: it can see the workspace, it has \
             no network, and it ended without touching me."
        }
        ("exec", true) => {
            "The command ran in the sandbox and did not succeed, or it was not allowed to run at all."
        }
        ("write", false) => "The file is in my workspace now; write `read demo-note.txt` to see it.",
        ("read", false) => "That is what the file says.",
        (_, true) => "The tool refused, and said why.",
        (_, false) => "That is what the tool answered.",
    };
    format!("The tool `{tool}` answered:\n\n{fence}\n{shown}\n{fence}\n\n{what} {HELP}")
}

fn words(text: &str, events: &mut Vec<Ev>) {
    for word in text.split_inclusive(char::is_whitespace) {
        events.push(Ev::Text { at: 0, text: word.to_owned() });
    }
    events.push(Ev::Close { at: 0 });
}

fn text_of(content: &[Block]) -> String {
    let texts = content.iter().filter_map(|block| match block {
        Block::Text { text } => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}
