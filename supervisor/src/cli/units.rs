//! `creel stop`, `creel start`, `creel restart`, `creel reload`: what is asked of the supervisor.

use std::process::ExitCode;
use std::time::Duration;

use creel_ipc::msg::Empty;
use creel_ipc::msg::control::Stop as StopAll;
use creel_ipc::msg::supervisor::{ConfigReload, UnitName, UnitRestart, UnitStart, UnitStop};

use super::control::Control;
use super::error::CliError;
use super::{Context, OK};

/// Longer than the supervisor's own deadline.
const STOP: Duration = Duration::from_secs(40);

/// Restart one unit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel restart agent:main\n  creel restart channel:telegram:default")]
pub(crate) struct Restart {
    /// The unit's name, as `creel status` shows it
    unit: String,
}

/// Start one unit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel start agent:main")]
pub(crate) struct Start {
    /// The unit's name, as `creel status` shows it
    unit: String,
}

/// Stop everything, or one unit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel stop\n  creel stop channel:telegram:default\n\n\
                        A unit that was stopped stays down, over `creel reload` and over a restart of Creel, until \
                        `creel start`.")]
pub(crate) struct Stop {
    /// One unit, as `creel status` shows it; without it, all of Creel
    unit: Option<String>,
}

pub(crate) fn stop(context: &Context, args: &Stop) -> Result<ExitCode, CliError> {
    let mut control = Control::connect(context)?;
    if let Some(unit) = &args.unit {
        control.call::<UnitStop>(&UnitName { unit: unit.clone() })?;
        context.out.data(&serde_json::json!({ "stopped": unit }), || format!("{unit} stops."))?;
        return Ok(OK);
    }
    control.call::<StopAll>(&Empty {})?;
    if !control.wait_for_end(STOP)? {
        return Err(CliError::Run(format!("Creel has not stopped within {} s.", STOP.as_secs())));
    }
    context.out.data(&serde_json::json!({ "stopped": true }), || "Creel has stopped.".to_owned())?;
    Ok(OK)
}

pub(crate) fn start(context: &Context, args: &Start) -> Result<ExitCode, CliError> {
    Control::connect(context)?.call::<UnitStart>(&UnitName { unit: args.unit.clone() })?;
    let text = || format!("{} starts.", args.unit);
    context.out.data(&serde_json::json!({ "started": args.unit }), text)?;
    Ok(OK)
}

pub(crate) fn restart(context: &Context, args: &Restart) -> Result<ExitCode, CliError> {
    Control::connect(context)?.call::<UnitRestart>(&UnitName { unit: args.unit.clone() })?;
    let text = || format!("{} restarts.", args.unit);
    context.out.data(&serde_json::json!({ "restarted": args.unit }), text)?;
    Ok(OK)
}

pub(crate) fn reload(context: &Context) -> Result<ExitCode, CliError> {
    let done = Control::connect(context)?.call::<ConfigReload>(&Empty {})?;
    context.out.data(&done, || {
        let changes = if done.changes.is_empty() {
            "No unit had to change.".to_owned()
        } else {
            done.changes.join("\n")
        };
        format!("Configuration {} is in force.\n{changes}", done.generation)
    })?;
    Ok(OK)
}
