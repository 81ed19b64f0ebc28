//! Sessions in databases of others, which the gateway's program reads.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use creel_ipc::foreign::{ForeignSession, READ_OPENCLAW};

use super::super::Context;
use super::super::error::CliError;
use crate::unit::template::Binaries;

/// What every SQLite file begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Whether the file is a database.
pub(super) fn is_database(path: &Path) -> bool {
    let mut start = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start));
    read.is_ok() && start == MAGIC
}

/// The sessions of OpenClaw's database.
pub(super) fn sessions(context: &Context, path: &Path) -> Result<Vec<ForeignSession>, CliError> {
    let failed = |error: &dyn std::fmt::Display| {
        CliError::Run(format!("The gateway's program cannot be asked: {error}."))
    };
    let program = Binaries::find(&context.env).map_err(|error| failed(&error))?.path("creel-gateway");
    let output = Command::new(&program)
        .arg(READ_OPENCLAW)
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(&format!("{}: {error}", program.display())))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(CliError::Run(if said.is_empty() {
            format!("It ended with {}.", output.status)
        } else {
            said
        }));
    }
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(|error| failed(&error))).collect()
}
