//! The cgroup of one incarnation.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::groups::Controllers;
use crate::denials::Counted;

/// When SIGKILL is sent again to a group that is not empty yet: somebody may have been in the middle of a fork that the
/// kernel lets pass, or hangs in the kernel.
const AGAIN: Duration = Duration::from_secs(1);
/// Processor time is shared out in periods of this many microseconds.
const PERIOD: u64 = 100_000;

/// What a whole unit may use. `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
    /// Hundredths of one processor.
    pub cpu_percent: Option<u32>,
    /// Share of the processors when they are scarce; 100 is usual.
    pub cpu_weight: Option<u32>,
}

/// A cgroup. Dropping it ends whoever is in it.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
    folder: File,
    memory: Cell<bool>,
    oom: Cell<bool>,
}

impl Group {
    /// An existing cgroup.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let folder = File::open(&path)?;
        let memory = Cell::new(path.join("memory.events").exists());
        Ok(Self { path, folder, memory, oom: Cell::new(false) })
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn bound(&self, limits: &Limits, controllers: Controllers) -> io::Result<()> {
        let write = |file: &str, value: String| fs::write(self.path.join(file), value);
        if controllers.memory
            && let Some(bytes) = limits.memory
        {
            write("memory.max", bytes.to_string())?;
            // All of the unit goes, not the one process that happened to ask.
            write("memory.oom.group", "1".to_owned())?;
            match write("memory.swap.max", "0".to_owned()) {
                // A kernel that does not account for swap.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if controllers.pids
            && let Some(tasks) = limits.tasks
        {
            write("pids.max", tasks.to_string())?;
        }
        if controllers.cpu {
            if let Some(percent) = limits.cpu_percent {
                write("cpu.max", format!("{} {PERIOD}", u64::from(percent) * PERIOD / 100))?;
            }
            if let Some(weight) = limits.cpu_weight {
                write("cpu.weight", weight.to_string())?;
            }
        }
        Ok(())
    }

    /// SIGKILL for everybody in it.
    pub fn kill(&self) {
        if let Err(error) = fs::write(self.path.join("cgroup.kill"), "1") {
            tracing::error!("The cgroup {} cannot be ended: {error}.", self.path.display());
        }
    }

    /// Ends whoever is left and waits until nobody is.
    pub async fn emptied(&self) {
        if is_populated(&self.path) {
            self.kill();
            while let Err(error) = self.watch().await {
                tracing::warn!("The cgroup {} cannot be watched: {error}.", self.path.display());
                tokio::time::sleep(AGAIN / 20).await;
                self.kill();
            }
        }
        if self.memory.get() {
            self.oom.set(self.killed_for_memory());
        }
    }

    /// Whether the kernel killed something in it for its memory. Known once it is empty.
    pub fn oom(&self) -> bool {
        self.oom.get()
    }

    /// Forks that were refused and periods in which it was slowed down.
    pub fn counted(&self) -> Counted {
        let count = |file: &str, key: &str| {
            let text = fs::read_to_string(self.path.join(file)).unwrap_or_default();
            let value = text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok());
            value.unwrap_or(0)
        };
        let (forks, throttled) = (count("pids.events", "max "), count("cpu.stat", "nr_throttled "));
        Counted { oom: self.oom(), forks, throttled }
    }

    /// The kernel tells changes of `populated` as urgent data of the file.
    async fn watch(&self) -> io::Result<()> {
        let events = watched(File::open(self.path.join("cgroup.events"))?)?;
        loop {
            // Reading it also makes the kernel tell the next change.
            let mut text = [0; 128];
            let length = events.get_ref().read_at(&mut text, 0)?;
            if !says_populated(&String::from_utf8_lossy(text.get(..length).unwrap_or_default())) {
                return Ok(());
            }
            match tokio::time::timeout(AGAIN, events.ready(Interest::PRIORITY)).await {
                Ok(ready) => ready?.clear_ready(),
                Err(_late) => self.kill(),
            }
        }
    }

    fn killed_for_memory(&self) -> bool {
        let text = fs::read_to_string(self.path.join("memory.events")).unwrap_or_default();
        text.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count.trim() != "0"))
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if fs::remove_dir(&self.path).is_ok() || !self.path.exists() {
            return;
        }
        self.kill();
        if fs::remove_dir(&self.path).is_err()
            && let Ok(groups) = super::here()
        {
            groups.leave_behind(self.path.clone());
        }
    }
}

/// Whether somebody is in a cgroup.
pub(super) fn is_populated(path: &Path) -> bool {
    fs::read_to_string(path.join("cgroup.events")).is_ok_and(|text| says_populated(&text))
}

fn says_populated(text: &str) -> bool {
    text.lines().any(|line| line == "populated 1")
}

#[expect(
    deprecated,
    reason = "its replacement is unsafe for descriptors that can be swapped; a file of ours is not"
)]
fn watched(file: File) -> io::Result<AsyncFd<File>> {
    AsyncFd::with_interest(file, Interest::PRIORITY)
}
