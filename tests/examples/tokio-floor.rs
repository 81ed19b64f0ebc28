//! The floor of `cargo xtask bench supervise`: the smallest supervisor one can write with tokio. No sandbox, no waits between
//! restarts, no control, no limits, no rotation: what it costs is what any supervisor of this kind costs.
//!
//! `tokio-floor PLAN`; a line of PLAN is `<log file or -> TAB <program> TAB <argument> …`.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, Command};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let plan = std::env::args().nth(1).context("tokio-floor PLAN")?;
    for line in std::fs::read_to_string(plan)?.lines() {
        let words: Vec<String> = line.split('\t').map(str::to_owned).collect();
        tokio::spawn(keep(words));
    }
    signal(SignalKind::terminate())?.recv().await;
    Ok(())
}

async fn keep(words: Vec<String>) {
    while let Err(error) = again(&words).await {
        let _nobody_reads = writeln_stderr(&format!("{words:?}: {error}\n"));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn again(words: &[String]) -> Result<()> {
    let [log, program, args @ ..] = words else { return Ok(()) };
    loop {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        command.stderr(if log == "-" { Stdio::null() } else { Stdio::piped() });
        let mut child = command.spawn()?;
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(copy(stderr, log.clone()));
        }
        child.wait().await?;
    }
}

async fn copy(mut from: ChildStderr, to: String) -> Result<()> {
    let mut file = File::options().append(true).create(true).open(to).await?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(file.flush().await?);
        }
        file.write_all(buffer.get(..count).unwrap_or_default()).await?;
    }
}

fn writeln_stderr(text: &str) -> std::io::Result<()> {
    std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes())
}
