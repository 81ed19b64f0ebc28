//! What a process uses, as the kernel tells.

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
    /// Of a process, by its number or `self`; `None` when it is gone or the system has no such files.
    pub(super) fn of(pid: &str) -> Option<Self> {
        Self::read(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?, rustix::param::page_size())
    }

    /// Reads the line of `/proc/<pid>/stat`. The name of the process, in parentheses, may hold anything.
    fn read(stat: &str, page: usize) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        // Numbered as in proc(5), where the first field after the name is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ms: (field(14)? + field(15)?) * TICK_MS,
            tasks: field(20)?,
            rss_bytes: field(24)? * u64::try_from(page).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_matter() {
        let stat =
            "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 12 30 5 5 20 0 3 0 99 1000000 256 18446744073709551615";
        assert_eq!(Usage::read(stat, 4096), Some(Usage { cpu_ms: 420, tasks: 3, rss_bytes: 1 << 20 }));
        assert_eq!(Usage::read("nonsense", 4096), None);
        assert!(Usage::of("self").is_some_and(|own| own.rss_bytes > 0 && own.tasks > 0));
    }
}
