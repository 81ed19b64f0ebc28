//! `cargo xtask`: the developer commands of Creel. `cargo xtask --help` lists them.

// A command-line tool talks on stdout, and it is the only thing here that does.
#![expect(clippy::print_stdout, reason = "this is a command-line tool")]

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod bench;
mod chaos;
mod ci;
mod dist;
mod faults;
mod page;
mod pages;
mod peers;
mod postgres;
mod recap;
mod redteam;
mod run;
mod schema;
mod service;
mod shell;
mod store;
mod tests;
mod tidy;
mod vm;

/// Developer commands of Creel.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build everything in release mode, start Creel and print the address of its page.
    Run(run::Args),
    /// Run every test, after installing what the tests need from Debian and npm.
    Test(tests::Args),
    /// What CI runs: formatting, lints, dependency rules, tidiness, then every test.
    Ci,
    /// Check what compilers and tests do not: file sizes, crate edges, where `unsafe` stands.
    Tidy,
    /// Write `ipc-schema/schema/*.json` anew.
    Schema,
    /// Write the committed man pages and completions anew.
    Pages,
    /// Build the web page (needs Node and npm).
    Page,
    /// Make what is handed out: Debian package, archive, Homebrew formula, OCI image (all of them without a flag).
    Dist(dist::Args),
    /// Let things go wrong at random while messages flow, then check that none was lost, doubled or put out of order.
    Chaos(chaos::Args),
    /// Attack the tool sandbox from inside, level by level; fails when an attack works that is not on the reviewed list.
    Redteam(redteam::Args),
    /// Measure the figures of docs/specification.md.
    Bench(bench::Args),
}

fn main() -> ExitCode {
    match obey(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn obey(command: Command) -> Result<()> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Test(args) => tests::run(&args),
        Command::Ci => ci::run(),
        Command::Tidy => tidy::run(),
        Command::Schema => schema::write(),
        Command::Pages => pages::commit(),
        Command::Page => page::build(true).map(drop),
        Command::Dist(args) => dist::run(&args),
        Command::Chaos(args) => chaos::run(&args),
        Command::Redteam(args) => redteam::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}
