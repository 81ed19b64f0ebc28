//! `creel config`.

use std::process::ExitCode;

use creel_config::disk::Disk;
use creel_config::edit::{self, Edit};
use creel_config::{Loader, Show};
use serde_json::{Value, json};

use super::error::CliError;
use super::{Context, OK};

/// Read, check and change the configuration.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Name every mistake with its line and column
    Validate,
    /// Print a value, defaults included; the whole configuration without a path
    #[command(after_help = "Examples:\n  creel config get\n  creel config get channels.telegram.dmPolicy")]
    Get {
        /// Keys joined by dots, such as `gateway.port`
        path: Option<String>,
        /// Print secrets as they are
        #[arg(long)]
        reveal: bool,
    },
    /// Change a value in the file; comments stay
    #[command(
        after_help = "Examples:\n  creel config set gateway.port 18790\n  creel config set channels.telegram.allowFrom '[\"123\"]'"
    )]
    Set {
        /// Keys joined by dots
        path: String,
        /// JSON, or a plain word, which is taken as text
        value: String,
        /// Write even if most of the file would be gone
        #[arg(long)]
        force: bool,
    },
    /// Remove a key from the file, so that its default holds
    Unset {
        /// Keys joined by dots
        path: String,
    },
    /// Print the JSON Schema of the configuration
    Schema,
}

pub(crate) fn run(context: &Context, command: Command) -> Result<ExitCode, CliError> {
    let file = &context.paths.config;
    let loader = Loader::new(&Disk, &context.env).within(&context.paths);
    match command {
        Command::Validate => {
            let loaded = loader.file(file)?;
            for warning in &loaded.warnings {
                context.out.note(warning);
            }
            let there =
                if loaded.files.is_empty() { "is not there; the defaults hold." } else { "is right." };
            context.out.data(&json!({ "ok": true, "warnings": loaded.warnings }), || {
                format!("{} {there}", file.display())
            })?;
        }
        Command::Get { path, reveal } => {
            let show = if reveal { Show::Revealed } else { Show::Redacted };
            let value = edit::get(&loader.file(file)?.config, path.as_deref().unwrap_or_default(), show)?;
            context
                .out
                .data(&value, || value.as_str().map_or_else(|| format!("{value:#}"), str::to_owned))?;
        }
        Command::Set { path, value, force } => {
            let value = serde_json::from_str(&value).unwrap_or(Value::String(value));
            change(context, &loader, &path, &Edit::Set(value), force)?;
        }
        Command::Unset { path } => change(context, &loader, &path, &Edit::Unset, false)?,
        Command::Schema => context.out.line(format_args!("{:#}", creel_config::schema()))?,
    }
    Ok(OK)
}

fn change(
    context: &Context,
    loader: &Loader<'_>,
    path: &str,
    change: &Edit,
    force: bool,
) -> Result<(), CliError> {
    let file = &context.paths.config;
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    edit::edit_file(loader, file, path, change, force)?;
    context.out.data(&json!({ "ok": true, "path": path }), || {
        format!("{} is written; a running Creel takes it up by itself.", file.display())
    })
}
