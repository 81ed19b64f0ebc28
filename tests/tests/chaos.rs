//! Short forms of `cargo xtask chaos`, with fixed seeds: the same program, the same judge.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use creel_kit::home::run_to_end;

/// Longer than the longest that a request to the fake platform may hang, several times over.
const PATIENCE: Duration = Duration::from_secs(280);

async fn chaos(scenario: &str, seconds: u32, seed: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_chaos"));
    chaos.args(["--scenario", scenario, "--seconds", &seconds.to_string(), "--seed", &seed.to_string()]);
    // No request is left without an answer: that alone takes a minute.
    chaos.args(["--rate", "6", "--no-half-open", "--history"]).arg(folder.path().join("history.jsonl"));
    let said = run_to_end(chaos, PATIENCE).await?;
    ensure!(said.code == Some(0), "chaos ended with {:?}:\n{}{}", said.code, said.stdout, said.stderr);
    Ok(())
}

#[tokio::test]
async fn nothing_is_lost_when_processes_are_killed() -> Result<()> {
    chaos("kill", 6, 1).await
}

#[tokio::test]
async fn nothing_is_lost_when_processes_are_stopped_and_go_on() -> Result<()> {
    chaos("pause", 6, 2).await
}

#[tokio::test]
async fn nothing_is_lost_when_the_disk_is_full() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return not_measured("a small file system that is filled: only root may mount one");
    }
    chaos("diskfull", 6, 32).await
}

#[tokio::test]
async fn nothing_is_lost_and_nobody_polls_beside_another_when_a_host_is_cut_off() -> Result<()> {
    chaos("partition", 6, 7).await
}

#[tokio::test]
async fn nothing_is_lost_when_the_standby_of_the_database_takes_over() -> Result<()> {
    chaos("failover", 6, 18).await
}

/// Says so loudly, and has `cargo xtask test` say it again at its end.
#[expect(clippy::print_stderr, reason = "the runner shows it")]
pub(crate) fn not_measured(why: &str) -> Result<()> {
    eprintln!("NOT MEASURED HERE: {why}");
    let target =
        std::env::current_exe()?.ancestors().nth(3).context("no target folder")?.join("not-measured");
    let mut list = std::fs::File::options().create(true).append(true).open(target)?;
    Ok(writeln!(list, "{why}")?)
}
