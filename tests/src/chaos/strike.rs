//! Does to the processes and the disk what was planned.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use creel_kit::Creel;
use creel_kit::creel::left_of;
use creel_kit::process::Process;
use fake_telegram::TOKEN;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use serde_json::json;

use crate::cluster::{LEASE_SECONDS, Servers};
use crate::host::{Host, Side};
use crate::nemesis::{Blow, Whom, schedule};
use crate::run::Plan;
use crate::stage::{Stage, lock};

/// Updates that the platform may keep at any time because a poll is under way.
const UNDER_WAY: usize = 5;
/// How often a full disk is filled up again, and looked at after it was freed.
const LOOK: Duration = Duration::from_millis(50);

/// For another host to take over at the latest.
const PATIENCE: Duration = Duration::from_secs(30);

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
        Blow::KillSupervisor => {
            kill_everything(stage, &stage.hosts[0]).await?;
            stage.hosts[0].start()?;
            stage.count("SIGKILL supervisor");
        }
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
        Blow::Lose(whom, ms) => {
            let number = stage.host(whom)?;
            let owned = stage.host(Whom::Owner).is_ok_and(|owner| owner == number);
            let until = Instant::now() + Duration::from_millis(ms);
            kill_everything(stage, &stage.hosts[number]).await?;
            stage.count(&format!("SIGKILL host {}", stage.hosts[number].name));
            lasting.spawn_local(lost(Arc::clone(stage), number, until, owned));
        }
        Blow::FailOver { deaf_ms, dead_ms, knows_nothing } => {
            let cluster = stage.cluster.as_ref().context("there is no database server")?;
            ensure!(!cluster.failing_over.swap(true, Ordering::Relaxed), "the last failover is not over");
            stage.count("primary of the database killed, standby promoted");
            let (deaf, dead) = (Duration::from_millis(deaf_ms), Duration::from_millis(dead_ms));
            lasting.spawn_local(fail_over(Arc::clone(stage), deaf, dead, knows_nothing));
        }
        Blow::Cut(whom, side, ms) => {
            let number = stage.host(whom)?;
            stage.hosts[number].cut(side, false);
            stage.count(&format!("cut off: {} from {side:?}", stage.hosts[number].name));
            // What it was just sending may have arrived, and nobody can say so.
            stage.count_cut(true);
            let until = Instant::now() + Duration::from_millis(ms);
            let owned = stage.host(Whom::Owner).is_ok_and(|owner| owner == number);
            lasting.spawn_local(apart(Arc::clone(stage), number, side, until, owned && side.frees()));
        }
    }
    Ok(())
}

/// Waits, looks who takes over meanwhile, and mends what was cut.
async fn apart(stage: Arc<Stage>, number: usize, side: Side, until: Instant, frees: bool) {
    if frees {
        follow(&stage, number, until).await;
    }
    tokio::time::sleep(until.saturating_duration_since(Instant::now())).await;
    stage.hosts[number].cut(side, true);
    stage.history.note("mended", &json!(stage.hosts[number].name));
}

