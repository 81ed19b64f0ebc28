//! Man pages and completion scripts, made from the command line's own help.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::shell::{command, must, root};

/// Writes those that are committed anew, and removes those of commands that are no more.
pub(crate) fn commit() -> Result<()> {
    let folders = ["packaging/man", "packaging/completions"].map(|folder| root().join(folder));
    for folder in &folders {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
    }
    let [man, completions] = &folders;
    write(man, completions)
}

/// Writes them into two folders.
pub(crate) fn write(man: &Path, completions: &Path) -> Result<()> {
    let args = ["run", "--quiet", "--package", "creel", "--example", "pages", "--"];
    must(command("cargo", &args).arg(man).arg(completions))
}
