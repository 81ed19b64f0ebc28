//! What a process uses, as the kernel tells.

use crate::stat::Stat;

/// Milliseconds of one tick of the kernel's accounts: `USER_HZ` is 100 on every Linux.
const TICK_MS: u64 = 10;

/// Processor time, threads and resident memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    /// Milliseconds of processor time.
    pub(super) cpu_ms: u64,
    /// Threads.
    pub(super) tasks: u64,
    /// Resident memory in bytes.
    pub(super) rss_bytes: u64,
}

impl Usage {
    /// Of a process; `None` when it is gone or the system has no such files.
    pub(super) fn of(pid: u32) -> Option<Self> {
        Stat::of(pid).map(|stat| Self::from(&stat))
    }
}

impl From<&Stat> for Usage {
    fn from(stat: &Stat) -> Self {
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(0);
        Self { cpu_ms: stat.cpu_ticks * TICK_MS, tasks: stat.threads, rss_bytes: stat.rss_pages * page }
    }
}
