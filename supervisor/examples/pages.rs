//! Writes the man pages into a folder: one for `creel` and one for each of its commands.
//!
//! `cargo run -p creel --example pages -- FOLDER`

use std::path::Path;

use clap::CommandFactory;
use creel_supervisor::cli::Cli;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).ok_or_else(|| std::io::Error::other("usage: pages FOLDER"))?;
    std::fs::create_dir_all(&folder)?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    pages(&command, "creel", Path::new(&folder))
}

fn pages(command: &clap::Command, name: &str, folder: &Path) -> std::io::Result<()> {
    let page =
        clap_mangen::Man::new(command.clone().name(name.to_owned())).date("").source("creel").manual("Creel");
    let mut text = Vec::new();
    page.render(&mut text)?;
    std::fs::write(folder.join(format!("{name}.1")), text)?;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages(below, &format!("{name}-{}", below.get_name()), folder)?;
    }
    Ok(())
}
