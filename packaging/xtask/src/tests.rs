//! `cargo xtask test`: every test there is.

use anyhow::Result;
use clap::Args as ClapArgs;

use crate::shell::{answers, command, must, root};
use crate::{faults, page, peers, run, service};

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
    /// The Debian package, on two releases of Debian in virtual machines: as root, some minutes.
    Service,
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
        Some(Suite::Service) => return service::run(),
        None => {}
    }
    if let Some(package) = &args.package {
        return cargo_test(&["--package", package]);
    }
    peers::install()?;
    page::build(true)?;
    must(command("npm", &["run", "--silent", "check"]).current_dir(root().join("gateway/ui")))?;
    run::build(false)?;
    cargo_test(&["--workspace"])
}

/// nextest where it is installed, else cargo's own runner; the same tests either way.
fn cargo_test(scope: &[&str]) -> Result<()> {
    if answers("cargo-nextest", "--version") {
        must(command("cargo", &["nextest", "run"]).args(scope))?;
    } else {
        must(command("cargo", &["test"]).args(scope))?;
    }
    must(command("cargo", &["test", "--doc"]).args(scope))
}
