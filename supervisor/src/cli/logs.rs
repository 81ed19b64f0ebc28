//! `creel logs`.

use std::process::ExitCode;

use creel_ipc::msg::control::{LogLine, LogLines, Logs, LogsParams};

use super::control::Control;
use super::error::CliError;
use super::{Context, OK};

/// Show the log of one unit, or of all.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  creel logs\n  creel logs agent:main --follow\n  creel logs gateway --lines 50 --json"
)]
pub(crate) struct Args {
    /// The unit's name, as `creel status` shows it; all units when absent
    unit: Option<String>,
    /// Go on printing new lines
    #[arg(long, short)]
    follow: bool,
    /// How many of the last lines
    #[arg(long, short = 'n', value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1000))]
    lines: u32,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, CliError> {
    let mut control = Control::connect(context)?;
    let params = LogsParams { unit: args.unit.clone(), lines: Some(args.lines), follow: args.follow };
    let first = control.call::<Logs>(&params)?;
    let print =
        |lines: LogLines| lines.lines.iter().try_for_each(|line| one(context, line, args.unit.is_none()));
    print(first)?;
    if args.follow {
        control.follow::<LogLines>(print)?;
    }
    Ok(OK)
}

/// One line: as one line of JSON with `--json`, else prefixed with its unit where several are shown.
fn one(context: &Context, line: &LogLine, named: bool) -> Result<(), CliError> {
    if context.out.is_json() {
        return context.out.line(serde_json::to_string(line).map_err(std::io::Error::from)?);
    }
    if named {
        context.out.line(format_args!("{}  {}", line.unit, line.text))
    } else {
        context.out.line(&line.text)
    }
}
