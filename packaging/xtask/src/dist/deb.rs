//! The Debian package, by cargo-deb; its metadata is in `supervisor/Cargo.toml`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

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

/// The same package under a higher version, with programs of other bytes that do the same: something to upgrade to.
pub(crate) fn newer(deb: &Path) -> Result<PathBuf> {
    let folder = super::folder().join("newer");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    must(command("dpkg-deb", &["--raw-extract"]).arg(deb).arg(&folder))?;
    let control = folder.join("DEBIAN/control");
    let text = fs::read_to_string(&control).context("the package has no control file")?;
    let line = |line: &str| {
        if line.starts_with("Version: ") { format!("{line}+next\n") } else { format!("{line}\n") }
    };
    fs::write(&control, text.lines().map(line).collect::<String>())?;
    let _none = fs::remove_file(folder.join("DEBIAN/md5sums"));
    let workers =
        fs::read_dir(folder.join("usr/libexec/creel"))?.map(|entry| entry.map(|entry| entry.path()));
    for program in workers.chain([Ok(folder.join("usr/bin/creel"))]) {
        // What follows the last section of a program is not read.
        fs::OpenOptions::new().append(true).open(program?)?.write_all(b"next")?;
    }
    let newer = deb.with_file_name("creel-next.deb");
    let build = ["--root-owner-group", "-Zgzip", "-z1", "--build"];
    must(command("dpkg-deb", &build).arg(&folder).arg(&newer))?;
    Ok(newer)
}
