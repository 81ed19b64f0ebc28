//! Eyes on processes: `/proc`, signals, and the certainty that none is left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command};
use std::sync::{Mutex, Once, PoisonError};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// A process, told apart from a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Clock ticks from boot to its start.
    pub started: u64,
}

/// A line of `/proc/PID/stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// The process.
    pub process: Process,
    /// The program's short name.
    pub name: String,
    /// The state's letter.
    pub state: char,
    /// Its parent.
    pub parent: u32,
    /// Processor time of it, user and system, in clock ticks.
    pub ticks: u64,
}

impl Process {
    /// The process that has this number now.
    pub fn of(pid: u32) -> Option<Self> {
        stat(pid).map(|stat| stat.process)
    }

    /// Whether it runs; a zombie does not.
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.process == self && stat.state != 'Z')
    }

    /// Sends a signal to that very process.
    ///
    /// # Errors
    /// When the kernel refuses; a process that is gone is no error.
    pub fn signal(self, signal: Signal) -> Result<()> {
        if Self::of(self.pid) != Some(self) {
            return Ok(());
        }
        match kill(Pid::from_raw(self.pid as i32), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("process {} cannot be signalled", self.pid)),
        }
    }
}

/// Reads `/proc/PID/stat`.
pub fn stat(pid: u32) -> Option<Stat> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(line: &str) -> Option<Stat> {
    // The name is in parentheses and may contain anything, also parentheses.
    let (pid, rest) = line.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        process: Process { pid: pid.parse().ok()?, started: number(19)? },
        name: name.to_owned(),
        state: fields.first()?.chars().next()?,
        parent: u32::try_from(number(1)?).ok()?,
        ticks: number(11)? + number(12)?,
    })
}

/// All processes of the machine.
pub fn all() -> Vec<Stat> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// A process and everything below it, without zombies.
pub fn tree(root: u32) -> Vec<Stat> {
    let mut by_parent: BTreeMap<u32, Vec<Stat>> = BTreeMap::new();
    let mut found = Vec::new();
    for stat in all() {
        if stat.process.pid == root {
            found.push(stat);
        } else {
            by_parent.entry(stat.parent).or_default().push(stat);
        }
    }
    let mut next = 0;
    while let Some(stat) = found.get(next) {
        let children = by_parent.remove(&stat.process.pid).unwrap_or_default();
        found.extend(children);
        next += 1;
    }
    found.retain(|stat| stat.state != 'Z');
    found
}

/// Bytes of one line of `/proc/PID/smaps_rollup` or `/proc/PID/status`, such as `Pss` or `VmRSS`.
pub fn memory(pid: u32, what: &str) -> Option<u64> {
    let file = if what.starts_with("Vm") { "status" } else { "smaps_rollup" };
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Nanoseconds of processor time that the living threads of a process have used.
pub fn cpu_ns(pid: u32) -> Option<u64> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let used = |thread: std::fs::DirEntry| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    Some(threads.filter_map(used).sum())
}

/// Numbers of the children of a process, found faster than by [`tree`].
pub fn children(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

static KNOWN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Starts a program whose end the caller sees to. Everything else that becomes a child of this process is an
/// [`orphan`](orphans).
///
/// # Errors
/// When it cannot be started.
pub fn start(command: &mut Command) -> Result<Child> {
    static ADOPT: Once = Once::new();
    // Whoever loses its parent below us becomes our child instead of init's, and is seen.
    ADOPT.call_once(|| {
        let _ = nix::sys::prctl::set_child_subreaper(true);
    });
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let child = command.spawn().with_context(|| format!("{:?} cannot be started", command.get_program()))?;
    known.insert(child.id());
    Ok(child)
}

/// Chromium's crash handler leaves its parent on purpose and ends with its browser.
const FOREIGN: [&str; 1] = ["chrome_crashpad"];

/// Processes below us that lost their parent and live on. Dead ones are buried on the way.
pub fn orphans() -> Vec<Stat> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let us = std::process::id();
    let mut orphans: Vec<Stat> = all();
    orphans.retain(|stat| {
        stat.parent == us && !known.contains(&stat.process.pid) && !FOREIGN.contains(&stat.name.as_str())
    });
    orphans.retain(|stat| {
        let zombie = stat.state == 'Z';
        if zombie {
            let _ = waitpid(Pid::from_raw(stat.process.pid as i32), Some(WaitPidFlag::WNOHANG));
        }
        !zombie
    });
    orphans
}

/// What a list of processes looks like in a sentence.
pub fn show(stats: &[Stat]) -> String {
    let one = |stat: &Stat| format!("{} {} ({})", stat.process.pid, stat.name, stat.state);
    stats.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_contain_anything() {
        let line = "42 (a) (b) S 7 42 42 0 -1 4194560 1 0 0 0 11 22 0 0 20 0 1 0 12345 1 1 1";
        let stat = parse(line).unwrap();
        assert_eq!((stat.name.as_str(), stat.state, stat.parent, stat.ticks), ("a) (b", 'S', 7, 33));
        assert_eq!(stat.process, Process { pid: 42, started: 12345 });
    }

    #[test]
    fn a_killed_child_is_seen_as_dead() {
        let mut child = start(Command::new("/bin/sleep").arg("60")).unwrap();
        let process = Process::of(child.id()).unwrap();
        assert!(process.is_alive());
        assert!(tree(std::process::id()).iter().any(|stat| stat.process == process));
        process.signal(Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        assert!(!process.is_alive());
        process.signal(Signal::SIGKILL).unwrap();
    }
}
