//! `creel doctor`.

use std::io::ErrorKind;
use std::process::ExitCode;

use creel_config::Loader;
use creel_config::disk::Disk;
use creel_config::store::StoreKind;
use creel_ipc::msg::Empty;
use creel_ipc::msg::supervisor::UnitsStatus;

use super::control::Control;
use super::error::CliError;
use super::output::{Colour, Output};
use super::status::is_up_or_meant_to_be_down;
use super::table::plain;
use super::{Context, OK};
use crate::clock;
use crate::doctor::facts::{self, Door, Entry, Facts, Running};
use crate::doctor::{Check, Verdict, examine};
use crate::journal::{self, Query};
use crate::tree::database;

/// Look for what is wrong.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  creel doctor\n  creel doctor --json | jq '.[] | select(.verdict != \"ok\")'\n\n\
                        Exit code 0 when nothing fails (warnings do not count), 1 otherwise."
)]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context, _args: &Args) -> Result<ExitCode, CliError> {
    let checks = examine(&gather(context));
    context.out.data(&checks, || render(&checks, &context.out))?;
    let fails = checks.iter().any(|check| check.verdict == Verdict::Fail);
    Ok(if fails { ExitCode::FAILURE } else { OK })
}

fn gather(context: &Context) -> Facts {
    let paths = &context.paths;
    let (door, running) = ask(context);
    let supervisor = running.as_ref().map(|running| running.pid);
    let loaded = Loader::new(&Disk, &context.env).within(paths).file(&paths.config);
    let (config, port, servers) = match loaded {
        Ok(mut loaded) => {
            context.overrides.apply(&mut loaded.config);
            let store = &loaded.config.store;
            let servers = match store.kind {
                StoreKind::Sqlite => Vec::new(),
                StoreKind::Postgres => store.postgres.places(),
            };
            (Ok(()), loaded.config.gateway.port, servers)
        }
        Err(error) => (Err(error.to_string()), creel_config::gateway::DEFAULT_PORT, Vec::new()),
    };
    let newest = journal::read(&journal::path(&paths.state()), &Query { limit: 1, ..Query::default() });
    let newest = newest.events.last().and_then(|event| clock::from_rfc3339(&event.at));
    let existing = |path: &std::path::PathBuf| path.exists();
    let secrets = [paths.token(), paths.config.clone(), paths.state().join("last-good.json")];
    Facts {
        uid: rustix::process::geteuid().as_raw(),
        version: env!("CARGO_PKG_VERSION"),
        running,
        socket: paths.control(),
        door,
        services: facts::services(&paths.user_home),
        port,
        holder: facts::holder(port),
        folders: facts::folders(paths),
        secrets: secrets.into_iter().filter(existing).map(Entry::at).collect(),
        config: (paths.config.clone(), config),
        missing: facts::missing(&context.env),
        versions: facts::versions(&context.env),
        logs: (paths.logs(), logs(context)),
        disk: paths.home.ancestors().find(|folder| folder.exists()).and_then(facts::disk),
        databases: servers.iter().map(|place| (database::shown(place), facts::reached(place))).collect(),
        clock: (clock::now_ms(), newest),
        users: facts::users(&paths.state()),
        max_user_namespaces: facts::setting("/proc/sys/user/max_user_namespaces"),
        unprivileged_clone: facts::setting("/proc/sys/kernel/unprivileged_userns_clone"),
        apparmor_restricts: facts::setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        cgroups: facts::cgroups(supervisor),
        measured: creel_launch::probe_levels(),
    }
}

/// A home that is not there yet is not made by looking at it.
fn logs(context: &Context) -> Result<(), String> {
    if context.paths.home.exists() { facts::writable(&context.paths.logs()) } else { Ok(()) }
}

fn ask(context: &Context) -> (Door, Option<Running>) {
    let asked = Control::connect(context).and_then(|mut control| control.call::<UnitsStatus>(&Empty {}));
    match asked {
        Ok(units) => {
            let down = units.units.iter().filter(|unit| !is_up_or_meant_to_be_down(unit));
            let down = down.map(|unit| unit.name.clone()).collect();
            (
                Door::Answers,
                Some(Running { pid: units.supervisor_pid, version: units.version, level: units.level, down }),
            )
        }
        Err(CliError::NotRunning { error, .. }) => match error.kind() {
            ErrorKind::NotFound => (Door::Absent, None),
            ErrorKind::PermissionDenied => (Door::Forbidden, None),
            _ => (Door::Stale, None),
        },
        // It lets go of whoever it does not know.
        Err(_) => (Door::Forbidden, None),
    }
}

/// The text of `creel doctor`.
fn render(checks: &[Check], out: &Output) -> String {
    let mut text = String::new();
    for Check { name, verdict, sentence, remedy } in checks {
        let mark = match verdict {
            Verdict::Ok => out.paint(Colour::Green, "✓ ok  "),
            Verdict::Warn => out.paint(Colour::Yellow, "! warn"),
            Verdict::Fail => out.paint(Colour::Red, "✗ fail"),
        };
        text.push_str(&format!("{mark}  {name}: {}\n", plain(sentence)));
        if let Some(remedy) = remedy {
            text.push_str(&format!("          → {}\n", plain(remedy)));
        }
    }
    let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    text.push_str(&format!("\n{} warnings, {} failures\n", count(Verdict::Warn), count(Verdict::Fail)));
    text
}
