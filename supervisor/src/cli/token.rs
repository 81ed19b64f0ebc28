//! `creel token`.

use std::process::ExitCode;

use super::error::CliError;
use super::socket::address_and_token;
use super::{Context, OK};

/// Print the address of the web page.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The token stands behind `#`, which browsers never send. Whoever has it has your agents."
)]
pub(crate) struct Args {
    /// Print the token alone
    #[arg(long)]
    bare: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, CliError> {
    let (address, token) = address_and_token(context)?;
    let url = format!("http://{address}/#token={}", token.expose());
    let value = serde_json::json!({ "url": url, "token": token.expose() });
    context.out.data(&value, || if args.bare { token.expose().to_owned() } else { url.clone() })?;
    Ok(OK)
}
