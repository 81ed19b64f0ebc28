//! The tests that every supervisor goes through.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use creel_kit::process;
use nix::sys::signal::Signal;

use super::Row;
use super::rig::{Job, Kind, Rig, millis, now, ticks};
use super::start;

const MANY: usize = 100;
/// Every supervisor takes an end within the first second for a child that cannot start.
const SETTLE: Duration = Duration::from_millis(1300);
const IDLE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(30);
/// Creel spreads the falls of all out when they follow each other closer than this: 20 restarts a second.
const BETWEEN_FALLS: Duration = Duration::from_secs(6);
const MASS_KILLS: usize = 3;

/// Everything about one supervisor.
pub(super) fn row(kind: Kind) -> Row {
    let mut row = Row { name: kind.key().to_owned(), ..Row::default() };
    type Test = fn(Kind, &mut Row) -> Result<()>;
    let tests: [(&str, Test); 7] = [
        ("ten", ten),
        ("hundred", hundred),
        ("flood", flood),
        ("long line", long_line),
        ("death", death),
        ("daemon", daemon),
        ("upgrade", upgrade),
    ];
    for (name, test) in tests {
        if let Err(error) = test(kind, &mut row) {
            row.failed.push(format!("{name}: {error:#}"));
        }
    }
    row
}

fn ten(kind: Kind, row: &mut Row) -> Result<()> {
    let rig = Rig::start(kind, ticks(10))?;
    row.start10_ms = Some(millis(rig.started, rig.all_up()?));
    std::thread::sleep(SETTLE);
    row.rss10_mib = Some(rig.memory_mib("VmRSS"));
    Ok(())
}

fn hundred(kind: Kind, row: &mut Row) -> Result<()> {
    let rig = Rig::start(kind, ticks(MANY))?;
    row.start100_ms = Some(millis(rig.started, rig.all_up()?));
    std::thread::sleep(SETTLE);
    row.rss100_mib = Some(rig.memory_mib("VmRSS"));
    row.pss100_mib = Some(rig.memory_mib("Pss"));
    row.processes = Some(rig.side().len());
    let (switches, cpu) = (rig.switches(), rig.cpu_ns());
    std::thread::sleep(IDLE);
    row.idle_switches = Some((rig.switches() - switches) as f64 / IDLE.as_secs_f64());
    row.idle_cpu_ms = Some((rig.cpu_ns() - cpu) as f64 / 1e6 / IDLE.as_secs_f64());

    let mut waits = one_by_one(&rig)?;
    waits.sort_by(f64::total_cmp);
    let at = |share: f64| waits.get((share * (waits.len() - 1) as f64).round() as usize).copied();
    (row.kill_min_ms, row.kill_p50_ms, row.kill_p99_ms) = (at(0.0), at(0.5), at(0.99));

    let mut masses = (0..MASS_KILLS).map(|_| all_at_once(&rig)).collect::<Result<Vec<_>>>()?;
    masses.sort_by(f64::total_cmp);
    row.mass_ms = masses.get(MASS_KILLS / 2).copied();
    Ok(())
}

/// Each child once: nobody has to wait for another second to pass.
fn one_by_one(rig: &Rig) -> Result<Vec<f64>> {
    let children = rig.children();
    ensure!(children.len() == MANY, "{} of {MANY} children run", children.len());
    let mut waits = Vec::new();
    for (name, process) in children {
        let before = rig.times(&name, "starts").len();
        let killed = now();
        process.signal(Signal::SIGKILL)?;
        waits.push(millis(killed, rig.wait(&name, "starts", before + 1, PATIENCE)?));
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(waits)
}

fn all_at_once(rig: &Rig) -> Result<f64> {
    std::thread::sleep(BETWEEN_FALLS);
    let children = rig.children();
    ensure!(children.len() == MANY, "{} of {MANY} children run", children.len());
    let before: Vec<_> = children.keys().map(|name| (name, rig.times(name, "starts").len())).collect();
    let killed = now();
    for process in children.values() {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(process.pid as i32), Signal::SIGKILL)?;
    }
    // Looking must not take the processor away from what is looked at.
    std::thread::sleep(Duration::from_millis(100));
    let mut last = killed;
    for (name, count) in before {
        last = last.max(rig.wait(name, "starts", count + 1, PATIENCE)?);
    }
    Ok(millis(killed, last))
}

const FLOOD_LINES: u64 = 1_000_000;
const FLOOD_MB: f64 = 100.0;

