//! Runs that are killed at any moment, and what is left of them: nothing.
//!
//! `CREEL_LEAK_RUNS=10000 cargo test -p creel-launch --release leaks` for the long form.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::bench::folder;
use crate::trial;

/// How many runs, unless the environment says otherwise.
const RUNS: usize = 150;
/// How long the last of them may take to be gone.
const PATIENCE: Duration = Duration::from_secs(60);

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

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// What launches at level 1 make in a shared folder for as long as they run: `creel-<pid>-<time>`.
fn scratch() -> BTreeSet<String> {
    let is_one = |name: &String| {
        let parts = name.strip_prefix("creel-").and_then(|rest| rest.split_once('-'));
        parts.is_some_and(|(pid, time)| pid.parse::<u32>().is_ok() && u128::from_str_radix(time, 16).is_ok())
    };
    names(&std::env::temp_dir()).into_iter().filter(is_one).collect()
}

/// Processes with the mark in their command line: the run, its first process, and what the command started.
fn marked(mark: &str) -> Vec<String> {
    let pids = names(Path::new("/proc"));
    let lines = pids.iter().filter(|name| name.parse::<u32>().is_ok()).filter_map(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let dead =
            std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "));
        (line.contains(mark) && !dead).then(|| format!("{pid} {line}"))
    });
    lines.filter(|line| !line.starts_with(&format!("{} ", std::process::id()))).collect()
}

fn count(path: &str) -> usize {
    std::fs::read_to_string(path).unwrap().lines().count()
}

fn cgroups() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut todo = vec![std::path::PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with("creel-run") {
                    found.insert(entry.path().display().to_string());
                }
                todo.push(entry.path());
            }
        }
    }
    found
}

#[test]
fn runs_that_are_killed_at_any_moment_leave_nothing() {
    let runs = std::env::var("CREEL_LEAK_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(RUNS);
    let (_keep, workspace) = folder();
    let mark = format!("leak{}", workspace.file_name().unwrap().to_string_lossy().replace('.', ""));
    let (mounts, groups) = (count("/proc/self/mountinfo"), cgroups());
    let mut dice = Dice(0x5eed);
    let (mut killed, mut ended) = (0, 0);
    let before = scratch();
    for _ in 0..runs {
        let level = if dice.below(4) == 0 { "L1" } else { "L2" };
        // Daemons that leave their session, and a command that ends or does not.
        let script = format!("(setsid sleep 77777 & ) & sh -c 'sleep 0.00{}' # {mark}", dice.below(10));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([trial::ARG, "foreground", level, "none", workspace.to_str().unwrap(), "30000"])
            .args(["/bin/sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        if dice.below(3) < 2 {
            // A moment of its life: its start, the launch, the command, its end.
            let until = Instant::now() + Duration::from_micros(dice.below(30_000));
            while Instant::now() < until && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_micros(200));
            }
            if child.kill().is_ok() {
                killed += 1;
            }
        }
        if child.wait().unwrap().success() {
            ended += 1;
        }
    }
    assert!(
        killed > runs / 3 && ended > runs / 5,
        "{killed} killed and {ended} ended of {runs}: this shows nothing"
    );
    let until = Instant::now() + PATIENCE;
    loop {
        let sleeping = marked("sleep 77777");
        let (left, files) = (marked(&mark), scratch());
        // Other tests make some, too, and take them away as well.
        let files: Vec<_> = files.difference(&before).collect();
        if left.is_empty() && sleeping.is_empty() && files.is_empty() {
            break;
        }
        assert!(Instant::now() < until, "left of {runs} runs: {left:?} {sleeping:?} {files:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(names(&workspace), BTreeSet::new());
    assert_eq!(count("/proc/self/mountinfo"), mounts);
    assert_eq!(cgroups(), groups);
}
