//! `creel sandbox quarantine`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::error::CliError;
use super::table::{columns, moment, plain};
use super::{Context, OK};
use crate::tool::leavings::{self, Quarantined};

/// What commands left in workspaces and was taken away after the run.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List everything in quarantine
    List,
    /// Bring one thing back to where it was
    #[command(after_help = "Examples:\n  creel sandbox quarantine list\n  \
                            creel sandbox quarantine restore main .vscode\n\n\
                            Look at it first: the folder of a run is shown by `list --json`.")]
    Restore {
        /// The agent, as `list` shows it
        agent: String,
        /// Where it was in the workspace, as `list` shows it
        path: PathBuf,
    },
    /// Delete everything of one agent
    Drop {
        /// The agent, as `list` shows it
        agent: String,
    },
}

pub(crate) fn run(context: &Context, command: Command) -> Result<ExitCode, CliError> {
    let all = leavings::list(&context.paths.quarantine());
    match command {
        Command::List => show(context, &all)?,
        Command::Restore { agent, path } => {
            // The newest is what the operator has just seen.
            let found = all.into_iter().rev().find(|(_, of)| of.agent == agent && has(of, &path));
            let Some((folder, mut of)) = found else {
                let sentence = format!("Nothing of {agent} at {} is in quarantine.", path.display());
                return Err(CliError::Usage(sentence));
            };
            leavings::restore(&folder, &mut of, &path).map_err(|error| {
                CliError::Run(format!("{} stays in quarantine: {error}.", path.display()))
            })?;
            let told = format!("{} is back in {}.", path.display(), of.workspace.display());
            context.out.note(plain(&told));
        }
        Command::Drop { agent } => {
            let of_agent: Vec<_> = all.into_iter().filter(|(_, of)| of.agent == agent).collect();
            for (folder, of) in &of_agent {
                leavings::drop_run(folder).map_err(|error| {
                    CliError::Run(format!("What run {} left cannot be deleted: {error}.", of.run))
                })?;
            }
            context.out.note(format_args!("Deleted what {} runs left.", of_agent.len()));
        }
    }
    Ok(OK)
}

fn has(of: &Quarantined, path: &Path) -> bool {
    of.items.iter().any(|item| item.path == path)
}

fn show(context: &Context, all: &[(PathBuf, Quarantined)]) -> Result<(), CliError> {
    let json: Vec<_> =
        all.iter().map(|(folder, of)| serde_json::json!({ "folder": folder, "run": of })).collect();
    context.out.data(&json, || {
        let mut rows = vec![["AGENT", "PATH", "WHEN", "RUN"].map(str::to_owned).to_vec()];
        for (_, of) in all {
            for item in &of.items {
                let path = plain(&item.path.display().to_string());
                rows.push(vec![plain(&of.agent), path, moment(&of.at), plain(&of.run)]);
            }
        }
        if rows.len() == 1 { "Nothing is in quarantine.".to_owned() } else { columns(&rows) }
    })
}
