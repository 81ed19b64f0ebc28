//! A storm of runs in which processes are killed at random, and what is left of them: nothing.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

use super::look::descriptors;
use super::{Home, SOON};

/// Runs at the same time.
const ABREAST: usize = 4;
/// At most so long between two kills, or half as long again as one run takes alone: on a slow machine none would ever end.
const PAUSE: Duration = Duration::from_millis(20);

/// A fixed sequence, so that a failure can be repeated as far as the kernel allows.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What may not become more.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    children: BTreeSet<u32>,
    descriptors: usize,
    mounts: (usize, usize),
    groups: usize,
    files: BTreeSet<String>,
    marked: usize,
}

impl Left {
    fn of(home: &Home, groups: Option<&Path>, mark: &str) -> Self {
        let lines = |path: String| std::fs::read_to_string(path).unwrap().lines().count();
        Self {
            children: children(home.pid()),
            descriptors: descriptors(home.pid()),
            mounts: (lines(format!("/proc/{}/mountinfo", home.pid())), lines("/proc/self/mountinfo".into())),
            groups: groups.map_or(0, folders),
            files: files(home),
            marked: marked(mark),
        }
    }
}

/// The supervisor's: units, runs, stages of the launcher in the middle of their work, and the nursery.
fn children(supervisor: u32) -> BTreeSet<u32> {
    let text = std::fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).unwrap();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

fn folders(group: &Path) -> usize {
    let entries = std::fs::read_dir(group).into_iter().flatten().flatten();
    let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    below.map(|entry| 1 + folders(&entry.path())).sum()
}

/// All there is in the home, but for logs and the journal.
fn files(home: &Home) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut todo = vec![home.path("home"), home.path("run")];
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.ends_with("home/logs") || path.to_string_lossy().contains("/events") {
                continue;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                todo.push(path.clone());
            }
            found.insert(path.display().to_string());
        }
    }
    found
}

/// Processes with the mark in their command line.
fn marked(mark: &str) -> usize {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = pids.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(mark)).count()
}

/// Asks for so many runs, each with a daemon that leaves its session, while any child of the supervisor that is no unit may be
/// killed at any moment. `groups`: the folder of the units' cgroups. Returns how many ended in order and how many kills hit.
pub(crate) fn storm(home: &mut Home, groups: Option<&Path>, runs: usize) -> (usize, usize) {
    let mark = format!("leak{}", home.port);
    let script = format!("(setsid sleep 7777{} &) ; sh -c 'sleep 0.01' # {mark}", home.port);
    let params = |run: usize| json!({"run": format!("leak{run}"), "agent": "main", "argv": ["sh", "-c", script], "wallMs": 30_000});
    // The first makes what stays: folders of the agent.
    ask(home.port, &params(runs));
    let began = Instant::now();
    ask(home.port, &params(runs + 1));
    let pause = u64::try_from(PAUSE.max(began.elapsed() * 3 / 2).as_micros()).unwrap();
    home.nobody_left();
    let before = Left::of(home, groups, &mark);
    let (port, supervisor) = (home.port, home.pid());
    let (next, ended, over) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let killed = std::thread::scope(|scope| {
        for _ in 0..ABREAST {
            scope.spawn(|| {
                loop {
                    let run = next.fetch_add(1, Ordering::Relaxed);
                    if run >= runs {
                        break over.fetch_add(1, Ordering::Relaxed);
                    }
                    if ask(port, &params(run))["code"] == 0 {
                        ended.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let (mut dice, mut killed) = (Dice(0x5eed), 0);
        while over.load(Ordering::Relaxed) < ABREAST {
            std::thread::sleep(Duration::from_micros(dice.below(pause)));
            let victims: Vec<u32> = children(supervisor).difference(&before.children).copied().collect();
            let victim = victims.get(dice.below(victims.len().max(1) as u64) as usize);
            let victim = victim.and_then(|pid| Pid::from_raw(i32::try_from(*pid).ok()?));
            if victim.is_some_and(|pid| rustix::process::kill_process(pid, Signal::KILL).is_ok()) {
                killed += 1;
            }
        }
        killed
    });
    let mut after = Left::of(home, groups, &mark);
    home.until("the end of all that the runs made", |home| {
        after = Left::of(home, groups, &mark);
        (after.children == before.children && after.groups == before.groups && after.marked == 0)
            .then_some(())
    });
    home.nobody_left();
    assert_eq!(after, before, "left of {runs} runs, {killed} kills");
    assert_eq!(marked(&format!("7777{}", home.port)), 0, "a daemon is left");
    let ended = ended.into_inner();
    let _closed = writeln!(
        std::io::stderr(),
        "{runs} runs, {ended} of them ended in order, {killed} kills: nothing is left"
    );
    (ended, killed)
}

fn ask(port: u16, params: &Value) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(2 * SOON)).unwrap();
    writeln!(stream, "{}", json!({"method": "tool.run", "params": params})).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// How many runs, unless the environment says otherwise.
pub(crate) fn how_many(usually: usize) -> usize {
    std::env::var("CREEL_LEAK_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(usually)
}
