//! `creel outbox`: what was said, is being said, or may have been said.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::error::CliError;
use super::session::ago;
use super::socket::Socket;
use super::table::{columns, plain};
use super::{Context, OK};

/// Show what goes out on channels, and decide about what did not.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the newest messages
    ///
    /// States: queued (it waits), attempting (a channel worker has it), sent (the platform has it), unknown (it may
    /// have been said; it is not said again by itself), failed (it was not said, and will not be).
    #[command(after_help = "Examples:\n  creel outbox list\n  creel outbox list --state unknown")]
    List {
        /// How many, newest first
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Only those in one state
        #[arg(long, value_name = "STATE", value_parser = ["queued", "attempting", "sent", "unknown", "failed"])]
        state: Option<String>,
    },
    /// Say a message again that failed or whose end nobody knows; who got it already gets it twice
    #[command(
        after_help = "Examples:\n  creel outbox list --state unknown\n  creel outbox retry 0190f2c1-…/0"
    )]
    Retry {
        /// Its key, as `list` shows it
        key: String,
    },
    /// Give up a message that waits, or whose end nobody knows
    Drop {
        /// Its key, as `list` shows it
        key: String,
    },
}

pub(crate) fn run(context: &Context, command: Command) -> Result<ExitCode, CliError> {
    let mut socket = Socket::connect(context)?;
    match command {
        Command::List { limit, state } => {
            let mut answer = socket.call("outbox.list", &json!({ "limit": limit }))?;
            if let (Some(state), Some(rows)) = (state, answer["rows"].as_array_mut()) {
                rows.retain(|row| row["state"] == state.as_str());
                answer["count"] = rows.len().into();
            }
            context.out.data(&answer, || told(&answer))?;
        }
        Command::Retry { key } => {
            let answer = socket.call("outbox.retry", &json!({ "key": key }))?;
            context
                .out
                .data(&answer, || "It waits to be said again, before what comes after it.".to_owned())?;
        }
        Command::Drop { key } => {
            let answer = socket.call("outbox.drop", &json!({ "key": key }))?;
            context.out.data(&answer, || "It is given up.".to_owned())?;
        }
    }
    Ok(OK)
}

fn told(answer: &Value) -> String {
    let mut rows = vec![["KEY", "STATE", "ACCOUNT", "TO", "AGE", "WHY", "TEXT"].map(str::to_owned).to_vec()];
    for row in answer["rows"].as_array().into_iter().flatten() {
        let text = |key: &str| plain(row[key].as_str().unwrap_or("-"));
        let short = |key: &str| text(key).chars().take(40).collect::<String>();
        let account = format!("{}:{}", text("channel"), text("accountId"));
        let why = if row["state"] == "sent" { "-".to_owned() } else { short("error") };
        rows.push(vec![
            text("key"),
            text("state"),
            account,
            text("to"),
            ago(&row["createdAtMs"]),
            why,
            short("text"),
        ]);
    }
    if rows.len() == 1 { "Nothing is in the outbox.".to_owned() } else { columns(&rows) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_a_row_and_says_why_it_is_not_sent() {
        assert_eq!(told(&json!({"rows": []})), "Nothing is in the outbox.");
        let rows = json!({"rows": [
            {"key": "t/0", "state": "unknown", "channel": "telegram", "accountId": "default", "to": "7",
             "error": "It may have been said.", "text": "hello\nyou"},
            {"key": "t/1", "state": "sent", "channel": "irc", "accountId": "libera", "to": "#a",
             "error": "an old complaint", "text": "hi"},
        ]});
        insta::assert_snapshot!(told(&rows), @"
        KEY  STATE    ACCOUNT           TO  AGE  WHY                     TEXT
        t/0  unknown  telegram:default  7   -    It may have been said.  hello you
        t/1  sent     irc:libera        #a  -    -                       hi
        ");
    }
}
