//! `creel agent`: one message and its reply.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::error::CliError;
use super::socket::{Frame, Socket};
use super::table::lines;
use super::{Context, OK};

/// Send one message to an agent and print its reply while it is written.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel agent --message \"What is in my workspace?\"\n  \
                        creel agent --agent research --message \"Hello\" --json")]
pub(crate) struct Agent {
    /// What to say
    #[arg(long, short)]
    message: String,
    /// The agent [default: the configured default agent]
    #[arg(long, value_name = "ID", conflicts_with = "session_key")]
    agent: Option<String>,
    /// The session's key, as `creel sessions` shows it [default: the agent's main session]
    #[arg(long, value_name = "KEY")]
    session_key: Option<String>,
    /// Seconds to wait for the reply
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

pub(crate) fn agent(context: &Context, args: Agent) -> Result<ExitCode, CliError> {
    let mut socket = Socket::connect(context)?;
    let session = match (args.session_key, args.agent) {
        (Some(key), _) => key,
        (None, Some(agent)) => format!("agent:{agent}:main"),
        (None, None) => "main".to_owned(),
    };
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    let run = uuid::Uuid::now_v7().to_string();
    let params = json!({ "sessionKey": session, "message": args.message, "idempotencyKey": run });
    let call = socket.send("chat.send", &params)?;
    let mut printed = false;
    loop {
        if Instant::now() >= deadline {
            let seconds = args.timeout;
            return Err(CliError::Run(format!(
                "There was no reply within {seconds} s; the agent works on, see `creel sessions`."
            )));
        }
        socket.wait_until(deadline)?;
        match socket.next()? {
            Frame::Answer(id, Err(error)) if id == call => return Err(CliError::Gateway(Box::new(error))),
            Frame::Event(name, payload) if name == "chat" && payload["runId"] == run => {
                if let Some(code) = progress(context, &payload, &mut printed)? {
                    return Ok(code);
                }
            }
            _ => {}
        }
    }
}

/// Prints what a `chat` event brought; the exit code once the run has ended.
fn progress(context: &Context, payload: &Value, printed: &mut bool) -> Result<Option<ExitCode>, CliError> {
    let failed = |what: &str| payload["errorMessage"].as_str().unwrap_or(what).to_owned();
    match payload["state"].as_str() {
        Some("delta") if !context.out.is_json() => {
            if let Some(text) = payload["deltaText"].as_str().filter(|text| !text.is_empty()) {
                context.out.piece(&lines(text))?;
                *printed = true;
            }
            Ok(None)
        }
        Some("final") => {
            if *printed {
                context.out.line("")?;
            } else {
                context.out.data(payload, || lines(&text_of(payload)))?;
            }
            Ok(Some(OK))
        }
        Some("error") => Err(CliError::Run(failed("The run failed; `creel logs` tells more."))),
        Some("aborted") => Err(CliError::Run(failed("The run was stopped."))),
        _ => Ok(None),
    }
}

/// The text of a message's blocks.
fn text_of(payload: &Value) -> String {
    let blocks = payload["message"]["content"].as_array();
    blocks.into_iter().flatten().filter_map(|block| block["text"].as_str()).collect()
}

/// How long ago a time in milliseconds was.
pub(crate) fn ago(ms: &Value) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    ms.as_u64().map_or_else(
        || "-".to_owned(),
        |ms| format!("{} ago", super::table::duration(now.saturating_sub(ms))),
    )
}
