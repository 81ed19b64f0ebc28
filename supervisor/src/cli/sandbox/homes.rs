//! `creel sandbox list` and `creel sandbox prune`.

use std::collections::HashMap;
use std::process::ExitCode;

use creel_config::sandbox::session_name;
use creel_ipc::ExitCode as Code;
use creel_ipc::msg::sandbox::{Home, Homes, HomesParams, PruneParams, SandboxHomes, SandboxPrune};
use serde_json::json;

use super::super::control::Control;
use super::super::error::CliError;
use super::super::socket::Socket;
use super::super::table::{columns, duration, plain};
use super::super::{Context, OK};
use crate::clock::now_ms;

/// Sessions whose keys are looked for.
const MOST: u32 = 1000;

/// Take homes away.
#[derive(Debug, clap::Args)]
pub(crate) struct Prune {
    /// Only say which
    #[arg(long)]
    dry_run: bool,
    /// Hours without a command [default: sandbox.prune.idleHours]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=876_000))]
    idle_hours: Option<u32>,
}

pub(super) fn list(context: &Context) -> Result<ExitCode, CliError> {
    let homes = Control::connect(context)?.call::<SandboxHomes>(&HomesParams {})?;
    context.out.data(&homes, || text(&homes, &keys(context), now_ms()))?;
    Ok(OK)
}

pub(super) fn prune(context: &Context, args: &Prune) -> Result<ExitCode, CliError> {
    let asked = PruneParams { dry_run: args.dry_run, idle_hours: args.idle_hours };
    let homes = Control::connect(context)?.call::<SandboxPrune>(&asked)?;
    context.out.data(&homes, || pruned(&homes, &keys(context), args.dry_run, now_ms()))?;
    homes.problems.iter().for_each(|problem| context.out.note(plain(problem)));
    Ok(if homes.problems.is_empty() { OK } else { Code::Failure.into() })
}

/// Keys of sessions by their names. Without a gateway the names have to do.
fn keys(context: &Context) -> HashMap<String, String> {
    let answer = Socket::connect(context)
        .and_then(|mut socket| socket.call("sessions.list", &json!({ "limit": MOST })));
    let rows = answer.ok().and_then(|answer| answer["sessions"].as_array().cloned()).unwrap_or_default();
    let keys = rows.iter().filter_map(|row| row["key"].as_str());
    keys.map(|key| (session_name(key), key.to_owned())).collect()
}

fn text(homes: &Homes, keys: &HashMap<String, String>, now_ms: i64) -> String {
    let rows = homes.homes.iter().map(|home| {
        let state = match (&home.over, home.in_use) {
            (_, true) => "in use".to_owned(),
            (Some(why), _) => format!("may go: {}", reason(why)),
            (None, _) => "kept".to_owned(),
        };
        (home, state)
    });
    table(rows, "STATE", keys, now_ms).unwrap_or_else(|| "No command has a home yet.\n".to_owned())
}

fn pruned(homes: &Homes, keys: &HashMap<String, String>, dry_run: bool, now_ms: i64) -> String {
    let rows =
        homes.homes.iter().map(|home| (home, reason(home.over.as_deref().unwrap_or_default()).to_owned()));
    let what = if dry_run { "would go" } else { "are gone" };
    match table(rows, "WHY", keys, now_ms) {
        Some(table) => format!("{table}{} {what}.\n", homes.homes.len()),
        None => "No home may go.\n".to_owned(),
    }
}

fn table<'a>(
    homes: impl Iterator<Item = (&'a Home, String)>,
    last: &str,
    keys: &HashMap<String, String>,
    now_ms: i64,
) -> Option<String> {
    let mut rows = vec![["SCOPE", "AGENT", "SESSION", "USED", last].map(str::to_owned).to_vec()];
    rows.extend(homes.map(|(home, last)| {
        let session = home.session.as_ref().map(|name| keys.get(name).unwrap_or(name).as_str());
        let used = duration(u64::try_from(now_ms - home.used_ms).unwrap_or(0));
        let text = |text: Option<&str>| plain(text.unwrap_or("-"));
        vec![home.scope.clone(), text(home.agent.as_deref()), text(session), format!("{used} ago"), last]
    }));
    (rows.len() > 1).then(|| columns(&rows))
}

fn reason(why: &str) -> &str {
    match why {
        "idle" => "not used any more",
        "age" => "too old",
        "nobodys" => "not configured any more",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(scope: &str, session: Option<&str>, in_use: bool, over: Option<&str>) -> Home {
        Home {
            scope: scope.into(),
            agent: (scope != "shared").then(|| "main".to_owned()),
            session: session.map(str::to_owned),
            path: "/home/kim/.creel/sandboxes/x".into(),
            used_ms: 1_000,
            made_ms: None,
            in_use,
            over: over.map(str::to_owned),
        }
    }

    #[test]
    fn homes_are_rows_and_sessions_have_their_keys() {
        let key = "agent:main:telegram:direct:7";
        let known = session_name(key);
        let keys = HashMap::from([(known.clone(), key.to_owned())]);
        let homes = vec![
            home("session", Some(&known), false, Some("idle")),
            home("session", Some("0a1b"), true, None),
            home("agent", None, false, Some("nobodys")),
            home("shared", None, false, None),
        ];
        let homes = Homes { homes, problems: Vec::new() };
        let none = Homes::default();
        insta::assert_snapshot!(format!(
            "{}---\n{}---\n{}{}",
            text(&homes, &keys, 3_601_000),
            pruned(&homes, &keys, true, 3_601_000),
            text(&none, &keys, 0),
            pruned(&none, &keys, false, 0)
        ));
    }
}
