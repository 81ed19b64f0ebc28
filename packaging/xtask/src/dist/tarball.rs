//! The archive for any machine: `bin`, `libexec`, `share`, to be unpacked anywhere.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use super::Stage;
use crate::shell::{command, must, root};

/// Makes it and returns its path.
pub(super) fn make(stage: &Stage) -> Result<PathBuf> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let name = format!("creel-{}-{os}-{arch}", stage.version);
    let folder = super::folder().join("tarball");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let top = folder.join(&name);
    fs::create_dir_all(&top)?;
    // Debian's own places of services stay out: `creel service install` writes them.
    for part in ["bin", "libexec", "share"] {
        must(command("cp", &["-r"]).arg(stage.root.join("usr").join(part)).arg(top.join(part)))?;
    }
    for file in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        fs::copy(root().join(file), top.join(file))?;
    }
    let archive = super::folder().join(format!("{name}.tar.gz"));
    // Without the name and the time of the file that gzip would note.
    super::tar(&folder, &archive, &[&name], &["--use-compress-program=gzip -n9"])?;
    Ok(archive)
}
