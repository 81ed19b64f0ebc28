//! `creel completions`.

use std::process::ExitCode;

use clap::CommandFactory;

use super::error::CliError;
use super::{Cli, Context, OK};

/// Print a completion script.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  creel completions bash > ~/.local/share/bash-completion/completions/creel\n  \
                        creel completions fish > ~/.config/fish/completions/creel.fish"
)]
pub(crate) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "creel", &mut script);
    context.out.piece(&String::from_utf8_lossy(&script))?;
    Ok(OK)
}
