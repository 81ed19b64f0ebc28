//! `creel sessions`: conversations, and their files.

use std::collections::HashMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use creel_ipc::ExitCode as Code;
use serde_json::{Value, json};

use super::error::CliError;
use super::session::ago;
use super::socket::Socket;
use super::table::{columns, plain};
use super::{Context, OK};

/// Bytes of a file that is sent to the gateway in one piece.
const MAX_FILE: usize = 20 << 20;
/// OpenClaw's list of the sessions of a folder: keys, each with the id of its file.
const INDEX: &str = "sessions.json";

mod foreign;
mod orders;

/// Arguments of `creel sessions`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// How many, newest first
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(flatten)]
    Order(orders::Order),
    /// Find what was said, in all sessions, newest first
    ///
    /// All words must be in one message, of a person or a model; capitals and accents do not matter. A word with `*` behind
    /// it is the beginning of a word. Chinese, Japanese, Korean and other scripts without spaces are found by any characters
    /// that stand side by side. What tools answered is not searched, nor what has not been answered yet.
    #[command(
        after_help = "Examples:\n  creel sessions search ferry tangier\n  creel sessions search 'invoic*' --agent work\n  \
                            creel sessions search 東京 --session main --json"
    )]
    Search {
        /// The words
        #[arg(required = true)]
        words: Vec<String>,
        /// Only of this agent
        #[arg(long, value_name = "ID")]
        agent: Option<String>,
        /// Only in this session; may be said several times
        #[arg(long = "session", value_name = "KEY")]
        sessions: Vec<String>,
        /// How many, newest first
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=25))]
        limit: u32,
    },
    /// Write a session as a file that Pi and OpenClaw read (JSON Lines, version 3)
    #[command(after_help = "Examples:\n  creel sessions export main > main.jsonl\n  \
                            creel sessions export agent:main:telegram:direct:7 --to seven.jsonl")]
    Export {
        /// The session's key, as `creel sessions` shows it
        key: String,
        /// The file, which must not exist yet [default: standard output]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Take in session files of Pi and OpenClaw (JSON Lines, versions 1 to 3), and OpenClaw's databases
    ///
    /// Of a database (`agents/ID/agent/openclaw-agent.sqlite`) each session is taken in under its key, as it is now; what
    /// was said before a session began afresh stays there.
    /// A session that is there already, by its id, is left as it is. Its key comes from a `sessions.json` beside the
    /// file if that names it and nobody has the key; else it becomes `agent:<agent>:import:<id>`. Images become a
    /// sentence; everything else of the file is kept and exported again.
    #[command(
        after_help = "Examples:\n  creel sessions import --dry-run ~/.openclaw/agents/main/sessions/*.jsonl\n  \
                            creel sessions import old.jsonl --agent research\n  \
                            creel sessions import ~/.openclaw/agents/main/agent/openclaw-agent.sqlite"
    )]
    Import {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The agent that goes on with them [default: the configured default agent]
        #[arg(long, value_name = "ID")]
        agent: Option<String>,
        /// Only say what would be taken in
        #[arg(long)]
        dry_run: bool,
    },
}

pub(crate) fn run(context: &Context, args: Args) -> Result<ExitCode, CliError> {
    match args.command {
        None => list(context, args.limit),
        Some(Command::Order(order)) => orders::run(context, order),
        Some(Command::Search { words, agent, sessions, limit }) => {
            let mut asked = json!({ "query": words.join(" "), "sessionKeys": sessions, "limit": limit });
            if let Some(agent) = agent {
                asked["agentId"] = agent.into();
            }
            search(context, &asked)
        }
        Some(Command::Export { key, to }) => export(context, &key, to.as_deref()),
        Some(Command::Import { files, agent, dry_run }) => import(context, &files, agent.as_deref(), dry_run),
    }
}

fn list(context: &Context, limit: u32) -> Result<ExitCode, CliError> {
    let answer = Socket::connect(context)?.call("sessions.list", &json!({ "limit": limit }))?;
    context.out.data(&answer, || listed(&answer))?;
    Ok(OK)
}

fn listed(answer: &Value) -> String {
    let mut rows =
        vec![["KEY", "STATE", "CHANNEL", "MODEL", "ENTRIES", "UPDATED"].map(str::to_owned).to_vec()];
    for session in answer["sessions"].as_array().into_iter().flatten() {
        let text = |key: &str| plain(session[key].as_str().unwrap_or("-"));
        let entries = session["messageCount"].as_u64().unwrap_or(0).to_string();
        let updated = ago(&session["updatedAt"]);
        rows.push(vec![text("key"), text("state"), text("channel"), text("model"), entries, updated]);
    }
    columns(&rows)
}

