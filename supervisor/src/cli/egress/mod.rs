//! `creel egress`: what the units reached, and what they may.

use std::process::ExitCode;

use super::Context;
use super::error::CliError;

mod follow;
mod log;
mod trial;

/// See and try what units reach outside.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show the access log: every connection of every unit, allowed or refused
    Log(log::Args),
    /// Ask whether a unit may reach a host, and by which key of the configuration
    Test(trial::Args),
}

pub(crate) fn run(context: &Context, command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Log(args) => log::run(context, &args),
        Command::Test(args) => trial::run(context, &args),
    }
}
