//! `cargo xtask ci`: what must pass before anything lands.

use anyhow::Result;

use crate::shell::{answers, command, must};
use crate::{redteam, service, tests, tidy};

pub(crate) fn run() -> Result<()> {
    must(&mut command("cargo", &["fmt", "--all", "--check"]))?;
    tidy::run()?;
    must(&mut command("cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    if !answers("cargo-deny", "--version") {
        must(&mut command("cargo", &["install", "--locked", "--quiet", "cargo-deny"]))?;
    }
    // Not the advisories: they change without any change of ours, and their database is fetched from the network,
    // which CI need not have. docs/contributing.md says when they are checked.
    must(&mut command("cargo", &["deny", "check", "bans", "licenses", "sources"]))?;
    tests::run(&tests::Args::all())?;
    redteam::run(&redteam::Args::ci())?;
    redteam::in_a_guest()?;
    // Not the package in virtual machines: emulated, that may take longer than all of this. docs/contributing.md says when it is run.
    service::here()
}
