//! `chaos`: messages flow through a real Creel while its processes are killed and stopped at random, and a checker
//! that knows nothing of Creel says whether every message was answered once and in order.
#![expect(clippy::print_stdout, reason = "a command-line tool tells its result on stdout")]

mod check;
mod conduct;
mod history;
mod interrupted;
mod nemesis;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use serde_json::json;

use crate::run::{Outcome, Plan};

/// Kill and stop processes at random while messages flow, then check that none was lost, doubled or put out of order.
#[derive(Parser)]
struct Cli {
    /// How long messages flow and processes die.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Seed of the misfortunes, the messages and the faults of the platform.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Conversations.
    #[arg(long, default_value_t = 24)]
    chats: u32,
    /// Messages a second, over all conversations.
    #[arg(long, default_value_t = 12)]
    rate: u32,
    /// The negative control; needs a gateway that was built with the feature `chaos-control`.
    #[arg(long)]
    without_fence: bool,
    /// Write the result as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write everything that happened as JSON lines; logs go beside it.
    #[arg(long)]
    history: Option<PathBuf>,
}

pub(crate) fn say(line: &str) {
    println!("{line}");
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let history = cli.history.unwrap_or_else(|| {
        std::env::temp_dir().join(format!("creel-chaos-{}-{}.jsonl", cli.seed, std::process::id()))
    });
    let plan = Plan {
        length: Duration::from_secs(cli.seconds),
        seed: cli.seed,
        chats: cli.chats.max(1),
        per_second: cli.rate.max(1),
        without_fence: cli.without_fence,
    };
    let outcome = tokio::task::LocalSet::new().run_until(run::run(&plan, &history)).await?;
    let complaints = outcome.conduct.complaints();
    let good = outcome.verdict.is_good() && complaints.is_empty();
    print_table(&outcome);
    say(&format!("history: {}", history.display()));
    if let Some(path) = cli.json {
        let result = json!({
            "seed": cli.seed, "seconds": cli.seconds, "withoutFence": cli.without_fence, "good": good,
            "verdict": outcome.verdict, "conduct": outcome.conduct, "complaints": complaints,
            "blows": outcome.blows, "tookSeconds": outcome.seconds,
        });
        std::fs::write(path, format!("{result:#}\n"))?;
    }
    for complaint in &complaints {
        say(&format!("  {complaint}"));
    }
    say(if good { "PASS" } else { "FAIL" });
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_table(outcome: &Outcome) {
    let Outcome { verdict, conduct, blows, seconds } = outcome;
    let rows = [
        ("injected", verdict.injected),
        ("answered once", verdict.answered_once),
        ("unknown, delivered", verdict.unknown_delivered),
        ("unknown, delivered late", verdict.unknown_late),
        ("unknown, not delivered", verdict.unknown_undelivered),
        ("lost", verdict.lost),
        ("duplicated", verdict.duplicated),
        ("reordered", verdict.reordered),
        ("answered, command interrupted", verdict.interrupted),
        ("misplaced", verdict.misplaced),
        ("strange", verdict.strange),
        ("failed", verdict.failed),
        ("failed, delivered", verdict.failed_delivered),
        ("twice in the outbox", verdict.doubled_rows),
        ("blows planned", conduct.planned),
        ("blows missed", conduct.missed),
        ("processes left behind", conduct.left_behind),
        ("seconds", *seconds),
    ];
    for (name, count) in rows {
        say(&format!("{name:<32}{count:>8}"));
    }
    for (name, count) in blows {
        say(&format!("  {name:<30}{count:>8}"));
    }
    for example in &verdict.examples {
        say(&format!("  {example}"));
    }
}
