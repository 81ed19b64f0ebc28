//! What a new program does with a copy of the state before anybody relies on it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::rc::Rc;

use creel_config::plan::UnitKind;
use creel_ipc::ExitCode;
use creel_ipc::msg::supervisor::REHEARSE;
use creel_launch::{Exit, LaunchError, Launching, Level, Stdio};
use serde::{Deserialize, Serialize};

use super::{Carried, UpgradeError};
use crate::settings::{Settings, Source};
use crate::tool::quota::Quotas;
use crate::uids::Uids;
use crate::unit::template::{self, Binaries, Ground, PROGRAMS};

/// What it says when it finds nothing wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The format of the state that it reads.
    pub format: u32,
    /// Its version.
    pub version: String,
}

/// Reads the state from standard input and tries everything that can be tried without touching anything.
pub fn run(source: &Source) -> ExitCode {
    match check(source) {
        Ok(checked) => {
            let text = serde_json::to_string(&checked).unwrap_or_default();
            match writeln!(io::stdout(), "{text}") {
                Ok(()) => ExitCode::Ok,
                Err(_nobody_listens) => ExitCode::Failure,
            }
        }
        Err(error) => {
            let _nobody_listens = writeln!(io::stderr(), "{error}");
            ExitCode::Failure
        }
    }
}

fn check(source: &Source) -> Result<Checked, UpgradeError> {
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    let carried = Carried::read(&text)?;
    let settings = source
        .read_applied(&carried.config_file)
        .map_err(|error| UpgradeError::Unfit(format!("the configuration is wrong for it: {error}")))?;
    for unit in carried.members.keys() {
        if !settings.plan.units.iter().any(|planned| planned.name.to_string() == *unit) {
            let sentence = format!("the unit {unit} runs, and its configuration has none of that name");
            return Err(UpgradeError::Unfit(sentence));
        }
    }
    let binaries = Binaries::find(&source.env)?;
    for name in PROGRAMS {
        let path = binaries.path(name);
        if !path.is_file() {
            let sentence = format!("its companion {} is not there", path.display());
            return Err(UpgradeError::Unfit(sentence));
        }
    }
    rehearse(source, &settings, &carried, binaries)?;
    Ok(Checked { format: carried.format, version: env!("CARGO_PKG_VERSION").to_owned() })
}

/// Lets the new gateway look at the database that the running one works on, confined as any gateway is.
fn rehearse(
    source: &Source,
    settings: &Settings,
    carried: &Carried,
    binaries: Binaries,
) -> Result<(), UpgradeError> {
    let measured = carried.measured.as_ref().map_or(Level::L0, |measured| measured.level);
    let ground = Ground {
        paths: source.paths.clone(),
        config_file: carried.config_file.clone(),
        binaries,
        // There is no cgroup for it.
        level: measured.min(Level::L2),
        log_level: settings.log_level,
        uids: Rc::new(Uids::open(&source.paths.state())),
        quotas: Quotas::of(&source.paths.state()),
        passed_on: template::passed_on(&source.env),
    };
    for unit in &settings.plan.units {
        // A server keeps a gateway from a schema that it does not know; a file is looked at before.
        let UnitKind::Gateway { database, servers, .. } = &unit.kind else { continue };
        if !servers.is_empty() {
            continue;
        }
        let mut spec = template::spec(unit, &ground)?;
        spec.argv.extend([REHEARSE.to_owned(), database.to_string_lossy().into_owned()]);
        let (mut words, stderr) = io::pipe()?;
        let (stdin, stdout) = (File::open("/dev/null")?.into(), stderr.try_clone()?.into());
        let unusable = |error: LaunchError| UpgradeError::Unfit(error.to_string());
        let stdio = Stdio { stdin, stdout, stderr: stderr.into() };
        let gateway = Launching::begin(&spec, stdio).and_then(Launching::wait).map_err(unusable)?;
        let mut said = Vec::new();
        words.read_to_end(&mut said)?;
        if gateway.wait()? != Exit::Code(0) {
            let said = String::from_utf8_lossy(&said);
            let said = said.trim().trim_end_matches('.');
            let said = if said.is_empty() { "it ended without a word" } else { said };
            let sentence = format!("its gateway cannot go on with the database: {said}");
            return Err(UpgradeError::Unfit(sentence));
        }
    }
    Ok(())
}
