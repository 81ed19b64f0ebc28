//! Writes what is made from the command line's own help: man pages, one for `creel` and one for each of its commands, and
//! completion scripts.
//!
//! `cargo run -p creel --example pages -- MAN-FOLDER COMPLETIONS-FOLDER`; `cargo xtask pages` writes those that are committed.

use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;
use creel_supervisor::cli::Cli;

fn main() -> io::Result<()> {
    let folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    match folders.as_slice() {
        [man, completions] => write(man, completions),
        _ => Err(io::Error::other("usage: pages MAN-FOLDER COMPLETIONS-FOLDER")),
    }
}

/// Writes them into two folders, which are made if they are not there.
pub(crate) fn write(man: &Path, completions: &Path) -> io::Result<()> {
    std::fs::create_dir_all(man)?;
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), man)?;
    std::fs::create_dir_all(completions)?;
    // Under the names that the shells look for.
    for (shell, file) in [(Shell::Bash, "creel"), (Shell::Zsh, "_creel"), (Shell::Fish, "creel.fish")] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "creel", &mut script);
        std::fs::write(completions.join(file), script)?;
    }
    Ok(())
}
