//! `bench`: measures the figures of docs/specification.md and prints one JSON object a line.
#![expect(clippy::print_stdout, reason = "a command-line tool tells its result on stdout")]

mod commands;
mod figure;
mod flood;
mod restart;
mod sandbox;
mod supervise;
mod tree;
mod turn;

use anyhow::{Result, bail};
use clap::Parser;

use crate::figure::Figure;

/// Measure the figures of docs/specification.md.
#[derive(Parser)]
struct Cli {
    /// The benches; all when absent.
    names: Vec<String>,
    /// Name the benches and do nothing.
    #[arg(long)]
    list: bool,
}

const NAMES: [&str; 11] = [
    "commands",
    "sandbox",
    "start",
    "memory",
    "latency",
    "tokens",
    "restart",
    "hundred",
    "orphans",
    "flood",
    "supervise",
];

async fn measure(name: &str) -> Result<Vec<Figure>> {
    match name {
        "commands" => commands::measure().await,
        "sandbox" => sandbox::measure().await,
        "start" => tree::start().await,
        "memory" => tree::memory().await,
        "latency" => turn::latency().await,
        "tokens" => turn::tokens().await,
        "restart" => restart::one().await,
        "hundred" => restart::hundred().await,
        "orphans" => restart::orphans().await,
        "flood" => flood::measure().await,
        "supervise" => supervise::measure(),
        other => bail!("There is no bench {other:?}; there are {}.", NAMES.join(", ")),
    }
}

fn main() -> Result<()> {
    // The supervisor starts a copy of this program in place of the agent: see `flood`.
    if flood::is_the_unit() {
        return flood::be_the_unit();
    }
    if sandbox::is_inside() {
        return sandbox::open_and_close();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let cli = Cli::parse();
    if cli.list {
        println!("{}", NAMES.join("\n"));
        return Ok(());
    }
    let mut failed = Vec::new();
    let mut wanted: Vec<&str> = cli.names.iter().map(String::as_str).collect();
    if wanted.is_empty() {
        wanted = NAMES.to_vec();
    }
    for name in wanted {
        match measure(name).await {
            Ok(figures) => {
                for figure in figures {
                    println!("{}", serde_json::to_string(&figure)?);
                }
            }
            // The others may still be measured.
            Err(error) => failed.push(format!("{name}: {error:#}")),
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("Not everything could be measured.\n{}", failed.join("\n")) }
}
