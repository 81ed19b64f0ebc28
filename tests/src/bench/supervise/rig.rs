//! A supervisor under test with its children.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use creel_kit::process::{self, Process, Stat};
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};

use super::start;

/// A supervisor that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Floor,
    S6,
    Runit,
    Supervisord,
    CreelOff,
    CreelFull,
}

impl Kind {
    pub(super) const ALL: [Self; 6] =
        [Self::Floor, Self::S6, Self::Runit, Self::Supervisord, Self::CreelOff, Self::CreelFull];

    /// Its name in tables.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Floor => "tokio floor",
            Self::S6 => "s6",
            Self::Runit => "runit",
            Self::Supervisord => "supervisord",
            Self::CreelOff => "creel off",
            Self::CreelFull => "creel full",
        }
    }

    pub(super) fn is_creel(self) -> bool {
        matches!(self, Self::CreelOff | Self::CreelFull)
    }
}

/// One child: what it does is the beginning of its name.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) name: String,
    pub(super) logged: bool,
}

/// `count` children that do nothing.
pub(super) fn ticks(count: usize) -> Vec<Job> {
    (0..count).map(|n| Job { name: format!("tick-{n:03}"), logged: false }).collect()
}

/// What is to be run, and where.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) folder: PathBuf,
    pub(super) jobs: Vec<Job>,
}

impl Plan {
    /// The file that the newest lines of a child go to.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        match self.kind {
            Kind::Floor | Kind::Supervisord => self.folder.join(format!("logs/{name}.log")),
            Kind::S6 | Kind::Runit => self.folder.join(format!("logs/{name}/current")),
            Kind::CreelOff | Kind::CreelFull => self.folder.join(format!("home/logs/agent:{name}.log")),
        }
    }

    fn record(&self, name: &str, what: &str) -> PathBuf {
        if self.kind.is_creel() {
            self.folder.join(format!("home/state/blobs/agent:{name}/out/{name}.{what}"))
        } else {
            self.folder.join(format!("records/{name}.{what}"))
        }
    }
}

/// A supervisor that runs.
pub(super) struct Rig {
    pub(super) plan: Plan,
    pub(super) root: Process,
    child: Child,
    /// Nanoseconds of the shared clock at its start.
    pub(super) started: i64,
    _folder: tempfile::TempDir,
}

/// Nanoseconds of CLOCK_MONOTONIC, which is the same in every process.
pub(super) fn now() -> i64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| now.tv_sec() * 1_000_000_000 + now.tv_nsec())
}

/// Milliseconds between two readings of the clock.
pub(super) fn millis(from: i64, to: i64) -> f64 {
    (to - from) as f64 / 1e6
}

/// The short names of the child program: as itself, and as Creel's agent.
const CHILDREN: [&str; 2] = ["supervised", "creel-agent"];
/// Creel's own services: not the supervisor's side.
const SERVICES: [&str; 2] = ["creel-gateway", "creel-egress"];

impl Rig {
    pub(super) fn start(kind: Kind, jobs: Vec<Job>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("creel-sup-").tempdir_in("/tmp")?;
        let plan = Plan { kind, folder: folder.path().to_owned(), jobs };
        for name in ["records", "logs"] {
            std::fs::create_dir_all(plan.folder.join(name))?;
        }
        let mut command = start::command(kind, &plan)?;
        let started = now();
        let child =
            process::start(&mut command).with_context(|| format!("{} cannot be started", kind.key()))?;
        let root = Process::of(child.id()).context("the supervisor ended at once")?;
        Ok(Self { plan, root, child, started, _folder: folder })
    }

    pub(super) fn pid(&self) -> u32 {
        self.root.pid
    }

    /// What the supervisor printed.
    fn said(&self) -> String {
        std::fs::read_to_string(self.plan.folder.join("said")).unwrap_or_default()
    }

    /// Times at which a child did something.
    pub(super) fn times(&self, name: &str, what: &str) -> Vec<i64> {
        let text = std::fs::read_to_string(self.plan.record(name, what)).unwrap_or_default();
        text.lines().filter_map(|line| line.split(' ').next()?.parse().ok()).collect()
    }

