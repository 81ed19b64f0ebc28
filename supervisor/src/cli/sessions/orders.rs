//! What an operator decides about sessions.

use std::process::ExitCode;

use creel_config::scalar::Age;
use serde_json::{Map, Value, json};

use super::super::error::CliError;
use super::super::session::ago;
use super::super::socket::Socket;
use super::super::table::{columns, plain};
use super::super::{Context, OK};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Order {
    /// Give a session a model, a thinking level, a label, a queue mode, or keep what it answers off its channel
    ///
    /// What is set stays until it is set otherwise; `default` takes it back. It counts from the next turn on.
    #[command(
        after_help = "Examples:\n  creel sessions set main --model anthropic/claude-sonnet-4-5 --thinking high\n  \
                      creel sessions set agent:main:telegram:direct:7 --label Ann --send deny\n  \
                      creel sessions set main --model default"
    )]
    Set {
        /// The session's key, as `creel sessions` shows it
        key: String,
        /// The model as provider/model, or `default` for the agent's
        #[arg(long, value_name = "MODEL")]
        model: Option<String>,
        /// How much the model thinks: off, minimal, low, medium, high, xhigh, or `default` for the agent's
        #[arg(long, value_name = "LEVEL")]
        thinking: Option<String>,
        /// What you call it, or `default` for what its channel calls it
        #[arg(long, value_name = "TEXT")]
        label: Option<String>,
        /// Whether answers are said on its channel; with `deny` they are in the transcript only
        #[arg(long, value_name = "POLICY", value_parser = ["allow", "deny"])]
        send: Option<String>,
        /// What a message does that arrives while an answer is written: followup, collect, interrupt, or `default`
        #[arg(long, value_name = "MODE")]
        queue: Option<String>,
    },
    /// Have a session begin afresh: its agent remembers nothing of before
    #[command(after_help = "Examples:\n  creel sessions reset main")]
    Reset {
        /// The session's key, as `creel sessions` shows it
        key: String,
    },
    /// Delete a session with everything that was said in it
    #[command(after_help = "Examples:\n  creel sessions export agent:main:import:42 --to 42.jsonl\n  \
                            creel sessions delete agent:main:import:42")]
    Delete {
        /// The session's key, as `creel sessions` shows it
        key: String,
    },
    /// Forget sessions that nobody writes in any more, with everything that was said in them
    ///
    /// Main sessions stay, and so does one in which something goes on, waits or is set aside. With
    /// session.maintenance.mode "enforce" this happens by itself, every six hours.
    #[command(
        after_help = "Examples:\n  creel sessions prune --dry-run\n  creel sessions prune --older-than 90d\n  \
                            creel sessions prune --keep 100 --dry-run --json"
    )]
    Prune {
        /// Only say which
        #[arg(long)]
        dry_run: bool,
        /// Those without a message for so long, such as 90d or 12h [default: session.maintenance.pruneAfter]
        #[arg(long, value_name = "AGE", value_parser = age)]
        older_than: Option<Age>,
        /// Of the others so many stay, the newest [default: session.maintenance.maxEntries]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
        keep: Option<u32>,
    },
}

fn age(text: &str) -> Result<Age, String> {
    Age::parse(text).ok_or_else(|| "a number with m, h, d or w is wanted, such as 30d".to_owned())
}

