//! `chaos`: messages flow through a real Creel while its processes are killed and stopped at random, and a checker
//! that knows nothing of Creel says whether every message was answered once and in order.
#![expect(clippy::print_stdout, reason = "a command-line tool tells its result on stdout")]

mod bound;
mod check;
mod cluster;
mod conduct;
mod control;
mod disk;
mod history;
mod host;
mod interrupted;
mod nemesis;
mod run;
mod scenario;
mod stage;
mod strike;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::Parser;
use serde_json::json;

use crate::run::{Outcome, Plan};
use crate::scenario::Scenario;

/// Let things go wrong at random while messages flow, then check that no message was lost, doubled or put out of order.
#[derive(Parser)]
struct Cli {
    /// What goes wrong.
    #[arg(long, value_enum, default_value_t = Scenario::Storm)]
    scenario: Scenario,
    /// How long messages flow and things go wrong.
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
    /// The negative control: the guarantee that the scenario tries is switched off. Needs a gateway that was built with the
    /// feature `chaos-control`.
    #[arg(long)]
    control: bool,
    /// No request of the platform hangs until it is given up, which takes a minute: for short runs.
    #[arg(long)]
    no_half_open: bool,
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

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let traits = cli.scenario.traits().map_err(|sentence| anyhow!(sentence))?;
    if traits.small_disk {
        disk::own_mounts()?;
    }
    let history = cli.history.clone().unwrap_or_else(|| {
        let name = format!("creel-chaos-{}-{}-{}.jsonl", cli.scenario.name(), cli.seed, std::process::id());
        std::env::temp_dir().join(name)
    });
    let plan = Plan {
        traits,
        length: Duration::from_secs(cli.seconds),
        seed: cli.seed,
        chats: cli.chats.max(1),
        per_second: cli.rate.max(1),
        control: cli.control,
        half_open: !cli.no_half_open,
    };
    say(&format!("scenario {}, seed {}, {} s", cli.scenario.name(), cli.seed, cli.seconds));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(tokio::task::LocalSet::new().run_until(run::run(&plan, &history)))?;
    let complaints = outcome.conduct.complaints();
    let unseen = outcome.controls.iter().filter(|control| !control.seen).count();
    let good = outcome.verdict.is_good() && complaints.is_empty() && unseen == 0;
    print_table(&outcome);
    say(&format!("history: {}", history.display()));
    if let Some(path) = cli.json {
        let result = json!({
            "scenario": cli.scenario, "seed": cli.seed, "seconds": cli.seconds, "control": cli.control, "good": good,
            "verdict": outcome.verdict, "conduct": outcome.conduct, "complaints": complaints,
            "judge": outcome.controls, "blows": outcome.blows, "tookSeconds": outcome.seconds,
        });
        std::fs::write(path, format!("{result:#}\n"))?;
    }
    for complaint in &complaints {
        say(&format!("  {complaint}"));
    }
    say(&format!(
        "{} scenario {} seed {}",
        if good { "PASS" } else { "FAIL" },
        cli.scenario.name(),
        cli.seed
    ));
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_table(outcome: &Outcome) {
    let Outcome { verdict, conduct, controls, blows, seconds } = outcome;
    let rows = [
        ("injected", verdict.injected),
        ("answered once", verdict.answered_once),
        ("unknown, delivered", verdict.unknown_delivered),
        ("unknown, delivered late", verdict.unknown_late),
        ("unknown, not delivered", verdict.unknown_undelivered),
        ("unknown, causes: processes cut", verdict.causes.cuts),
        ("unknown, causes: platform hid", verdict.causes.hidden),
        ("lost", verdict.lost),
        ("duplicated", verdict.duplicated),
        ("reordered", verdict.reordered),
        ("answered, command interrupted", verdict.interrupted),
        ("misplaced", verdict.misplaced),
        ("strange", verdict.strange),
        ("two hosts polled at a time", verdict.beside),
        ("failed", verdict.failed),
        ("failed, delivered", verdict.failed_delivered),
        ("twice in the outbox", verdict.doubled_rows),
        ("blows planned", conduct.planned),
        ("blows missed", conduct.missed),
        ("processes left behind", conduct.left_behind),
        ("slowest recovery of a disk, ms", conduct.slowest_recovery_ms),
        ("account taken over", conduct.takeovers),
        ("slowest takeover, ms", conduct.slowest_takeover_ms),
        ("standby of the database promoted", conduct.failovers),
        ("slowest failover, ms", conduct.slowest_failover_ms),
        ("seconds", *seconds),
    ];
    for (name, count) in rows {
        say(&format!("{name:<32}{count:>8}"));
    }
    for (name, count) in blows {
        say(&format!("  {name:<30}{count:>8}"));
    }
    for control in controls {
        let seen = if control.seen { "seen" } else { "NOT SEEN by the judge, or nothing to change" };
        say(&format!("  control: {}: {seen}", control.change));
    }
    for example in &verdict.examples {
        say(&format!("  {example}"));
    }
}
