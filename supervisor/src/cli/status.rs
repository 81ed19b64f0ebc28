//! `creel status`.

use std::process::ExitCode;
use std::time::Duration;

use creel_ipc::msg::Empty;
use creel_ipc::msg::supervisor::{Units, UnitsStatus};
use creel_ipc::msg::unit::{ExitCause, UnitState, UnitStatus};

use super::control::Control;
use super::error::CliError;
use super::screen::{Screen, is_quit, size};
use super::status_text::{Look, render};
use super::{Context, OK};
use crate::clock;

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_secs(1);
/// The exit code when there is no supervisor: that of `systemctl status` for a service that is not running.
const NOT_RUNNING: u8 = 3;

/// Show every process.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel status\n  creel status --watch\n  creel status --verbose\n  \
                        creel status --json | jq '.units[] | {name, state, isolation}'\n\n\
                        Exit code 0 when all is well, 1 when a unit is not up although nobody stopped it or the last \
                        reload failed, 3 when Creel is not running.")]
pub(crate) struct Args {
    /// Also show what each sandbox is made of and lacks, log counts, and ends by cause
    #[arg(long, short)]
    verbose: bool,
    /// Draw anew every second, until `q`
    #[arg(long, short, conflicts_with = "json")]
    watch: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, CliError> {
    if args.watch {
        return watch(context, args);
    }
    match ask(context) {
        Ok(units) => {
            context.out.data(&units, || text(context, args, &units))?;
            Ok(if is_well(&units) { OK } else { ExitCode::FAILURE })
        }
        Err(error) if error.is_not_running() => {
            context.out.error(&error);
            Ok(ExitCode::from(NOT_RUNNING))
        }
        Err(error) => Err(error),
    }
}

fn watch(context: &Context, args: &Args) -> Result<ExitCode, CliError> {
    let screen = Screen::open("creel status --watch")?;
    loop {
        match ask(context) {
            Ok(units) => screen.draw(&text(context, args, &units))?,
            Err(error) => screen.draw(&error.to_string())?,
        }
        if screen.key(EVERY)?.is_some_and(is_quit) {
            return Ok(OK);
        }
    }
}

fn ask(context: &Context) -> Result<Units, CliError> {
    Control::connect(context)?.call::<UnitsStatus>(&Empty {})
}

fn text(context: &Context, args: &Args, units: &Units) -> String {
    let look = Look { verbose: args.verbose, width: size().0, now_ms: clock::now_ms() };
    render(units, &context.out, &look)
}

/// Whether nothing needs the operator.
fn is_well(units: &Units) -> bool {
    units.config_error.is_none() && units.units.iter().all(is_up_or_meant_to_be_down)
}

/// A unit that is down because somebody stopped it, or because it was done, is no trouble.
pub(crate) fn is_up_or_meant_to_be_down(unit: &UnitStatus) -> bool {
    let cause = unit.last_exit.as_ref().map(|exit| exit.cause);
    match unit.state {
        UnitState::Running => true,
        UnitState::Stopped => unit.held || matches!(cause, Some(ExitCause::Clean | ExitCause::Stopped)),
        UnitState::Starting | UnitState::Stopping | UnitState::Backoff | UnitState::Quarantined => false,
    }
}
