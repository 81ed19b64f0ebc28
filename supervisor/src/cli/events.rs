//! `creel events`.

use std::process::ExitCode;

use creel_ipc::msg::event::{Event, EventKind, EventPage, Events, EventsParams, NewEvent};
use creel_ipc::msg::unit::{ExitCause, UnitState};

use super::control::Control;
use super::error::CliError;
use super::output::{Colour, Output};
use super::table::{moment, plain};
use super::{Context, OK, words};
use crate::clock;
use crate::journal::{self, Query};

/// Show what happened.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel events\n  creel events --unit agent:main --since 24h\n  \
                        creel events --follow --json | jq 'select(.kind == \"ended\")'\n\n\
                        Works also when Creel is not running; only --follow needs it. The journal itself is \
                        state/events.ndjson in the home.")]
pub(crate) struct Args {
    /// Only this unit, by the name that `creel status` shows
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
    /// Only from then on: how long ago (90s, 10m, 2h, 3d) or when (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// How many of the newest
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Go on printing new ones
    #[arg(long, short)]
    follow: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, CliError> {
    let since_ms = args
        .since
        .as_deref()
        .map(|text| clock::since(text, clock::now_ms()))
        .transpose()
        .map_err(CliError::Usage)?;
    let params =
        EventsParams { unit: args.unit.clone(), since_ms, limit: Some(args.limit), follow: args.follow };
    let mut control = match Control::connect(context) {
        Ok(control) => Some(control),
        Err(CliError::NotRunning { .. }) if !args.follow => None,
        Err(error) => return Err(error),
    };
    let page = match &mut control {
        Some(control) => control.call::<Events>(&params)?,
        None => journal::read(&journal::path(&context.paths.state()), &Query::from(&params)),
    };
    show(context, args, &page)?;
    if let (true, Some(control)) = (args.follow, &mut control) {
        control.follow::<NewEvent>(|NewEvent { event }| one(context, &event))?;
    }
    Ok(OK)
}

fn show(context: &Context, args: &Args, page: &EventPage) -> Result<(), CliError> {
    if page.more && args.since.is_some() {
        context
            .out
            .note(format_args!("Only the newest {} are shown; --limit shows more.", page.events.len()));
    }
    page.events.iter().try_for_each(|event| one(context, event))
}

/// One event: as one line of JSON with `--json`.
fn one(context: &Context, event: &Event) -> Result<(), CliError> {
    if context.out.is_json() {
        return context.out.json_line(event);
    }
    context.out.line(line(event, &context.out))
}

/// The text of one event.
pub(crate) fn line(event: &Event, out: &Output) -> String {
    let unit = event.unit.as_deref().unwrap_or("creel");
    let unit = match event.incarnation {
        Some(incarnation) => format!("{unit} #{incarnation}"),
        None => unit.to_owned(),
    };
    let what = out.paint(colour(event), &words::event(event));
    let detail = event.detail.as_deref().filter(|_| event.kind != EventKind::Launched);
    let detail = detail.map(|detail| format!("  {}", plain(detail))).unwrap_or_default();
    format!("{}  {unit:<24}  {what}{detail}", out.paint(Colour::Grey, &moment(&event.at)))
}

fn colour(event: &Event) -> Colour {
    match event.kind {
        EventKind::Ready
        | EventKind::SupervisorStarted
        | EventKind::SupervisorUpgraded
        | EventKind::ReloadApplied => Colour::Green,
        EventKind::Quarantined
        | EventKind::ReloadRefused
        | EventKind::Escaped
        | EventKind::DiskLost
        | EventKind::UpgradeRefused => Colour::Red,
        EventKind::Ended if event.cause == Some(ExitCause::Stopped) => Colour::Grey,
        EventKind::Ended if event.next == Some(UnitState::Quarantined) => Colour::Red,
        EventKind::Prepared if event.code == Some(0) => Colour::Grey,
        EventKind::Ended
        | EventKind::Prepared
        | EventKind::Fault
        | EventKind::Backoff
        | EventKind::Planted
        | EventKind::Elevated
        | EventKind::LimitsNotEnforced
        | EventKind::Denied
        | EventKind::LogDropped => Colour::Yellow,
        EventKind::Launched
        | EventKind::Stopped
        | EventKind::OperatorStart
        | EventKind::OperatorStop
        | EventKind::OperatorRestart
        | EventKind::SupervisorStopping
        | EventKind::SupervisorStopped
        | EventKind::IsolationMeasured
        | EventKind::Other => Colour::Grey,
    }
}
