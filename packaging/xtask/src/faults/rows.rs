//! The rows of the fault matrix.

/// One row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Its number, from 1.
    pub(crate) number: u32,
    /// What goes wrong.
    pub(crate) fault: &'static str,
}

/// All of them, in order.
pub(crate) fn all() -> impl Iterator<Item = Row> {
    FAULTS.iter().zip(1..).map(|(fault, number)| Row { number, fault })
}

const FAULTS: [&str; 57] = [
    "a worker exits with 0",
    "a worker panics",
    "a worker dies by SIGSEGV or SIGABRT",
    "a worker is killed from outside",
    "a worker crash-loops",
    "a worker finds its configuration wrong (78)",
    "exec fails",
    "a worker cannot be confined",
    "a worker never says ready",
    "a worker dies while it is launched",
    "a worker hangs",
    "a worker ignores SIGTERM",
    "a grandchild ignores SIGTERM",
    "a worker starts a daemon",
    "a worker closes its link and lives",
    "a worker closes stderr, or never reads",
    "a worker floods stderr",
    "a worker floods its link",
    "a worker prints what is no JSON",
    "a worker writes a line of 100 MB",
    "half a line, then death",
    "wrong ids, zero bytes, invalid UTF-8",
    "a worker dies with a full pipe",
    "a grandchild keeps the pipe open",
    "a worker takes too much memory",
    "the host kills the supervisor for memory",
    "a fork bomb",
    "a worker leaks descriptors",
    "the supervisor has no descriptor left",
    "no process can be made",
    "the disk of the state is full",
    "the disk of the logs is full, or their folder gone",
    "a worker takes the processor",
    "a worker breaks out of its sandbox",
    "the supervisor is killed",
    "the supervisor panics",
    "the supervisor is asked to stop",
    "the configuration is wrong at a reload",
    "a storm of reloads, and half-written files",
    "an upgrade to a bad program",
    "a worker dies during the upgrade",
    "a hundred workers die at once",
    "stray signals",
    "a slow client of the control socket",
    "two supervisors",
    "stale socket, stale lock, reused number",
    "a process number is reused",
    "the clock jumps, the host sleeps",
    "power is lost",
    "the gateway dies in a turn",
    "a channel dies",
    "all workers crash together",
    "the port is taken",
    "strangers and garbage on the control socket",
    "the runtime folder is wiped",
    "no cgroup delegation",
    "the program is replaced or deleted while it runs",
];

/// The row that a test is named after: `…fault_NN_…`.
pub(crate) fn of(test: &str) -> Option<u32> {
    let name = test.rsplit("::").next().unwrap_or(test);
    let (number, rest) = name.strip_prefix("fault_")?.split_at_checked(2)?;
    let number = number.parse().ok().filter(|n| (1..=FAULTS.len() as u32).contains(n))?;
    rest.starts_with('_').then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_names_its_row() {
        assert_eq!(of("a_exit::fault_07_exec_fails"), Some(7));
        assert_eq!(of("fault_57_replaced"), Some(57));
        for other in ["fault_58_none", "fault_00_none", "fault_5_short", "a_fault_05_inside", "default"] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(all().last().map(|row| row.number), Some(57));
    }
}
