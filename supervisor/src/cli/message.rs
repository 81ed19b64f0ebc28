//! `creel message`.

use std::process::ExitCode;

use serde_json::json;

use super::error::CliError;
use super::socket::Socket;
use super::{Context, OK};

/// Say something on a channel.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Send a text through the outbox, which outlives Creel: it is sent at most once
    ///
    /// If Creel or the channel's worker dies in the very moment of sending, nobody can know whether the platform took
    /// it; then it is shown as `unknown` and not sent again.
    #[command(
        after_help = "Examples:\n  creel message send --channel telegram --to 123456789 --message \"Dinner is ready\""
    )]
    Send {
        /// The channel, such as `telegram`
        #[arg(long)]
        channel: String,
        /// The platform's id of the conversation
        #[arg(long)]
        to: String,
        /// Markdown
        #[arg(long, short)]
        message: String,
        /// The account, when the channel has several
        #[arg(long)]
        account: Option<String>,
        /// Sending again with the same key sends nothing
        #[arg(long, value_name = "KEY")]
        idempotency_key: Option<String>,
    },
}

pub(crate) fn run(context: &Context, command: Command) -> Result<ExitCode, CliError> {
    let Command::Send { channel, to, message, account, idempotency_key } = command;
    let key = idempotency_key.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let mut params = json!({ "channel": channel, "to": to, "message": message, "idempotencyKey": key });
    if let Some(account) = account {
        params["accountId"] = account.into();
    }
    let answer = Socket::connect(context)?.call("send", &params)?;
    context.out.data(&answer, || "Accepted: it goes out as soon as the channel takes it.".to_owned())?;
    Ok(OK)
}
