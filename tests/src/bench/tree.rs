//! The whole tree: how fast it stands, and what it weighs. One agent, Telegram on the fake, IRC on ngircd.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use creel_ipc::msg::unit::UnitState;
use creel_kit::irc::Ngircd;
use creel_kit::{Creel, TelegramHome, http, process};
use serde_json::json;

use crate::figure::{Figure, figure, percentile};

struct Household {
    home: TelegramHome,
    _ngircd: Ngircd,
}

async fn household() -> Result<Household> {
    let home = TelegramHome::new().await?;
    let ngircd = Ngircd::start(home.home.scratch()).await?;
    home.home.configure(ngircd.account("creelbot", &["#den"]))?;
    home.home.configure(
        json!({"logging": {"level": "info"}, "channels": {"telegram": {"pollTimeoutSeconds": 30}}}),
    )?;
    Ok(Household { home, _ngircd: ngircd })
}

/// From the start of the program to the first yes of `/ready`.
async fn timed(household: &Household) -> Result<(Creel, Duration)> {
    let home = &household.home.home;
    let started = Instant::now();
    let creel = home.launch()?;
    loop {
        if http::get(home.port(), "/ready", &[]).await.is_ok_and(|answer| answer.status == 200) {
            return Ok((creel, started.elapsed()));
        }
        ensure!(started.elapsed() < Duration::from_secs(60), "it does not get ready: {}", creel.said());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub(crate) async fn start() -> Result<Vec<Figure>> {
    const SAMPLES: usize = 9;
    let household = household().await?;
    timed(&household).await?.0.stop().await?;
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        let (creel, took) = timed(&household).await?;
        samples.push(took);
        creel.stop().await?;
    }
    let what = "`creel up` → ready (1 agent, 2 channels), warm, p50";
    Ok(vec![figure("start", what, (percentile(&samples, 0.5), "ms"), 150.0).of(SAMPLES)])
}

pub(crate) async fn memory() -> Result<Vec<Figure>> {
    let household = household().await?;
    let (creel, _) = timed(&household).await?;
    // It has done its work once, and then nothing.
    household.home.say(1, "echo warm")?;
    household.home.wait_said(1, 1).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut note = Vec::new();
    let mut sum = 0;
    let tree = creel.processes();
    for stat in &tree {
        let pid = stat.process.pid;
        let pss = process::memory(pid, "Pss").with_context(|| format!("the PSS of {pid} cannot be read"))?;
        sum += pss;
        note.push(format!("{} {:.1}", stat.name, mib(pss)));
    }
    let units = creel.status().await?.units;
    ensure!(units.iter().all(|unit| unit.state == UnitState::Running), "not everything runs: {units:?}");
    creel.stop().await?;
    let what = "whole tree idle, PSS (supervisor, gateway, egress, 1 agent, 2 channels)";
    Ok(vec![figure("memory", what, (mib(sum), "MiB"), 30.0).of(tree.len()).noting(note.join(", "))])
}

pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
