//! `creel inbox`: messages that were set aside, and questions about interrupted commands.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::error::CliError;
use super::session::ago;
use super::socket::Socket;
use super::table::{columns, plain};
use super::{Context, OK};

/// Show what waits for somebody's decision: messages that were set aside, because their agent fell at each attempt to
/// answer them, and commands that were interrupted and of which nobody knows what became of them.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  creel inbox\n  creel inbox retry 41\n  creel inbox drop 41\n  creel inbox answer 3 skip\n\n\
                  How often an agent may fall: messages.inbound.parkAfter.\n\
                  How long a question waits: tools.exec.askInterruptedMinutes."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Have a message answered after all, before what waits behind it
    Retry {
        /// Its number, as `creel inbox` shows it
        id: u64,
    },
    /// Give a message up
    Drop {
        /// Its number, as `creel inbox` shows it
        id: u64,
    },
    /// Say what becomes of a command that was interrupted
    Answer {
        /// The question's number, as `creel inbox` shows it
        id: u64,
        /// Run it again, go on without it, or stop the turn
        answer: Word,
    },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Word {
    /// Run it again
    Again,
    /// Go on without running it again
    Skip,
    /// Stop the turn
    Stop,
}

impl Word {
    fn as_str(self) -> &'static str {
        match self {
            Self::Again => "again",
            Self::Skip => "skip",
            Self::Stop => "stop",
        }
    }
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, CliError> {
    let mut socket = Socket::connect(context)?;
    match args.command {
        None => {
            let answer = socket.call("inbox.list", &json!({}))?;
            context.out.data(&answer, || told(&answer))?;
        }
        Some(Command::Retry { id }) => {
            let answer = socket.call("inbox.retry", &json!({ "id": id }))?;
            let key = plain(answer["sessionKey"].as_str().unwrap_or_default());
            context.out.data(&answer, || format!("Message {id} waits for its turn in {key} again."))?;
        }
        Some(Command::Drop { id }) => {
            let answer = socket.call("inbox.drop", &json!({ "id": id }))?;
            context.out.data(&answer, || format!("Message {id} is given up."))?;
        }
        Some(Command::Answer { id, answer: word }) => {
            let answer = socket.call("inbox.answer", &json!({ "id": id, "answer": word.as_str() }))?;
            let key = plain(answer["sessionKey"].as_str().unwrap_or_default());
            let what = match word {
                Word::Again => "the command is run again",
                Word::Skip => "it goes on without the command",
                Word::Stop => "the turn is stopped",
            };
            context.out.data(&answer, || format!("In {key} {what}."))?;
        }
    }
    Ok(OK)
}

fn told(answer: &Value) -> String {
    let questions = answer["questions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if questions.is_empty() {
        return set_aside(answer);
    }
    let mut rows = vec![["ID", "SESSION", "ASKED", "COMMAND"].map(str::to_owned).to_vec()];
    for row in questions {
        let what: String = row["what"].as_str().unwrap_or_default().chars().take(60).collect();
        rows.push(vec![
            row["id"].to_string(),
            plain(row["sessionKey"].as_str().unwrap_or("-")),
            ago(&row["askedAtMs"]),
            plain(&what),
        ]);
    }
    format!(
        "Nobody knows what became of these commands. `creel inbox answer ID again|skip|stop` says what they become:\n{}\n{}",
        columns(&rows),
        set_aside(answer)
    )
}

fn set_aside(answer: &Value) -> String {
    let mut rows = vec![["ID", "SESSION", "CAME", "FALLS", "TEXT"].map(str::to_owned).to_vec()];
    for row in answer["rows"].as_array().into_iter().flatten() {
        let text: String = row["text"].as_str().unwrap_or_default().chars().take(60).collect();
        let falls = row["attempts"].as_u64().filter(|falls| *falls > 0);
        rows.push(vec![
            row["id"].to_string(),
            plain(row["sessionKey"].as_str().unwrap_or("-")),
            ago(&row["atMs"]),
            falls.map_or_else(|| "-".to_owned(), |falls| falls.to_string()),
            plain(&text),
        ]);
    }
    if rows.len() == 1 { "Nothing is set aside.".to_owned() } else { columns(&rows) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_a_row() {
        assert_eq!(told(&json!({"rows": []})), "Nothing is set aside.");
        let row = json!({"id": 41, "sessionKey": "agent:main:main", "text": "two\nlines", "attempts": 5});
        insta::assert_snapshot!(told(&json!({"rows": [row]})), @"
        ID  SESSION          CAME  FALLS  TEXT
        41  agent:main:main  -     5      two lines
        ");
    }

    #[test]
    fn questions_come_first() {
        let question =
            json!({"id": 3, "sessionKey": "agent:main:main", "what": "make deploy", "tool": "exec"});
        insta::assert_snapshot!(told(&json!({"rows": [], "questions": [question]})));
    }
}