fn search(context: &Context, asked: &Value) -> Result<ExitCode, CliError> {
    let answer = Socket::connect(context)?.call("sessions.search", asked)?;
    context.out.data(&answer, || found(&answer))?;
    if answer["truncated"] == true {
        context.out.note("There may be more; give more words, or a larger --limit.");
    }
    if answer["indexing"] == true {
        context
            .out
            .note("What was said before the upgrade is still being made searchable; ask again in a minute.");
    }
    Ok(OK)
}

fn found(answer: &Value) -> String {
    let results = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    if results.is_empty() {
        return "Nothing was found.".to_owned();
    }
    let mut rows = vec![["WHEN", "SESSION", "WHO", "WHAT"].map(str::to_owned).to_vec()];
    for hit in results {
        let text = |key: &str| plain(hit[key].as_str().unwrap_or("-"));
        rows.push(vec![ago(&hit["timestamp"]), text("sessionKey"), text("role"), text("snippet")]);
    }
    columns(&rows)
}

fn export(context: &Context, key: &str, to: Option<&Path>) -> Result<ExitCode, CliError> {
    let mut socket = Socket::connect(context)?;
    let mut file = String::new();
    let mut params = json!({ "key": key });
    loop {
        let piece = socket.call("sessions.export", &params)?;
        file.push_str(piece["text"].as_str().unwrap_or_default());
        if piece["next"].is_null() {
            break;
        }
        params["offset"] = piece["next"].clone();
        params["sessionId"] = piece["sessionId"].clone();
    }
    let Some(to) = to else {
        context.out.piece(&file)?;
        return Ok(OK);
    };
    // Somebody's conversation: for nobody else's eyes, and over nobody's file.
    let written = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let written = written.and_then(|mut target| target.write_all(file.as_bytes()));
    written.map_err(|error| {
        CliError::Run(format!(
            "{} cannot be written: {error}. Name a file that is not there yet.",
            to.display()
        ))
    })?;
    context.out.note(format_args!("{} lines are in {}.", file.lines().count(), to.display()));
    Ok(OK)
}

fn import(
    context: &Context,
    files: &[PathBuf],
    agent: Option<&str>,
    dry_run: bool,
) -> Result<ExitCode, CliError> {
    let mut socket = Socket::connect(context)?;
    let mut indexes = HashMap::new();
    let mut outcomes = Vec::new();
    let mut refused = 0;
    let mut pieces = Vec::new();
    for path in files {
        let shown = path.display().to_string();
        match foreign::is_database(path).then(|| foreign::sessions(context, path)) {
            None => {
                let text = read(path);
                let key = text.as_ref().ok().and_then(|text| key_of(&mut indexes, path, text));
                pieces.push((shown, key, text));
            }
            Some(Ok(sessions)) => pieces.extend(sessions.into_iter().map(|of| {
                let key = owner_of(&of.key).map(|owner| (owner.to_owned(), of.key.clone()));
                (format!("{shown}#{}", of.key), key, within(of.text))
            })),
            Some(Err(error)) => pieces.push((shown, None, Err(error))),
        }
    }
    for (shown, key, text) in pieces {
        let outcome = text.and_then(|text| {
            let mut params = json!({ "text": text, "dryRun": dry_run });
            if let Some(agent) = agent {
                params["agentId"] = agent.into();
            }
            if let Some((owner, key)) = key {
                params["key"] = match agent {
                    Some(agent) => {
                        key.replacen(&format!("agent:{owner}:"), &format!("agent:{agent}:"), 1).into()
                    }
                    None => key.into(),
                };
                params["agentId"] = agent.unwrap_or(&owner).into();
            }
            socket.call("sessions.import", &params)
        });
        match outcome {
            Ok(mut answer) => {
                answer["file"] = shown.clone().into();
                for fault in answer["faults"].as_array().into_iter().flatten() {
                    let sentence = fault["message"].as_str().unwrap_or_default();
                    let sentence = sentence.split_once(": ").map_or(sentence, |(_, what)| what);
                    context.out.note(format_args!("{shown}:{}: {}", fault["line"], plain(sentence)));
                }
                outcomes.push(answer);
            }
            // The other files are none the worse for it.
            Err(error @ (CliError::Gateway(_) | CliError::Run(_))) => {
                refused += 1;
                context.out.note(format_args!("{shown}: {error}"));
                outcomes.push(json!({ "file": shown, "error": error.to_string() }));
            }
            Err(error) => return Err(error),
        }
    }
    context.out.data(&outcomes, || told(&outcomes, dry_run))?;
    Ok(if refused == 0 { OK } else { Code::Failure.into() })
}