    /// Waits until a child did something for the `count`th time; when that was.
    pub(super) fn wait(&self, name: &str, what: &str, count: usize, patience: Duration) -> Result<i64> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(at) = count.checked_sub(1).and_then(|n| self.times(name, what).get(n).copied()) {
                return Ok(at);
            }
            ensure!(
                Instant::now() < deadline,
                "{name}: no {what} {count} within {} s; the supervisor said: {}",
                patience.as_secs(),
                self.said()
            );
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// Waits until every child has started; when the last one did.
    pub(super) fn all_up(&self) -> Result<i64> {
        let mut last = 0;
        for job in &self.plan.jobs {
            last = last.max(self.wait(&job.name, "starts", 1, Duration::from_secs(60))?);
        }
        Ok(last)
    }

    /// The processes of the supervisor's side.
    pub(super) fn side(&self) -> Vec<Stat> {
        let mut all = process::tree(self.pid());
        all.retain(|stat| !is_one_of(stat, &CHILDREN) && !is_one_of(stat, &SERVICES));
        all
    }

    /// The running children by name, as this machine numbers them.
    pub(super) fn children(&self) -> BTreeMap<String, Process> {
        let of = |stat: Stat| {
            is_one_of(&stat, &CHILDREN).then(|| Some((self.name_of(stat.process.pid)?, stat.process)))?
        };
        process::tree(self.pid()).into_iter().filter_map(of).collect()
    }

    fn name_of(&self, pid: u32) -> Option<String> {
        let file = if self.plan.kind.is_creel() { "environ" } else { "cmdline" };
        let text = String::from_utf8(std::fs::read(format!("/proc/{pid}/{file}")).ok()?).ok()?;
        let mut words = text.split_terminator('\0');
        if self.plan.kind.is_creel() {
            words.find_map(|word| word.strip_prefix("CREEL_UNIT=agent:")).map(str::to_owned)
        } else {
            words.nth(2).map(str::to_owned)
        }
    }

    /// Sum over the supervisor's side of a line of `smaps_rollup` or `status`, in MiB.
    pub(super) fn memory_mib(&self, what: &str) -> f64 {
        let sum: u64 = self.side().iter().filter_map(|stat| process::memory(stat.process.pid, what)).sum();
        sum as f64 / f64::from(1 << 20)
    }

    /// Lets the highest resident memory be counted from now on.
    pub(super) fn forget_peaks(&self) -> Result<()> {
        for stat in self.side() {
            std::fs::write(format!("/proc/{}/clear_refs", stat.process.pid), "5")?;
        }
        Ok(())
    }

    /// Processor time of the supervisor's side so far, in nanoseconds.
    pub(super) fn cpu_ns(&self) -> u64 {
        self.side().iter().filter_map(|stat| process::cpu_ns(stat.process.pid)).sum()
    }

    /// Context switches of the supervisor's side so far.
    pub(super) fn switches(&self) -> u64 {
        self.side().iter().map(|stat| switches(stat.process.pid)).sum()
    }
}

fn is_one_of(stat: &Stat, names: &[&str]) -> bool {
    names.iter().any(|name| stat.name == name[..name.len().min(15)])
}

fn switches(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of = |path: PathBuf| {
        let text = std::fs::read_to_string(path.join("status")).unwrap_or_default();
        let lines = text.lines().filter(|line| line.contains("voluntary_ctxt_switches"));
        lines.filter_map(|line| line.rsplit('\t').next()?.parse::<u64>().ok()).sum::<u64>()
    };
    tasks.map(|task| of(task.path())).sum()
}

impl Drop for Rig {
    fn drop(&mut self) {
        let before = process::tree(self.pid());
        let _gone =
            self.root.signal(if self.plan.kind == Kind::Runit { Signal::SIGHUP } else { Signal::SIGTERM });
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline && !matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Some leave children, all of which are ours by number and start time.
        for stat in before {
            let _gone = stat.process.signal(Signal::SIGKILL);
        }
        let _reaped = self.child.wait();
    }
}