pub(super) fn run(context: &Context, order: Order) -> Result<ExitCode, CliError> {
    let mut socket = Socket::connect(context)?;
    match order {
        Order::Set { key, model, thinking, label, send, queue } => {
            let mut params = Map::new();
            params.insert("key".to_owned(), key.into());
            for (name, value) in [
                ("model", model),
                ("thinkingLevel", thinking),
                ("label", label),
                ("sendPolicy", send),
                ("queueMode", queue),
            ] {
                if let Some(value) = value {
                    let value = if value == "default" { Value::Null } else { value.into() };
                    params.insert(name.to_owned(), value);
                }
            }
            let answer = socket.call("sessions.patch", &Value::Object(params))?;
            context.out.data(&answer, || set(&answer))?;
        }
        Order::Reset { key } => {
            let answer = socket.call("sessions.reset", &json!({ "key": key }))?;
            context.out.data(&answer, || format!("{} begins afresh.", key_of(&answer)))?;
        }
        Order::Delete { key } => {
            let answer = socket.call("sessions.delete", &json!({ "key": key }))?;
            context.out.data(&answer, || match answer["deleted"] == true {
                true => format!("{} is deleted.", key_of(&answer)),
                false => format!("There is no session {}.", key_of(&answer)),
            })?;
        }
        Order::Prune { dry_run, older_than, keep } => {
            let mut params = json!({ "dryRun": dry_run });
            if let Some(age) = older_than {
                params["pruneAfterMs"] = age.0.saturating_mul(1000).into();
            }
            if let Some(keep) = keep {
                params["maxEntries"] = keep.into();
            }
            let answer = socket.call("sessions.cleanup", &params)?;
            context.out.data(&answer, || pruned(&answer, dry_run))?;
        }
    }
    Ok(OK)
}

fn key_of(answer: &Value) -> String {
    plain(answer["key"].as_str().unwrap_or("-"))
}

/// What holds for a session now.
fn set(answer: &Value) -> String {
    let of = |value: &Value, or: &str| plain(value.as_str().unwrap_or(or));
    let (resolved, entry) = (&answer["resolved"], &answer["entry"]);
    let model = format!("{}/{}", of(&resolved["modelProvider"], "-"), of(&resolved["model"], "-"));
    columns(&[
        vec!["Session".to_owned(), key_of(answer)],
        vec!["Label".to_owned(), of(&entry["label"], "-")],
        vec!["Model".to_owned(), model],
        vec!["Thinking".to_owned(), of(&entry["thinkingLevel"], "as its agent")],
        vec![
            "Answers".to_owned(),
            if entry["sendPolicy"] == "deny" { "kept in the transcript" } else { "said" }.to_owned(),
        ],
        vec!["Queue".to_owned(), of(&entry["queueMode"], "as configured")],
    ])
}

fn pruned(answer: &Value, dry_run: bool) -> String {
    let mut rows = vec![["KEY", "ENTRIES", "UPDATED", "WHY"].map(str::to_owned).to_vec()];
    let sessions = answer["sessions"].as_array().map(Vec::as_slice).unwrap_or_default();
    for row in sessions {
        let why = if row["reason"] == "age" { "too old" } else { "too many" };
        let entries = row["messageCount"].as_u64().unwrap_or(0).to_string();
        rows.push(vec![key_of(row), entries, ago(&row["updatedAt"]), why.to_owned()]);
    }
    let count = sessions.len();
    match (count, dry_run) {
        (0, _) => "No session is too old or one too many.".to_owned(),
        (_, true) => format!("{}{count} would be forgotten.\n", columns(&rows)),
        (_, false) => format!("{}{count} forgotten.\n", columns(&rows)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_is_a_row_with_its_reason() {
        assert_eq!(pruned(&json!({"sessions": []}), false), "No session is too old or one too many.");
        let answer = json!({"sessions": [
            {"key": "agent:main:telegram:direct:7", "messageCount": 12, "reason": "age"},
            {"key": "agent:main:import:x", "messageCount": 3, "reason": "count"},
        ]});
        insta::assert_snapshot!(pruned(&answer, true));
    }

    #[test]
    fn what_holds_for_a_session_is_told() {
        let answer = json!({
            "key": "agent:main:main", "entry": {"label": "Ann", "sendPolicy": "deny"},
            "resolved": {"modelProvider": "anthropic", "model": "claude-sonnet-4-5"},
        });
        insta::assert_snapshot!(set(&answer));
    }
}
