//! Where the binaries under test are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

/// The binaries that make up Creel. The packages have the same names.
pub const NAMES: [&str; 5] = ["creel", "creel-gateway", "creel-egress", "creel-agent", "creel-channel"];

/// The folder of the binaries: `CREEL_BIN_DIR`, else the one that this program was built into. What is missing
/// there is built once; what is there is taken as it is, so build before you test (`cargo xtask test` does).
///
/// # Errors
/// When something is missing and cannot be built.
pub fn folder() -> Result<PathBuf> {
    static FOUND: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| find().map_err(|error| format!("{error:#}")));
    found.clone().map_err(anyhow::Error::msg)
}

fn find() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("CREEL_BIN_DIR") {
        let given = PathBuf::from(given);
        let missing = missing(&given);
        if !missing.is_empty() {
            bail!(
                "CREEL_BIN_DIR is {}, where {} is missing; build it first.",
                given.display(),
                missing.join(", ")
            );
        }
        return Ok(given.canonicalize()?);
    }
    let own = std::env::current_exe()?;
    let mut folder = own.parent().context("This program lies in no folder.")?;
    if folder.ends_with("deps") {
        folder = folder.parent().context("The folder deps lies in no folder.")?;
    }
    if missing(folder).is_empty() {
        return Ok(folder.to_owned());
    }
    build(folder)?;
    let missing = missing(folder);
    if missing.is_empty() {
        return Ok(folder.to_owned());
    }
    bail!(
        "These binaries are not in {}: {}. Build them with `cargo build {}`.",
        folder.display(),
        missing.join(", "),
        packages().join(" ")
    )
}

fn missing(folder: &Path) -> Vec<&'static str> {
    NAMES.into_iter().filter(|name| !folder.join(name).is_file()).collect()
}

fn packages() -> Vec<&'static str> {
    NAMES.into_iter().flat_map(|name| ["--package", name]).collect()
}

fn build(folder: &Path) -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg("build").args(packages()).current_dir(env!("CARGO_MANIFEST_DIR"));
    match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => {}
        Some(profile) => drop(cargo.args(["--profile", profile])),
    }
    let status = cargo.status().context("cargo cannot be started to build the binaries under test.")?;
    if !status.success() {
        bail!("The binaries under test cannot be built: cargo said {status}.");
    }
    Ok(())
}
