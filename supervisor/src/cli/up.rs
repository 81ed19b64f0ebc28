//! `creel up`.

use std::process::ExitCode;

use super::{Context, ollama};

/// Start Creel.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel up\n  creel --home /srv/creel up\n  creel --port 18790 up")]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context, _args: &Args) -> ExitCode {
    let mut env = context.env.clone();
    if !crate::upgrade::arrival::is_successor() {
        ollama::look(&mut env);
    }
    crate::run_up(crate::UpOptions { overrides: context.overrides.clone(), env }).into()
}
