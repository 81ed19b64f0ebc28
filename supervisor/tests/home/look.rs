//! Eyes on processes.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

pub(crate) fn send(pid: u32, signal: Signal) {
    match kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => panic!("process {pid} cannot be signalled: {error}"),
    }
}

/// Whether a process runs; a zombie does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next()).is_some_and(|state| state != 'Z')
}

/// Children of a process that nobody reaped.
pub(crate) fn zombies(parent: u32) -> usize {
    let children =
        std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    children.split_whitespace().filter(|pid| !is_alive(pid.parse().unwrap())).count()
}

/// The parent of a process; a zombie has none here.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

/// Processes whose command line begins with a path below `folder`.
pub(crate) fn processes(folder: &Path) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let ours = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(folder.as_os_str().as_bytes()) && is_alive(*pid)
    };
    pids.filter(ours).collect()
}

/// Watches how much memory a process has of its own, in bytes. Pages of its program do not count: they come in as each part
/// of it is run, and the supervisor gives them back when it rests.
pub(crate) struct Memory {
    over: Arc<AtomicBool>,
    first: u64,
    most: JoinHandle<u64>,
}

impl Memory {
    pub(crate) fn watch(pid: u32) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (seen, first) = (Arc::clone(&over), own_memory(pid));
        let most = std::thread::spawn(move || {
            let mut most = first;
            while !seen.load(Ordering::Relaxed) {
                most = most.max(own_memory(pid));
                std::thread::sleep(Duration::from_millis(1));
            }
            most
        });
        Self { over, first, most }
    }

    /// By how much it ever was above what it was at the beginning.
    pub(crate) fn grew(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.most.join().unwrap() - self.first
    }
}

fn own_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

/// Open descriptors of a process.
pub(crate) fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// Cgroups of the supervisor's units in which nobody is. Those of an earlier supervisor are cleared at its start.
pub(crate) fn empty_groups(supervisor: u32) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(format!("/proc/{supervisor}/cgroup")).unwrap_or_default();
    let Some(own) = text.lines().find_map(|line| line.strip_prefix("0::")) else { return Vec::new() };
    let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    let Some(mount) = mounts.into_iter().find(|mount| mount.join("cgroup.procs").exists()) else {
        return Vec::new();
    };
    let own = mount.join(own.trim_start_matches('/'));
    let Some(units) = own.parent().map(|base| base.join("units")) else { return Vec::new() };
    let groups = std::fs::read_dir(units).into_iter().flatten().flatten().map(|entry| entry.path());
    let empty = |path: &PathBuf| {
        let events = std::fs::read_to_string(path.join("cgroup.events")).unwrap_or_default();
        events.contains("populated 0")
    };
    groups.filter(empty).collect()
}