fn flood(kind: Kind, row: &mut Row) -> Result<()> {
    let rig = Rig::start(kind, vec![Job { name: "flood-0".into(), logged: true }])?;
    rig.all_up()?;
    let begin = rig.wait("flood-0", "begin", 1, PATIENCE)?;
    let end = rig.wait("flood-0", "end", 1, Duration::from_secs(120))?;
    row.flood_mb_s = Some(FLOOD_MB * 1e3 / millis(begin, end));
    let log = rig.plan.log("flood-0");
    let mut size = 0;
    loop {
        std::thread::sleep(Duration::from_millis(700));
        let now = std::fs::metadata(&log).map_or(0, |meta| meta.len());
        if now == size {
            break;
        }
        size = now;
    }
    row.flood_cpu_s = Some(rig.cpu_ns() as f64 / 1e9);
    let (logged, counted) = count(&log)?;
    (row.flood_logged, row.flood_counted) = (Some(logged), Some(counted));
    row.flood_lost = Some(FLOOD_LINES as i64 - logged as i64 - counted as i64);
    Ok(())
}

/// Whole lines of the flood, and lines that the log says were left out: `[creel: N lines, …`.
fn count(log: &Path) -> Result<(u64, u64)> {
    let file = std::fs::File::open(log).with_context(|| format!("{} is missing", log.display()))?;
    let (mut logged, mut counted) = (0, 0);
    for line in BufReader::with_capacity(1 << 20, file).split(b'\n') {
        let line = line?;
        let text = String::from_utf8_lossy(&line);
        if text.contains("flood line ") && text.ends_with('.') {
            logged += 1;
        } else if let Some((_, rest)) = text.split_once("[creel: ") {
            counted += rest.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok((logged, counted))
}

fn long_line(kind: Kind, row: &mut Row) -> Result<()> {
    let rig = Rig::start(kind, vec![Job { name: "long-0".into(), logged: true }])?;
    rig.all_up()?;
    std::thread::sleep(Duration::from_secs(1));
    rig.forget_peaks()?;
    rig.wait("long-0", "end", 1, Duration::from_secs(120))?;
    std::thread::sleep(SETTLE);
    row.long_line_peak_mib = Some(rig.memory_mib("VmHWM"));
    Ok(())
}

fn death(kind: Kind, row: &mut Row) -> Result<()> {
    let rig = Rig::start(kind, ticks(20))?;
    rig.all_up()?;
    std::thread::sleep(SETTLE);
    let children = rig.children();
    ensure!(children.len() == 20, "{} of 20 children run", children.len());
    let whole: Vec<_> = process::tree(rig.pid()).into_iter().map(|stat| stat.process).collect();
    rig.root.signal(Signal::SIGKILL)?;
    std::thread::sleep(Duration::from_secs(1));
    row.left_after_kill = Some(children.values().filter(|process| process.is_alive()).count());
    for process in whole {
        process.signal(Signal::SIGKILL)?;
    }
    Ok(())
}

fn daemon(kind: Kind, row: &mut Row) -> Result<()> {
    let of_strangers: Vec<_> = daemons().into_iter().map(|stat| stat.process).collect();
    let rig = Rig::start(kind, vec![Job { name: "fork-0".into(), logged: false }])?;
    rig.all_up()?;
    rig.wait("fork-0", "forked", 1, PATIENCE)?;
    std::thread::sleep(SETTLE);
    let mut before = daemons();
    before.retain(|stat| !of_strangers.contains(&stat.process));
    let child = *rig.children().get("fork-0").context("the child does not run")?;
    child.signal(Signal::SIGKILL)?;
    rig.wait("fork-0", "forked", 2, PATIENCE)?;
    row.left_daemons = Some(before.iter().filter(|stat| stat.process.is_alive()).count());
    drop(rig);
    for stat in daemons() {
        if !of_strangers.contains(&stat.process) {
            stat.process.signal(Signal::SIGKILL)?;
        }
    }
    Ok(())
}

/// The supervisor becomes another run of its program while 100 children go on. None of the peers can.
fn upgrade(kind: Kind, row: &mut Row) -> Result<()> {
    if !kind.is_creel() {
        return Ok(());
    }
    let rig = Rig::start(kind, ticks(MANY))?;
    rig.all_up()?;
    std::thread::sleep(SETTLE);
    let before = rig.children();
    ensure!(before.len() == MANY, "{} of {MANY} children run", before.len());
    let output = start::creel_command(&rig.plan)?.args(["upgrade", "--no-roll", "--json"]).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let state: serde_json::Value = serde_json::from_str(&said)?;
    let micros = state["execMicros"].as_f64().with_context(|| format!("no time in {said}"))?;
    row.upgrade_ms = Some(micros / 1e3);
    let after = rig.children();
    row.upgrade_lost = Some(before.values().filter(|old| !after.values().any(|new| new == *old)).count());
    Ok(())
}

/// What children that fork leave behind, by its command line.
fn daemons() -> Vec<process::Stat> {
    let mut all = process::all();
    all.retain(|stat| {
        let line = std::fs::read(format!("/proc/{}/cmdline", stat.process.pid)).unwrap_or_default();
        line == b"/usr/bin/sleep\086421\0"
    });
    all
}