/// Sees how long it takes until another host polls than this one, whose account is nobody's when its lease is over. Where there is time
/// enough for that it is waited for: on a busy machine it takes longer.
async fn follow(stage: &Arc<Stage>, number: usize, until: Instant) {
    let began = Instant::now();
    // Shorter ones are over before anybody may begin: the next one waits for a lease more.
    let long = until.saturating_duration_since(began) > 2 * Duration::from_secs(LEASE_SECONDS.into());
    lock(&stage.conduct).freed += u64::from(long);
    let until = if long { until + PATIENCE } else { until };
    while Instant::now() < until {
        if stage.host(Whom::Owner).is_ok_and(|owner| owner != number) {
            let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let mut conduct = lock(&stage.conduct);
            conduct.takeovers += 1;
            conduct.slowest_takeover_ms = conduct.slowest_takeover_ms.max(took);
            stage.history.note("taken over", &json!({"from": stage.hosts[number].name, "tookMs": took}));
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn go_on(process: Process, ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    // It may have been killed meanwhile.
    let _gone = process.signal(Signal::SIGCONT);
}

/// Kills a host's supervisor, and everything with it.
async fn kill_everything(stage: &Arc<Stage>, host: &Host) -> Result<()> {
    let creel = lock(&host.creel).take().context("no Creel runs")?;
    // Others may still be asking it something; they see it die.
    let before = creel.processes();
    creel.supervisor().signal(Signal::SIGKILL)?;
    let left = left_of(&before, creel_kit::deadline::PATIENCE).await;
    lock(&stage.conduct).left_behind += left.len() as u64;
    if !left.is_empty() {
        stage.history.note("left behind", &json!(creel_kit::process::show(&left)));
        for stat in &left {
            stat.process.signal(Signal::SIGKILL)?;
        }
    }
    creel.forget();
    stage.count_cut(true);
    Ok(())
}

/// A host that died: looks who takes over, and starts it again.
async fn lost(stage: Arc<Stage>, number: usize, until: Instant, owned: bool) {
    if owned {
        follow(&stage, number, until).await;
    }
    tokio::time::sleep(until.saturating_duration_since(Instant::now())).await;
    let host = &stage.hosts[number];
    let started = host.start().map_err(|error| format!("{error:#}"));
    stage.history.note("started again", &json!({"host": host.name, "so": started}));
}

/// Has the standby take over from the primary, and the primary come back as its standby.
async fn fail_over(stage: Arc<Stage>, deaf: Duration, dead: Duration, knows_nothing: bool) {
    let Some(cluster) = &stage.cluster else { return };
    let servers = || Arc::clone(&cluster.servers);
    lock(&cluster.servers).isolate();
    tokio::time::sleep(deaf).await;
    let killed = Instant::now();
    // What was just being sent cannot be noted.
    stage.count_cut(true);
    let outcome = blocking(servers(), Servers::fail_over).await;
    stage.history.note("promoted", &json!({"tookMs": killed.elapsed().as_millis() as u64}));
    let said = stage.telegram.sent().len();
    let watched = Arc::clone(&stage);
    let heard = tokio::task::spawn_local(async move {
        while watched.telegram.sent().len() == said && !watched.over.load(Ordering::Relaxed) {
            tokio::time::sleep(LOOK).await;
        }
        let took = u64::try_from(killed.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut conduct = lock(&watched.conduct);
        conduct.failovers += 1;
        conduct.slowest_failover_ms = conduct.slowest_failover_ms.max(took);
        watched.history.note("said again", &json!({"afterMs": took}));
    });
    tokio::time::sleep(dead).await;
    let mut outcome = outcome;
    if knows_nothing && outcome.is_ok() {
        stage.count("old primary back, and taking writes");
        outcome = blocking(servers(), Servers::wake_the_dead).await;
        tokio::time::sleep(dead).await;
    }
    if outcome.is_ok() {
        outcome = blocking(servers(), Servers::bring_back).await;
    }
    cluster.failing_over.store(false, Ordering::Relaxed);
    if let Err(error) = outcome {
        lock(&stage.conduct).bad_servers = Some(format!("{error:#}"));
    }
    stage.history.note("standby follows", &json!({"afterMs": killed.elapsed().as_millis() as u64}));
    let _noted = heard.await;
}

/// What takes the servers' programs a while.
async fn blocking(
    servers: Arc<Mutex<Servers>>,
    what: impl FnOnce(&mut Servers) -> Result<()> + Send + 'static,
) -> Result<()> {
    tokio::task::spawn_blocking(move || what(&mut lock(&servers))).await?
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
    let kept_back = stage.telegram.unconfirmed(TOKEN);
    if let Err(error) = disk.free() {
        stage.history.note("not freed", &json!(format!("{error:#}")));
    }
    let freed = Instant::now();
    stage.count("disk full");
    let bit = kept_back > UNDER_WAY;
    if bit {
        stage.count("disk full, and nothing more acknowledged");
        while stage.telegram.unconfirmed(TOKEN) > UNDER_WAY && !stage.over.load(Ordering::Relaxed) {
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
        for host in &stage.hosts {
            if host.creel().is_none_or(|creel| creel.supervisor().is_alive()) {
                continue;
            }
            let dead = lock(&host.creel).take();
            if let Some(creel) = dead {
                bury(&stage, host, &creel);
            }
        }
    }
}

/// Says how a supervisor ended that nobody killed, and starts another one.
fn bury(stage: &Arc<Stage>, host: &Host, dead: &Creel) {
    lock(&stage.conduct).ended_by_itself += 1;
    stage.count_cut(true);
    // Looked at and left to whoever started it.
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    let end = waitid(Id::Pid(Pid::from_raw(dead.supervisor().pid.cast_signed())), flags);
    crate::say(&format!("the supervisor ended by itself: {end:?}"));
    stage.history.note("supervisor ended", &json!({"how": format!("{end:?}"), "said": dead.said()}));
    dead.forget();
    if let Err(error) = host.start() {
        stage.history.note("not started", &json!(format!("{error:#}")));
    }
}
