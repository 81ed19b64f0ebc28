//! The test programs and the tests in them that are named after a row.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::rows;
use crate::shell::{command, show};

/// A built test program.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Its target's name.
    pub(crate) name: String,
    /// The file.
    pub(crate) file: PathBuf,
    /// The folder of its package, in which tests run.
    pub(crate) folder: PathBuf,
}

/// Builds test programs.
pub(crate) fn build(selection: &[&str]) -> Result<Vec<Program>> {
    let mut cargo = command("cargo", &["test", "--no-run", "--message-format=json-render-diagnostics"]);
    cargo.args(selection).stdout(Stdio::piped());
    println!("$ {}", show(&cargo));
    let output = cargo.spawn()?.wait_with_output()?;
    if !output.status.success() {
        bail!("the test programs cannot be built");
    }
    let text = String::from_utf8(output.stdout).context("cargo said something strange")?;
    Ok(text.lines().filter_map(program).collect())
}

fn program(line: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(line).ok()?;
    let file = PathBuf::from(message["executable"].as_str()?);
    let tests = message["profile"]["test"].as_bool()?;
    let folder = PathBuf::from(message["manifest_path"].as_str()?).parent()?.to_owned();
    tests.then_some(Program { name: message["target"]["name"].as_str()?.to_owned(), file, folder })
}

/// The tests of a program that are named after a row.
pub(crate) fn tests(program: &Program) -> Result<Vec<String>> {
    let mut list = command(&program.file.to_string_lossy(), &["--list", "--format", "terse"]);
    let output = list.output().with_context(|| format!("{} cannot be run", program.file.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
    Ok(names.filter(|name| rows::of(name).is_some()).map(str::to_owned).collect())
}
