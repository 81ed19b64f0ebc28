//! `creel pairing`.

use std::process::ExitCode;

use serde_json::json;

use super::error::CliError;
use super::session::ago;
use super::socket::Socket;
use super::table::{columns, plain};
use super::{Context, OK};

/// Let people who asked for it write to you.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List open requests
    List {
        /// One channel only
        channel: Option<String>,
    },
    /// Allow the sender of a request; works at once
    #[command(after_help = "Examples:\n  creel pairing approve telegram ABCD2345")]
    Approve {
        /// The channel
        channel: String,
        /// The code that the sender was given
        code: String,
        /// The account, when the channel has several
        #[arg(long)]
        account: Option<String>,
    },
    /// Drop a request; the sender may ask again
    Dismiss {
        /// The channel
        channel: String,
        /// The code that the sender was given
        code: String,
    },
}

pub(crate) fn run(context: &Context, command: Command) -> Result<ExitCode, CliError> {
    let mut socket = Socket::connect(context)?;
    match command {
        Command::List { channel } => {
            let params = channel.map_or_else(|| json!({}), |channel| json!({ "channel": channel }));
            let answer = socket.call("channels.pairing.list", &params)?;
            context.out.data(&answer, || {
                let mut rows = vec![["CODE", "CHANNEL", "SENDER", "ASKED"].map(str::to_owned).to_vec()];
                for request in answer["requests"].as_array().into_iter().flatten() {
                    let text = |key: &str| plain(request[key].as_str().unwrap_or("-"));
                    let sender = match request["senderName"].as_str() {
                        Some(name) => format!("{} ({})", plain(name), text("senderId")),
                        None => text("senderId"),
                    };
                    rows.push(vec![text("code"), text("channel"), sender, ago(&request["createdAtMs"])]);
                }
                if rows.len() == 1 { "Nobody waits.".to_owned() } else { columns(&rows) }
            })?;
        }
        Command::Approve { channel, code, account } => {
            let mut params = json!({ "channel": channel, "code": code });
            if let Some(account) = account {
                params["accountId"] = account.into();
            }
            let answer = socket.call("channels.pairing.approve", &params)?;
            context.out.data(&answer, || format!("The sender may write to you on {channel} now."))?;
        }
        Command::Dismiss { channel, code } => {
            let answer =
                socket.call("channels.pairing.dismiss", &json!({ "channel": channel, "code": code }))?;
            context.out.data(&answer, || "The request is gone.".to_owned())?;
        }
    }
    Ok(OK)
}
