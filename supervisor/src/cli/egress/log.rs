//! `creel egress log`.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::Duration;

use creel_ipc::msg::egress::{EgressRecord, EgressVerdict};

use super::super::error::CliError;
use super::super::output::{Colour, Output};
use super::super::table::{duration, moment, plain, size};
use super::super::{Context, OK};
use super::follow::Follow;
use crate::clock;
use crate::logs::file::numbered;
use crate::unit::template::access_log;

/// Older files that egress keeps.
const OLDER: u32 = 4;
/// How often to look for new lines.
const LOOK: Duration = Duration::from_millis(200);

/// Show the access log.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel egress log\n  creel egress log --unit agent:main --since 1h\n  \
                        creel egress log --denied --follow\n  \
                        creel egress log --json | jq -r 'select(.verdict == \"done\") | .host' | sort | uniq -c\n\n\
                        Commands of an agent are units of their own, tool:<run>; --unit tools:main shows all those of the agent \
                        main. Works also when Creel is not running: the file is logs/egress/access.ndjson in the home, and \
                        four older ones beside it. Refusals beyond five a minute to the same host are counted in the next line.")]
pub(crate) struct Args {
    /// Only this unit, such as agent:main, channel:telegram:default or tools:main
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
    /// Only what was refused or cut off
    #[arg(long)]
    denied: bool,
    /// Only from then on: how long ago (90s, 10m, 2h, 3d) or when (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// How many of the newest
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    limit: u32,
    /// Go on printing new ones
    #[arg(long, short)]
    follow: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, CliError> {
    let since = args.since.as_deref().map(|text| clock::since(text, clock::now_ms()));
    let since = since.transpose().map_err(CliError::Usage)?;
    let wanted = |record: &EgressRecord| {
        let unit = args.unit.as_ref().is_none_or(|unit| {
            record.unit == *unit || record.account.as_ref().is_some_and(|account| account == unit)
        });
        let denied = matches!(record.verdict, EgressVerdict::Denied | EgressVerdict::Cut);
        unit && (denied || !args.denied) && since.is_none_or(|since| record.at_ms >= since)
    };
    let path = access_log(&context.paths);
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let mut newest: VecDeque<EgressRecord> = VecDeque::new();
    let mut take = |lines: &mut dyn Iterator<Item = &str>| {
        for record in lines.filter_map(|line| serde_json::from_str(line).ok()).filter(&wanted) {
            newest.push_back(record);
            if newest.len() > limit {
                newest.pop_front();
            }
        }
    };
    for number in (1..=OLDER).rev() {
        take(&mut text(&numbered(&path, number))?.lines());
    }
    let mut follow = Follow::new(&path);
    take(&mut follow.lines().map_err(|error| unreadable(&path, &error))?.iter().map(String::as_str));
    if newest.is_empty() && !args.follow && !context.out.is_json() {
        context.out.note("No connection of that kind is in the access log.");
    }
    newest.iter().try_for_each(|record| one(context, record))?;
    if !args.follow {
        return Ok(OK);
    }
    loop {
        std::thread::sleep(LOOK);
        let lines = follow.lines().map_err(|error| unreadable(&path, &error))?;
        let records = lines.iter().filter_map(|line| serde_json::from_str(line).ok());
        records.filter(|record| wanted(record)).try_for_each(|record| one(context, &record))?;
    }
}

/// The text of an older file; empty where there is none.
fn text(path: &std::path::Path) -> Result<String, CliError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &std::path::Path, error: &std::io::Error) -> CliError {
    let sentence = format!(
        "The access log {} cannot be read: {error}. It belongs to the user that Creel runs as.",
        path.display()
    );
    CliError::Run(sentence)
}

fn one(context: &Context, record: &EgressRecord) -> Result<(), CliError> {
    if context.out.is_json() {
        return context.out.json_line(record);
    }
    context.out.line(line(record, &context.out))
}

/// One connection in words.
fn line(record: &EgressRecord, out: &Output) -> String {
    let EgressRecord {
        unit, account, host, port, address, rule, up, down, ms, verdict, reason, more, ..
    } = record;
    let (word, colour) = match verdict {
        EgressVerdict::Done => ("done", Colour::Green),
        EgressVerdict::Denied => ("denied", Colour::Red),
        EgressVerdict::Cut => ("cut", Colour::Red),
        EgressVerdict::Failed => ("failed", Colour::Yellow),
    };
    let who = account.as_ref().map_or_else(|| unit.clone(), |account| format!("{account} ({unit})"));
    let to = if host.is_empty() { "?".to_owned() } else { plain(&format!("{host}:{port}")) };
    let address = address.as_ref().map(|address| format!(" = {address}")).unwrap_or_default();
    let rule = rule.as_ref().map(|rule| format!("  by {rule}")).unwrap_or_default();
    let moved = match verdict {
        EgressVerdict::Denied => String::new(),
        _ => format!("  {} up, {} down, {}", size(*up), size(*down), duration(*ms)),
    };
    let reason = reason.as_ref().map(|reason| format!("  {}", plain(reason))).unwrap_or_default();
    let more = more.map(|more| format!("  (and {more} more before it)")).unwrap_or_default();
    let at = out.paint(Colour::Grey, &moment(&clock::rfc3339(record.at_ms)));
    format!("{at}  {}  {}  {to}{address}{rule}{moved}{reason}{more}", out.paint(colour, word), plain(&who))
}

#[cfg(test)]
mod tests {
    use super::super::super::output::ColourWhen;
    use super::*;

    #[test]
    fn a_connection_reads_well() {
        let out = Output::new(false, ColourWhen::Never);
        let mut record = EgressRecord {
            at_ms: 1_709_208_000_007,
            unit: "tool:0198".into(),
            account: Some("tools:main".into()),
            host: "example.org".into(),
            port: 443,
            address: Some("93.184.216.34".into()),
            rule: Some("sandbox.allow".into()),
            up: 812,
            down: 3_250_586,
            ms: 1250,
            verdict: EgressVerdict::Done,
            reason: None,
            more: None,
        };
        let done = line(&record, &out);
        record = EgressRecord {
            host: "evil.test".into(),
            account: None,
            unit: "agent:main".into(),
            address: None,
            rule: None,
            verdict: EgressVerdict::Denied,
            reason: Some("no rule of agent:main allows evil.test:443".into()),
            more: Some(95),
            ..record
        };
        insta::assert_snapshot!(format!("{done}\n{}", line(&record, &out)), @"
        02-29 12:00:00  done  tools:main (tool:0198)  example.org:443 = 93.184.216.34  by sandbox.allow  812 B up, 3.1 MiB down, 1 s
        02-29 12:00:00  denied  agent:main  evil.test:443  no rule of agent:main allows evil.test:443  (and 95 more before it)
        ");
    }
}
