//! The man pages, made from the command line's own help.

use std::path::Path;

use anyhow::Result;

use crate::shell::{command, must};

/// Writes one page for each command into a folder.
pub(crate) fn write(folder: &Path) -> Result<()> {
    let args = ["run", "--quiet", "--package", "creel", "--example", "pages", "--"];
    must(command("cargo", &args).arg(folder))
}
