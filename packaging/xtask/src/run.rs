//! `cargo xtask run`: from a fresh clone to a running Creel.

use anyhow::Result;
use clap::Args as ClapArgs;

use crate::page;
use crate::shell::{command, must, root};

/// The packages whose binaries make up Creel.
pub(crate) const BINARIES: [&str; 5] =
    ["creel", "creel-gateway", "creel-egress", "creel-agent", "creel-channel"];

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Build without optimisation: builds faster, runs slower.
    #[arg(long)]
    debug: bool,
    /// Passed to `creel up`, such as `--port 18790`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    up: Vec<String>,
}

/// Builds the five binaries into `target/<profile>`.
pub(crate) fn build(release: bool) -> Result<std::path::PathBuf> {
    let mut args = vec!["build"];
    if release {
        args.push("--release");
    }
    args.extend(BINARIES.iter().flat_map(|package| ["--package", *package]));
    must(&mut command("cargo", &args))?;
    Ok(target().join(if release { "release" } else { "debug" }))
}

/// Cargo's target folder.
pub(crate) fn target() -> std::path::PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), std::path::PathBuf::from)
}

pub(crate) fn run(args: &Args) -> Result<()> {
    page::build(false)?;
    let binaries = build(!args.debug)?;
    let creel = binaries.join("creel").to_string_lossy().into_owned();
    let mut up = command(&creel, &["up"]);
    must(up.args(&args.up))
}
