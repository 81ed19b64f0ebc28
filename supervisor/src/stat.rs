//! `/proc/<pid>/stat`: what the kernel tells of a process in one line.

/// The fields that somebody here reads, named as in proc(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    /// The process.
    pub(crate) pid: u32,
    /// `comm`.
    pub(crate) name: String,
    /// Whether it has ended and waits to be reaped.
    pub(crate) zombie: bool,
    /// `pgrp`.
    pub(crate) group: u32,
    /// `session`.
    pub(crate) session: u32,
    /// `utime` and `stime` together, in ticks.
    pub(crate) cpu_ticks: u64,
    /// `num_threads`.
    pub(crate) threads: u64,
    /// `starttime` in ticks since the boot: with the pid it names one process for ever.
    pub(crate) started: u64,
    /// `rss` in pages.
    pub(crate) rss_pages: u64,
}

impl Stat {
    /// Of a process; `None` when it is gone or the system has no such files.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(line: &str) -> Option<Self> {
        // The name may contain blanks and brackets; nothing after its last bracket does.
        let (head, tail) = line.rsplit_once(')')?;
        let (pid, name) = head.split_once(" (")?;
        let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
        // Numbered as in proc(5), where the first field after the name is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let id = |number: usize| u32::try_from(field(number)?).ok();
        Some(Self {
            pid: pid.parse().ok()?,
            name: name.to_owned(),
            zombie: matches!(*fields.first()?, "Z" | "X"),
            group: id(5)?,
            session: id(6)?,
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            started: field(22)?,
            rss_pages: field(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_is_read() {
        let line =
            "4711 (a) b (c) S 1 4711 4700 0 -1 4194560 1 2 3 4 12 30 7 8 20 0 3 0 987654 1000000 256 1";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.pid, stat.name.as_str(), stat.zombie), (4711, "a) b (c", false));
        assert_eq!((stat.group, stat.session, stat.started), (4711, 4700, 987_654));
        assert_eq!((stat.cpu_ticks, stat.threads, stat.rss_pages), (42, 3, 256));
        assert_eq!(Stat::parse("nonsense"), None);
    }

    #[test]
    fn the_own_process_has_one() {
        let own = Stat::of(std::process::id()).unwrap();
        assert!(own.rss_pages > 0 && own.threads > 0 && !own.zombie);
    }
}
