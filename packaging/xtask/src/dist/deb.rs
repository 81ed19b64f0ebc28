//! The Debian package, by cargo-deb; its metadata is in `supervisor/Cargo.toml`.

use std::path::PathBuf;

use anyhow::Result;

use super::Stage;
use crate::shell::{answers, command, must};

/// Makes it and returns its path.
pub(crate) fn make(stage: &Stage) -> Result<PathBuf> {
    if !answers("cargo-deb", "--version") {
        must(&mut command("cargo", &["install", "--locked", "--quiet", "cargo-deb"]))?;
    }
    let deb = super::folder().join(format!("creel_{}_amd64.deb", stage.version));
    let mut make = command("cargo", &["deb", "--package", "creel", "--no-build", "--no-strip", "--output"]);
    make.arg(&deb).env("SOURCE_DATE_EPOCH", super::epoch()?);
    if !stage.release {
        // For a test that installs it once.
        make.arg("--fast");
    }
    must(&mut make)?;
    Ok(deb)
}
