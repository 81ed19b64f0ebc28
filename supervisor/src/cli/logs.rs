//! `creel logs`.

use std::process::ExitCode;

use creel_ipc::msg::control::{LogLine, LogLines, Logs, LogsParams};

use super::control::Control;
use super::error::CliError;
use super::output::Colour;
use super::table::{moment, plain};
use super::{Context, OK};
use crate::clock;
use crate::logs::past::{self, Question};

/// Show the log of one unit, or of all.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  creel logs\n  creel logs agent:main --follow\n  creel logs gateway --lines 50 --json\n  \
                        creel logs --since 10m\n  creel logs agent:main --since 2026-11-21T15:00:00Z\n\n\
                        With --since, and when Creel is not running, the lines come from the files in the home's \
                        folder `logs`, older ones included. `supervisor` is the name of Creel's own log. Times are UTC."
)]
pub(crate) struct Args {
    /// The unit's name, as `creel status` shows it; all units when absent
    unit: Option<String>,
    /// Go on printing new lines
    #[arg(long, short)]
    follow: bool,
    /// Only from then on: how long ago (90s, 10m, 2h, 3d) or when (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// How many of the last lines [default: 200, or 1000 with --since]
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1000))]
    lines: Option<u32>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, CliError> {
    let since_ms = args.since.as_deref().map(|text| clock::since(text, clock::now_ms()));
    let since_ms = since_ms.transpose().map_err(CliError::Usage)?;
    let count = args.lines.unwrap_or(if since_ms.is_some() { 1000 } else { 200 });
    let params = LogsParams { unit: args.unit.clone(), lines: Some(count), follow: args.follow, since_ms };
    let mut control = match Control::connect(context) {
        Ok(control) => Some(control),
        Err(error) if error.is_not_running() && !args.follow => None,
        Err(error) => return Err(error),
    };
    let first = match &mut control {
        Some(control) => control.call::<Logs>(&params)?,
        None => from_files(context, params)?,
    };
    let print =
        |lines: LogLines| lines.lines.iter().try_for_each(|line| one(context, line, args.unit.is_none()));
    print(first)?;
    if let (true, Some(control)) = (args.follow, &mut control) {
        control.follow::<LogLines>(print)?;
    }
    Ok(OK)
}

fn from_files(context: &Context, asked: LogsParams) -> Result<LogLines, CliError> {
    let folder = context.paths.logs();
    if let Some(unit) = &asked.unit
        && !past::exists(&folder, unit)
    {
        let sentence =
            format!("There is no log of \"{unit}\" in {}, and Creel is not running.", folder.display());
        return Err(CliError::Run(sentence));
    }
    let lines = usize::try_from(asked.lines.unwrap_or(0)).unwrap_or(0);
    let question = Question { unit: asked.unit, since_ms: asked.since_ms, lines, bytes: usize::MAX };
    Ok(LogLines { lines: past::read(&folder, &question) })
}

/// One line: as one line of JSON with `--json`, else with its time, and its unit where several are shown.
fn one(context: &Context, line: &LogLine, named: bool) -> Result<(), CliError> {
    if context.out.is_json() {
        return context.out.json_line(line);
    }
    let at = context.out.paint(Colour::Grey, &moment(&clock::rfc3339(line.at_ms)));
    let text = plain(&line.text);
    if named {
        context.out.line(format_args!("{at}  {}  {text}", line.unit))
    } else {
        context.out.line(format_args!("{at}  {text}"))
    }
}
