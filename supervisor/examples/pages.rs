//! Writes the man pages into a folder: one for `creel` and one for each of its commands.
//!
//! `cargo run -p creel --example pages -- FOLDER`

use clap::CommandFactory;
use creel_supervisor::cli::Cli;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).ok_or_else(|| std::io::Error::other("usage: pages FOLDER"))?;
    std::fs::create_dir_all(&folder)?;
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), folder)
}
