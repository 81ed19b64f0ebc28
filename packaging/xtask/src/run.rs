//! `cargo xtask run`: from a fresh clone to a running Creel.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
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
    let creel = build(!args.debug)?.join("creel").to_string_lossy().into_owned();
    let mut up = command(&creel, &["up"])
        .args(&args.up)
        .spawn()
        .with_context(|| format!("{creel} cannot be started"))?;
    if let Some(url) = ready(&creel, args, &mut up)? {
        println!("\nCreel is up. Open {url}\nCtrl-C stops it.\n");
    }
    let status = up.wait()?;
    ensure!(status.success(), "`creel up` ended: {status}");
    Ok(())
}

/// Waits until the gateway answers and returns the page's address; `None` when Creel ended before.
fn ready(creel: &str, args: &Args, up: &mut Child) -> Result<Option<String>> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if up.try_wait()?.is_some() {
            return Ok(None);
        }
        // The token command reads files only; a call proves that the gateway answers.
        if answers(creel, args, &["gateway", "call", "health"])?.is_some()
            && let Some(url) = answers(creel, args, &["token"])?
        {
            return Ok(Some(url.trim().to_owned()));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("Creel did not get ready within 60 s; `creel status` and `creel logs` tell why")
}

/// What a `creel` command prints when it succeeds, with the same flags as `creel up`.
fn answers(creel: &str, args: &Args, words: &[&str]) -> Result<Option<String>> {
    let output = command(creel, words).args(&args.up).stderr(Stdio::null()).output()?;
    Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
}
