//! Work that is ordered from the gateway's program, which alone knows the database: a word and JSON, answered by JSON.

use std::path::Path;
use std::process::Stdio;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Context;
use super::error::CliError;
use super::table::plain;
use crate::unit::template::Binaries;

/// Runs the gateway's program with an order, shows what it says meanwhile, and returns its report.
///
/// # Errors
/// When it cannot be run, or the sentence with which it has failed.
pub(super) fn ask<T: DeserializeOwned>(
    context: &Context,
    word: &str,
    order: &impl Serialize,
    stdin: Stdio,
) -> Result<T, CliError> {
    let failed = |error: &dyn std::fmt::Display| {
        CliError::Run(format!("The gateway's program cannot be asked: {error}."))
    };
    let program = Binaries::find(&context.env).map_err(|error| failed(&error))?.path("creel-gateway");
    let order = serde_json::to_string(order).map_err(|error| failed(&error))?;
    let mut command = std::process::Command::new(&program);
    command.args([word, &order]).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(&format!("{}: {error}", program.display())))?;
    let said = child.stderr.take().map(|stderr| relay(context, stderr)).unwrap_or_default();
    let output = child.wait_with_output().map_err(|error| failed(&error))?;
    if !output.status.success() {
        return Err(CliError::Run(if said.is_empty() {
            format!("It ended with {}.", output.status)
        } else {
            said
        }));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(&error))
}

/// Shows whole lines as they come, which say how far it is; the last, which has no end, is why it failed.
fn relay(context: &Context, stderr: impl std::io::Read) -> String {
    use std::io::BufRead;
    let mut lines = std::io::BufReader::new(stderr);
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
        let Some(whole) = line.strip_suffix('\n') else { break };
        context.out.note(plain(whole));
        line.clear();
    }
    plain(&line)
}

/// A path for an order, absolute.
///
/// # Errors
/// When it is not written in UTF-8.
pub(super) fn text(path: &Path) -> Result<String, CliError> {
    let path = std::path::absolute(path).unwrap_or_else(|_unknown| path.to_owned());
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| {
        CliError::Usage(format!("{} is not written in UTF-8; name another path.", path.display()))
    })
}
