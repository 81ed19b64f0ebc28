//! `cargo xtask test`: every test there is.

use anyhow::Result;
use clap::Args as ClapArgs;

use crate::shell::{answers, command, must, root};
use crate::{page, peers, run};

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Only the tests of one package; nothing is installed for them.
    #[arg(long)]
    package: Option<String>,
}

impl Args {
    /// Everything.
    pub(crate) fn all() -> Self {
        Self { package: None }
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
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
