//! `cargo xtask test`: every test there is.

use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use serde_json::Value;

use crate::shell::{answers, command, must, root};
use crate::{faults, page, peers, recap, run, service, store};

/// The package whose tests start the binaries of others, which cargo does not build for it.
const PROCESSES: &str = "creel-tests";

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Only the tests of one package; nothing is installed for them.
    #[arg(long)]
    package: Option<String>,
    /// Only the tests of one suite.
    #[arg(long, conflicts_with = "package")]
    suite: Option<Suite>,
    /// Let what cannot be measured on this machine pass; the report names it all the same.
    #[arg(long)]
    allow_unmeasured: bool,
}

/// A part of the tests that is run and reported by itself.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Suite {
    /// The fault matrix: a verdict for each of its 57 rows.
    Faults,
    /// The Debian package under this machine's own systemd, in namespaces: as root, half a minute after the build.
    Package,
    /// The same, and on two releases of Debian in virtual machines.
    Service,
    /// Every store against the same suite, a line for each.
    Store,
    /// Whatever needs a virtual machine: rows of the fault matrix, and the Debian package on two releases of Debian.
    Vm,
}

impl Args {
    /// Everything.
    pub(crate) fn all() -> Self {
        Self { package: None, suite: None, allow_unmeasured: false }
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    match args.suite {
        Some(Suite::Faults) => return faults::run(args.allow_unmeasured),
        Some(Suite::Package) => return service::here(),
        Some(Suite::Service) => return service::run(),
        Some(Suite::Store) => return store::run(),
        Some(Suite::Vm) => return vm(args.allow_unmeasured),
        None => {}
    }
    if let Some(package) = &args.package {
        if package == PROCESSES {
            run::build(false)?;
        }
        return cargo_test(&["--package", package], has_library(package)?);
    }
    peers::install()?;
    page::build(true)?;
    must(command("npm", &["run", "--silent", "check"]).current_dir(root().join("gateway/ui")))?;
    run::build(false)?;
    cargo_test(&["--workspace"], true)
}

/// Both parts, whatever becomes of the first; how long each took.
pub(crate) fn vm(allow_unmeasured: bool) -> Result<()> {
    let begun = Instant::now();
    let rows = faults::run_in_vm(allow_unmeasured);
    let halfway = begun.elapsed();
    let package = service::run();
    let (first, both) = (halfway.as_secs(), begun.elapsed().as_secs());
    println!("vm: rows of the fault matrix {first} s, the package {} s", both - first);
    rows.and(package)
}

fn cargo_test(scope: &[&str], library: bool) -> Result<()> {
    let not_measured = run::target().join("not-measured");
    let _none_yet = std::fs::remove_file(&not_measured);
    let report = run::target().join("nextest/default/junit.xml");
    let _none_yet = std::fs::remove_file(&report);
    for step in steps(answers("cargo-nextest", "--version"), library) {
        must(command("cargo", step).args(scope)).inspect_err(|_| {
            for line in recap::of(&std::fs::read_to_string(&report).unwrap_or_default()) {
                println!("{line}");
            }
        })?;
    }
    // A test that passes is silent, also one that could not tell.
    for line in std::fs::read_to_string(&not_measured).unwrap_or_default().lines() {
        println!("NOT MEASURED HERE: {line}");
    }
    Ok(())
}

/// nextest where it is installed, else cargo's own runner; the same tests either way. nextest leaves out the examples
/// in documentation, and cargo has no patience with a package that cannot have any.
fn steps(nextest: bool, library: bool) -> &'static [&'static [&'static str]] {
    match (nextest, library) {
        (true, true) => &[&["nextest", "run"], &["test", "--doc"]],
        (true, false) => &[&["nextest", "run"]],
        (false, _) => &[&["test"]],
    }
}

/// Whether a package of the workspace has a library.
fn has_library(package: &str) -> Result<bool> {
    let output = command("cargo", &["metadata", "--no-deps", "--format-version", "1"]).output()?;
    let metadata: Value =
        serde_json::from_slice(&output.stdout).context("cargo told nothing of its packages")?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let kinds = packages
        .filter(|known| known["name"] == package)
        .flat_map(|known| known["targets"].as_array().into_iter().flatten())
        .flat_map(|target| target["kind"].as_array().into_iter().flatten());
    Ok(kinds.into_iter().any(|kind| kind == "lib" || kind == "proc-macro"))
}

#[cfg(test)]
mod steps_of_a_run {
    use super::*;

    #[test]
    fn examples_in_documentation_run_once_and_only_where_there_can_be_any() {
        assert_eq!(steps(true, true), [["nextest", "run"], ["test", "--doc"]]);
        assert_eq!(steps(true, false), [["nextest", "run"]]);
        assert_eq!(steps(false, true), [["test"]], "which runs them too");
        assert!(has_library("creel-ipc").unwrap() && !has_library("xtask").unwrap());
    }
}
