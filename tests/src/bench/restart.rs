//! Ends that nobody wanted: how fast the next one is there, and what a killed supervisor leaves.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use creel_ipc::msg::unit::UnitState;
use creel_kit::creel::left_of;
use creel_kit::process::{self, Process, children, stat};
use creel_kit::{Creel, TelegramHome, TestHome, until};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::figure::{Figure, figure, percentile};
use crate::tree::mib;

const AGENT: &str = "creel-agent";

/// Agents below the supervisor that have gone through their exec. Some levels put a process between.
fn agents(supervisor: u32) -> BTreeSet<Process> {
    let mut found = BTreeSet::new();
    let mut open = children(supervisor);
    while let Some(pid) = open.pop() {
        let Some(stat) = stat(pid) else { continue };
        if stat.name == AGENT && stat.state != 'Z' {
            found.insert(stat.process);
        } else {
            open.extend(children(pid));
        }
    }
    found
}

const LOOK_EVERY: Duration = Duration::from_micros(200);

/// Looks until there are so many agents, none of them an old one.
fn time_replacement(supervisor: u32, old: &BTreeSet<Process>, count: usize) -> Result<Duration> {
    let started = Instant::now();
    loop {
        let now = agents(supervisor);
        if now.len() >= count && now.is_disjoint(old) {
            return Ok(started.elapsed());
        }
        // A look at a hundred processes is work too: what is measured should not wait for it.
        std::thread::sleep(LOOK_EVERY);
        if started.elapsed() > Duration::from_secs(30) {
            bail!("{} of {count} agents came back within 30 s", now.difference(old).count());
        }
    }
}

/// Each end is taken for the first: what is measured is the restart, not the wait after many of them.
fn forgiving() -> serde_json::Value {
    json!({"supervisor": {"backoff": {"resetSeconds": 1}}})
}

pub(crate) async fn one() -> Result<Vec<Figure>> {
    const SAMPLES: usize = 25;
    let home = TestHome::new()?;
    home.configure(forgiving())?;
    let creel = home.start().await?;
    let supervisor = creel.supervisor().pid;
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        settle(&creel, 1).await?;
        // Only what has lived for a second is replaced at once.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let old = agents(supervisor);
        for process in &old {
            process.signal(Signal::SIGKILL)?;
        }
        samples.push(time_replacement(supervisor, &old, 1)?);
    }
    let level = creel.status().await?.level;
    creel.stop().await?;
    let what = "kill -9 of a worker → its replacement has executed, p50";
    let note = format!("full sandbox, level {level}; p99 {:.1} ms", percentile(&samples, 0.99));
    Ok(vec![figure("restart", what, (percentile(&samples, 0.5), "ms"), 8.0).of(SAMPLES).noting(note)])
}

async fn settle(creel: &Creel, count: usize) -> Result<()> {
    until("all agents run", Duration::from_secs(60), async || {
        let units = creel.status().await?.units;
        let running = |unit: &&creel_ipc::msg::unit::UnitStatus| {
            unit.name.starts_with("agent:") && unit.state == UnitState::Running
        };
        Ok((units.iter().filter(running).count() >= count).then_some(()))
    })
    .await
}

pub(crate) async fn hundred() -> Result<Vec<Figure>> {
    const AGENTS: usize = 100;
    const SAMPLES: usize = 5;
    let home = TestHome::new()?;
    let list: Vec<_> = (0..AGENTS).map(|n| json!({"id": format!("a{n}")})).collect();
    home.configure(json!({"agents": {"list": list}, "logging": {"level": "warn"}}))?;
    home.configure(forgiving())?;
    let creel = home.start().await?;
    let supervisor = creel.supervisor().pid;
    settle(&creel, AGENTS).await?;
    let rss = process::memory(supervisor, "VmRSS").unwrap_or(0);
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        settle(&creel, AGENTS).await?;
        // Falls of all that follow each other closer than five seconds are spread out on purpose.
        tokio::time::sleep(Duration::from_secs(6)).await;
        let old = agents(supervisor);
        ensure!(old.len() == AGENTS, "{} agents run", old.len());
        for process in &old {
            process.signal(Signal::SIGKILL)?;
        }
        samples.push(time_replacement(supervisor, &old, AGENTS)?);
    }
    settle(&creel, AGENTS).await?;
    let after = process::memory(supervisor, "VmRSS").unwrap_or(0);
    creel.stop().await?;
    let back = figure(
        "hundred",
        "100 workers killed at once → all back, p50",
        (percentile(&samples, 0.5), "ms"),
        300.0,
    );
    let weight = figure("hundred", "supervisor RSS with 100 workers", (mib(rss), "MiB"), 6.0);
    Ok(vec![
        weight.of(AGENTS).noting(format!("{:.1} MiB after {SAMPLES} mass kills", mib(after))),
        back.of(SAMPLES).noting(format!("worst {:.0} ms", percentile(&samples, 1.0))),
    ])
}

pub(crate) async fn orphans() -> Result<Vec<Figure>> {
    const SAMPLES: usize = 5;
    let home = TelegramHome::new().await?;
    let mut left = 0;
    let mut seen = 0;
    for n in 0..SAMPLES {
        let creel = home.start().await?;
        home.say(n as i64 + 1, "tool sleep 60")?;
        until("the tool runs", Duration::from_secs(30), async || {
            Ok(creel.processes().iter().any(|stat| stat.name == "sleep").then_some(()))
        })
        .await?;
        let before = creel.kill_supervisor().await?;
        seen += before.len();
        left += left_of(&before, Duration::from_secs(1)).await.len();
    }
    let what = "supervisor SIGKILLed → processes left after 1 s";
    let note = format!("of {seen}, each time with a tool run under way");
    Ok(vec![figure("orphans", what, (left as f64, "processes"), 0.0).of(SAMPLES).noting(note)])
}