fn read(path: &Path) -> Result<String, CliError> {
    let unread = |what: String| CliError::Run(format!("It cannot be read: {what}."));
    let bytes = std::fs::read(path).map_err(|error| unread(error.to_string()))?;
    // Bytes that are no text become the character that says so.
    within(String::from_utf8_lossy(&bytes).into_owned())
}

/// A session that is not too large to be taken at once.
fn within(text: String) -> Result<String, CliError> {
    let bytes = text.len();
    if bytes > MAX_FILE {
        let sentence = format!("It cannot be read: it has {bytes} bytes, and {MAX_FILE} are taken at once.");
        return Err(CliError::Run(sentence));
    }
    Ok(text)
}

/// The agent in a session's key.
fn owner_of(key: &str) -> Option<&str> {
    Some(key.strip_prefix("agent:")?.split_once(':')?.0)
}

/// The agent and the key that the list beside a file gives its session.
fn key_of(indexes: &mut HashMap<PathBuf, Value>, path: &Path, text: &str) -> Option<(String, String)> {
    let header: Value = serde_json::from_str(text.lines().next()?).ok()?;
    let id = header["id"].as_str()?;
    let list = path.with_file_name(INDEX);
    let index = indexes.entry(list.clone()).or_insert_with(|| {
        let text = std::fs::read(list).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    });
    let (key, _) = index.as_object()?.iter().find(|(_, session)| session["sessionId"] == id)?;
    Some((owner_of(key)?.to_owned(), key.clone()))
}

fn told(outcomes: &[Value], dry_run: bool) -> String {
    let mut rows = vec![["FILE", "SESSION", "ENTRIES", "OUTCOME"].map(str::to_owned).to_vec()];
    for outcome in outcomes {
        let text = |key: &str| plain(outcome[key].as_str().unwrap_or("-"));
        let became = match () {
            () if outcome["error"].is_string() => "refused",
            () if outcome["known"] == true => "was there already",
            () if dry_run => "would be taken in",
            () => "taken in",
        };
        let entries = outcome["entries"].as_u64().map_or_else(|| "-".to_owned(), |count| count.to_string());
        rows.push(vec![text("file"), text("key"), entries, became.to_owned()]);
    }
    columns(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_beside_a_file_gives_its_session_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let text = r#"{"type":"session","id":"s-1"}"#;
        let found = || key_of(&mut HashMap::new(), &path, text);
        assert_eq!(found(), None, "there is no list");
        std::fs::write(
            folder.path().join(INDEX),
            r#"{"agent:work:telegram:dm:7":{"sessionId":"s-1"},"global":{"sessionId":"s-2"}}"#,
        )
        .unwrap();
        assert_eq!(found(), Some(("work".to_owned(), "agent:work:telegram:dm:7".to_owned())));
        assert_eq!(
            key_of(&mut HashMap::new(), &path, r#"{"type":"session","id":"s-2"}"#),
            None,
            "no key of ours"
        );
        assert_eq!(key_of(&mut HashMap::new(), &path, "torn"), None);
    }

    #[test]
    fn each_session_is_a_row_with_its_state() {
        let answer = json!({"sessions": [
            {"key": "agent:main:main", "state": "active", "channel": null, "model": null, "messageCount": 4},
            {"key": "agent:main:telegram:direct:7", "state": "paused", "channel": "telegram", "messageCount": 12},
        ]});
        insta::assert_snapshot!(listed(&answer), @"
        KEY                           STATE   CHANNEL   MODEL  ENTRIES  UPDATED
        agent:main:main               active  -         -      4        -
        agent:main:telegram:direct:7  paused  telegram  -      12       -
        ");
    }

    #[test]
    fn what_was_found_is_a_row_each() {
        let hit = json!({"sessionKey": "agent:main:main", "role": "user", "timestamp": 0, "snippet": "a\u{1b}[31mferry"});
        let text = found(&json!({"results": [hit]}));
        assert!(
            text.starts_with("WHEN") && text.contains("agent:main:main") && text.contains("ferry"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "{text}");
        assert_eq!(found(&json!({"results": []})), "Nothing was found.");
    }

    #[test]
    fn what_became_of_each_file_is_a_row() {
        let outcomes = [
            json!({"file": "a.jsonl", "key": "agent:main:main", "entries": 3, "known": false}),
            json!({"file": "b.jsonl", "key": null, "entries": 3, "known": true}),
            json!({"file": "c\u{1b}.jsonl", "error": "It is no session."}),
        ];
        insta::assert_snapshot!(told(&outcomes, true), @"
        FILE           SESSION          ENTRIES  OUTCOME
        a.jsonl        agent:main:main  3        would be taken in
        b.jsonl        -                3        was there already
        c\\u{1b}.jsonl  -                -        refused
        ");
    }
}
