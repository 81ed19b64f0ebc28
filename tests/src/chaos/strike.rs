//! Does to the processes and the disk what was planned.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use creel_kit::creel::left_of;
use creel_kit::process::Process;
use fake_telegram::TOKEN;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use serde_json::json;

use crate::nemesis::{Blow, schedule};
use crate::run::Plan;
use crate::stage::{Stage, lock};

/// Updates that the platform may keep at any time because a poll is under way.
const UNDER_WAY: usize = 5;
/// How often a full disk is filled up again, and looked at after it was freed.
const LOOK: Duration = Duration::from_millis(50);

/// Strikes by the schedule. Returns when everything is as it was: nobody stopped, no disk full.
pub(crate) async fn nemesis(stage: Arc<Stage>, plan: Plan) {
    let started = Instant::now();
    let blows = schedule(stage.traits, plan.seed, plan.length);
    lock(&stage.conduct).planned = blows.len() as u64;
    let mut lasting = tokio::task::JoinSet::new();
    for (at, blow) in blows {
        tokio::time::sleep(at.saturating_sub(started.elapsed())).await;
        // A victim that is down already cannot be hit again; too many of these make the run worth nothing.
        let hit = match strike(&stage, blow, &mut lasting).await {
            Ok(()) => json!(true),
            Err(error) => {
                lock(&stage.conduct).missed += 1;
                json!(format!("{error:#}"))
            }
        };
        stage.history.note("blow", &json!({"blow": blow, "plannedMs": at.as_millis() as u64, "hit": hit}));
    }
    while lasting.join_next().await.is_some() {}
}

async fn strike(stage: &Arc<Stage>, blow: Blow, lasting: &mut tokio::task::JoinSet<()>) -> Result<()> {
    let creel = || stage.creel().context("no Creel runs");
    match blow {
        Blow::KillSupervisor => kill_supervisor(stage).await?,
        Blow::Kill(victim) => {
            creel()?.kill(victim.unit(), Signal::SIGKILL).await?;
            stage.count(&format!("SIGKILL {}", victim.unit()));
            stage.count_cut(victim.sends());
        }
        Blow::Pause(victim, ms) => {
            let process = creel()?.kill(victim.unit(), Signal::SIGSTOP).await?;
            let hung = stage.traits.hung_after(ms);
            let how = if hung { " for longer than the watchdog waits" } else { "" };
            stage.count(&format!("SIGSTOP {}{how}", victim.unit()));
            stage.count_cut(hung && victim.sends());
            lasting.spawn_local(go_on(process, ms));
        }
        Blow::PauseSupervisor(ms) => {
            let supervisor = creel()?.supervisor();
            supervisor.signal(Signal::SIGSTOP)?;
            stage.count("SIGSTOP supervisor");
            lasting.spawn_local(go_on(supervisor, ms));
        }
        Blow::Fill { ms, leave_kib } => {
            lasting.spawn_local(fill(Arc::clone(stage), ms, leave_kib));
        }
    }
    Ok(())
}

async fn go_on(process: Process, ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    // It may have been killed meanwhile.
    let _gone = process.signal(Signal::SIGCONT);
}

async fn kill_supervisor(stage: &Arc<Stage>) -> Result<()> {
    let creel = lock(&stage.creel).take().context("no Creel runs")?;
    // Others may still be asking it something; they see it die.
    let before = creel.processes();
    creel.supervisor().signal(Signal::SIGKILL)?;
    let left = left_of(&before, Duration::from_secs(5)).await;
    lock(&stage.conduct).left_behind += left.len() as u64;
    if !left.is_empty() {
        stage.history.note("left behind", &json!(creel_kit::process::show(&left)));
        for stat in &left {
            stat.process.signal(Signal::SIGKILL)?;
        }
    }
    creel.forget();
    *lock(&stage.creel) = Some(Arc::new(stage.home.home.launch()?));
    stage.count("SIGKILL supervisor");
    stage.count_cut(true);
    Ok(())
}

/// Fills the disk, waits, frees it, and looks what that did to the way in.
async fn fill(stage: Arc<Stage>, ms: u64, leave_kib: u64) {
    let Some(disk) = &stage.disk else { return };
    let until = Instant::now() + Duration::from_millis(ms);
    while Instant::now() < until {
        if let Err(error) = disk.fill(leave_kib) {
            stage.history.note("not filled", &json!(format!("{error:#}")));
        }
        tokio::time::sleep(LOOK).await;
    }
    let kept_back = stage.home.telegram.unconfirmed(TOKEN);
    if let Err(error) = disk.free() {
        stage.history.note("not freed", &json!(format!("{error:#}")));
    }
    let freed = Instant::now();
    stage.count("disk full");
    let bit = kept_back > UNDER_WAY;
    if bit {
        stage.count("disk full, and nothing more acknowledged");
        while stage.home.telegram.unconfirmed(TOKEN) > UNDER_WAY && !stage.over.load(Ordering::Relaxed) {
            tokio::time::sleep(LOOK).await;
        }
    }
    let took = u64::try_from(freed.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut conduct = lock(&stage.conduct);
    conduct.fills += 1;
    conduct.fills_felt += u64::from(bit);
    conduct.slowest_recovery_ms = conduct.slowest_recovery_ms.max(if bit { took } else { 0 });
    stage.history.note("freed", &json!({"keptBack": kept_back, "recoveredMs": took, "leftKib": leave_kib}));
}

/// A supervisor that ended by itself is started again, so that the run shows more than that; it is no good run.
pub(crate) async fn revive(stage: Arc<Stage>) {
    while !stage.over.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if stage.creel().is_none_or(|creel| creel.supervisor().is_alive()) {
            continue;
        }
        let dead = lock(&stage.creel).take();
        if let Some(creel) = dead {
            lock(&stage.conduct).ended_by_itself += 1;
            stage.count_cut(true);
            // Looked at and left to whoever started it.
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
            let end = waitid(Id::Pid(Pid::from_raw(creel.supervisor().pid.cast_signed())), flags);
            crate::say(&format!("the supervisor ended by itself: {end:?}"));
            stage.history.note("supervisor ended", &json!({"how": format!("{end:?}"), "said": creel.said()}));
            creel.forget();
            match stage.home.home.launch() {
                Ok(creel) => *lock(&stage.creel) = Some(Arc::new(creel)),
                Err(error) => stage.history.note("not started", &json!(format!("{error:#}"))),
            }
        }
    }
}
