//! What a new program does with a copy of the state before anybody relies on it.

use std::io::{self, Read, Write};

use creel_ipc::ExitCode;
use serde::{Deserialize, Serialize};

use super::{Carried, UpgradeError};
use crate::settings::Source;
use crate::unit::template::{Binaries, PROGRAMS};

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
        .map_err(|error| UpgradeError::Unreadable(format!("the configuration is wrong for it: {error}")))?;
    for unit in carried.members.keys() {
        if !settings.plan.units.iter().any(|planned| planned.name.to_string() == *unit) {
            let sentence = format!("the unit {unit} runs, and its configuration has none of that name");
            return Err(UpgradeError::Unreadable(sentence));
        }
    }
    let binaries = Binaries::find(&source.env)?;
    for name in PROGRAMS {
        let path = binaries.path(name);
        if !path.is_file() {
            let sentence = format!("its companion {} is not there", path.display());
            return Err(UpgradeError::Unreadable(sentence));
        }
    }
    Ok(Checked { format: carried.format, version: env!("CARGO_PKG_VERSION").to_owned() })
}
