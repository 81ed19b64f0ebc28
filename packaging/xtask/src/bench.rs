//! `cargo xtask bench`: release builds, and the peers that they are compared with.

use anyhow::Result;
use clap::Args as ClapArgs;

use crate::postgres::Server;
use crate::shell::{command, must};
use crate::{peers, run};

#[derive(ClapArgs)]
#[command(
    after_help = "Examples:\n  cargo xtask bench\n  cargo xtask bench supervise      beside s6, runit, supervisord \
                        and the smallest tokio supervisor\n  cargo xtask bench sandbox        \
                        beside bubblewrap and firejail\n  cargo xtask bench restart hundred\n  \
                        cargo xtask bench store          beside plain SQLite and an appended file, and on PostgreSQL"
)]
pub(crate) struct Args {
    /// What to measure; everything when absent.
    names: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut names: Vec<&str> = args.names.iter().map(String::as_str).collect();
    if names.is_empty() || names.contains(&"store") {
        store()?;
        names.retain(|name| *name != "store");
        if names.is_empty() && !args.names.is_empty() {
            return Ok(());
        }
    }
    if names.is_empty() || names.contains(&"supervise") {
        peers::install_supervisors()?;
    }
    if names.is_empty() || names.contains(&"sandbox") {
        peers::install_sandboxes()?;
        must(&mut command(
            "cargo",
            &["build", "--release", "--package", "creel-launch", "--example", "launch-probe"],
        ))?;
    }
    let binaries = run::build(true)?;
    let bench = ["build", "--release", "--package", "creel-tests", "--bin", "bench", "--examples"];
    must(&mut command("cargo", &bench))?;
    let bench = run::target().join("release/bench").to_string_lossy().into_owned();
    must(command(&bench, &names).env("CREEL_BIN_DIR", binaries))
}

/// The store is measured from within the gateway, on the disk of the build folder, and on a PostgreSQL server of its own.
fn store() -> Result<()> {
    let build = [
        "build",
        "--release",
        "--package",
        "creel-gateway",
        "--features",
        "bench",
        "--example",
        "store-bench",
    ];
    must(&mut command("cargo", &build))?;
    let program = run::target().join("release/examples/store-bench").to_string_lossy().into_owned();
    let server = Server::start()?;
    must(
        command(&program, &[])
            .env("CREEL_BENCH_DIR", run::target())
            .env("CREEL_BENCH_POSTGRES", server.socket()),
    )
}
