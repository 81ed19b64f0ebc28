//! `supervisor`, `logging` and `egress`: how the home is run.

use creel_ipc::msg::egress::EgressBudget;

use crate::endpoint::{HostPattern, HostPort};
use crate::noun::{noun, within, within_if_given, word};
use crate::scalar::Bytes;

noun! {
    /// How units are kept running.
    pub struct Supervisor {
        /// How long to wait before a unit that fell is started again.
        "backoff" => backoff: Backoff = Backoff::default();
        /// When to stop trying.
        "brake" => brake: Brake = Brake::default();
        /// Which agent and channel workers come back by themselves. Gateway and egress always do.
        "restart" => restart: Restart = Restart::default();
        /// Seconds from SIGTERM to SIGKILL.
        "stopSeconds" => stop_seconds: u32 = 5, check within(1, 600);
        /// When a silent unit counts as hung.
        "watchdog" => watchdog: Watchdog = Watchdog::default();
        /// Memory of one agent or channel worker.
        "workerMemory" => worker_memory: Bytes = Bytes(1 << 30);
        /// Threads of one agent or channel worker.
        "workerTasks" => worker_tasks: u32 = 64, check within(4, 65_536);
        /// Processor time of one agent or channel worker in hundredths of one processor; without it there is no limit.
        /// Needs cgroup v2 with the controller cpu.
        "workerCpuPercent" => worker_cpu_percent: Option<u32> = None, check within_if_given(1, 100_000);
    }
}

word! {
    /// Which workers come back by themselves. What an operator stopped never does.
    pub enum Restart = Permanent {
        /// All that end.
        "permanent" => Permanent,
        /// Those that failed; one that ended with code 0 has finished.
        "transient" => Transient,
        /// None.
        "temporary" => Temporary,
    }
}

noun! {
    /// How long to wait before a unit that fell is started again. The first restart is immediate when the
    /// unit had run for a second.
    pub struct Backoff {
        /// The first wait in milliseconds.
        "initialMs" => initial_ms: u64 = 100, check within(0, 600_000);
        /// The longest wait in milliseconds.
        "maxMs" => max_ms: u64 = 30_000, check within(1, 3_600_000);
        /// By how much each wait is longer than the one before.
        "factor" => factor: f64 = 2.5, check within(1.0, 100.0);
        /// By which share each wait is made longer or shorter at random.
        "jitter" => jitter: f64 = 0.2, check within(0.0, 1.0);
        /// Seconds of running after which the waits start over.
        "resetSeconds" => reset_seconds: u32 = 60, check within(1, 86_400);
    }
}

noun! {
    /// When a unit is set aside instead of started again. The others run on.
    pub struct Brake {
        /// Crashes within `windowSeconds` that are too many.
        "crashes" => crashes: u32 = 5, check within(1, 10_000);
        /// The window in seconds.
        "windowSeconds" => window_seconds: u32 = 60, check within(1, 86_400);
        /// Crashes within an hour that are too many.
        "crashesPerHour" => crashes_per_hour: u32 = 30, check within(1, 100_000);
    }
}

noun! {
    /// When a silent unit counts as hung.
    pub struct Watchdog {
        /// Whether hung units are restarted.
        "enabled" => enabled: bool = true;
        /// Seconds without progress.
        "seconds" => seconds: u32 = 60, check within(5, 86_400);
    }
}

noun! {
    /// What is logged.
    pub struct Logging {
        /// The least severity.
        "level" => level: LogLevel = LogLevel::default();
        /// Bytes of one unit's log before it is turned over.
        "maxFileBytes" => max_file_bytes: Bytes = Bytes(10 << 20);
        /// Older logs that are kept for each unit.
        "maxFiles" => max_files: u32 = 5, check within(1, 1000);
        /// Whether the system's journal gets the lines too.
        "journal" => journal: SystemJournal = SystemJournal::default();
    }
}

word! {
    /// Whether the system's journal gets the lines too.
    pub enum SystemJournal = Auto {
        /// When Creel runs under systemd.
        "auto" => Auto,
        /// Never.
        "off" => Off,
    }
}

word! {
    /// The least severity that is logged.
    pub enum LogLevel = Info {
        /// Failures.
        "error" => Error,
        /// Failures and warnings.
        "warn" => Warn,
        /// What an operator wants to know.
        "info" => Info,
        /// What a developer wants to know.
        "debug" => Debug,
        /// Everything.
        "trace" => Trace,
    }
}

noun! {
    /// What may be reached beyond what providers and platforms need.
    pub struct Egress {
        /// Further hosts that every agent may reach: `example.org`, `example.org:8443`, or `*.example.org` for the names
        /// below it (and not itself). Without a port 443 is meant.
        "allow" => allow: Vec<HostPattern> = Vec::new();
        /// Exact hosts on this machine or in a private network that agents may reach. For tool runs it only lifts the
        /// ban of private addresses; they reach what `sandbox.allow` names.
        "allowPrivate" => allow_private: Vec<HostPort> = Vec::new();
        /// What the connections of one unit may use; all tool runs of an agent count as one unit.
        "budget" => budget: Budget = Budget::default();
    }
}

noun! {
    /// What the connections of one unit may use. Counted by egress while it runs; beyond it connections are refused.
    pub struct Budget {
        /// Connections that are open at the same time.
        "connections" => connections: u32 = 256, check within(1, 400);
        /// Connections that are opened within a minute.
        "connectionsPerMinute" => connections_per_minute: u32 = 3000, check within(1, 1_000_000);
        /// Bytes that it sends within a day, which begins with its first connection.
        "bytesUpPerDay" => bytes_up_per_day: Bytes = Bytes(16 << 30);
        /// Bytes that it receives within that day.
        "bytesDownPerDay" => bytes_down_per_day: Bytes = Bytes(64 << 30);
        /// Seconds after which a connection on which no byte moves is ended.
        "idleSeconds" => idle_seconds: u32 = 900, check within(5, 86_400);
        /// Seconds after which a connection is ended in any case; without it there is no such limit.
        "connectionSeconds" => connection_seconds: Option<u32> = None, check within_if_given(5, 2_678_400);
    }
}

impl Budget {
    /// The budget in the words of the wire.
    pub(crate) fn terms(&self) -> EgressBudget {
        EgressBudget {
            connections: Some(self.connections),
            connections_per_minute: Some(self.connections_per_minute),
            bytes_up_per_day: Some(self.bytes_up_per_day.0),
            bytes_down_per_day: Some(self.bytes_down_per_day.0),
            idle_seconds: Some(self.idle_seconds),
            connection_seconds: self.connection_seconds,
        }
    }
}
