//! The process of a unit: its launch, its end and the signals to it. Identity is the pidfd, never the number.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use creel_launch::{Exit, LaunchError, LaunchSpec, Launched, Launching, Level, Role, Signal, Stage, Stdio};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::cgroup::{self, Group};
use crate::denials::Counted;
use crate::orphans;

/// A process that runs, and the cgroup of all that it starts; where there is none, the mark that all of them bear.
#[derive(Debug, Clone)]
pub struct Process(pub Rc<Launched>, Option<Rc<Group>>, Option<Rc<str>>);

impl Process {
    /// A process that the program before this one launched. `group`: the folder of its cgroup.
    ///
    /// # Errors
    /// When its cgroup cannot be opened.
    pub fn inherit(launched: Launched, group: Option<PathBuf>) -> io::Result<Self> {
        let group = group.map(Group::open).transpose()?.map(Rc::new);
        let mark = if group.is_none() { orphans::mark_of(launched.pid).map(Rc::from) } else { None };
        Ok(Self(Rc::new(launched), group, mark))
    }

    /// The folder of its cgroup.
    pub fn group_path(&self) -> Option<&Path> {
        self.1.as_ref().map(|group| group.path())
    }

    /// Whether the kernel killed something of it for its memory. Known once [`Process::ended`] is over.
    pub fn oom(&self) -> bool {
        self.1.as_ref().is_some_and(|group| group.oom())
    }

    /// What its cgroup counted; all zero without one.
    pub fn counted(&self) -> Counted {
        self.1.as_ref().map(|group| group.counted()).unwrap_or_default()
    }

    /// Sends a signal. A process that has ended meanwhile is no failure.
    pub fn signal(&self, signal: Signal) {
        let _ended = self.0.signal(signal);
    }

    /// SIGABRT, and SIGCONT so that a stopped process gets it.
    pub fn abort(&self) {
        self.signal(Signal::ABORT);
        self.signal(Signal::CONT);
    }

    /// SIGTERM, and SIGCONT so that a stopped process gets it.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
    }

    /// Ends the unit with everything it started: with its cgroup, else with its namespace or by its first process. What
    /// a unit that has none of these leaves behind is swept up when it has ended.
    pub fn kill(&self) {
        if let Some(group) = &self.1 {
            return group.kill();
        }
        let _ended = self.0.end();
    }

    /// Waits until it has ended, and everybody in its cgroup with it.
    ///
    /// # Errors
    /// When somebody else reaped it.
    pub async fn ended(&self) -> io::Result<Exit> {
        let pidfd = watched(self.0.pidfd.try_clone()?)?;
        loop {
            if self.0.has_ended()? {
                if let Some(group) = &self.1 {
                    group.emptied().await;
                } else if let Some(mark) = &self.2 {
                    orphans::sweep(mark, self.0.pid).await;
                }
                // Reaped last, with nothing to wait for between this and telling it: an upgrade must not lose it.
                return self.0.wait();
            }
            pidfd.readable().await?.clear_ready();
        }
    }
}

/// A launch under way, and the cgroup it happens in.
#[derive(Debug)]
pub struct Beginning {
    launching: Launching,
    group: Option<Group>,
    mark: Option<Rc<str>>,
    gaps: Vec<String>,
}

/// Begins a launch. Runs on the main thread, as everything here: the death signal follows the thread.
///
/// # Errors
/// When the cgroup cannot be made or the stage cannot be started.
pub fn begin(spec: &LaunchSpec, stdio: Stdio, incarnation: u64) -> Result<Beginning, LaunchError> {
    let Ok(groups) = cgroup::here() else {
        if spec.level >= Level::L2 {
            // The pid namespace ends everybody with the first process.
            let launching = Launching::begin(spec, stdio)?;
            return Ok(Beginning { launching, group: None, mark: None, gaps: Vec::new() });
        }
        let mark: Rc<str> = format!("{}.{incarnation}", spec.unit).into();
        let mut spec = spec.clone();
        spec.env.insert(orphans::MARK.to_owned(), mark.to_string());
        let launching = Launching::begin(&spec, stdio)?;
        return Ok(Beginning { launching, group: None, mark: Some(mark), gaps: Vec::new() });
    };
    let limits = cgroup::Limits {
        memory: spec.limits.data,
        // The first process of a tool, and room for the moment between two of its processes.
        tasks: spec.limits.nproc.map(|tasks| tasks + 2),
        cpu_percent: spec.limits.cpu_percent,
        cpu_weight: Some(weight(spec.role)),
    };
    let group = groups.make(&spec.unit, incarnation, &limits).map_err(|error| LaunchError {
        stage: Stage::Cgroup,
        errno: error.raw_os_error(),
        sentence: format!("No cgroup with its limits can be made for the unit: {error}."),
    })?;
    let mut spec = spec.clone();
    if groups.controllers().memory {
        // Memory that is used counts now, for all processes together; what is only reserved may be more.
        spec.limits.data = spec.limits.data.map(|bytes| bytes.saturating_mul(4));
    }
    let launching = Launching::begin_in(&spec, stdio, Some(group.as_fd()))?;
    Ok(Beginning { launching, group: Some(group), mark: None, gaps: groups.controllers().gaps() })
}

/// Who goes on when processors are scarce: those who serve everybody, then those who talk, then commands.
fn weight(role: Role) -> u32 {
    match role {
        Role::Gateway | Role::Egress => 200,
        Role::Agent | Role::Channel | Role::HeavyChannel | Role::Plugin | Role::Helper => 100,
        Role::Tool => 50,
    }
}

/// Waits for the outcome of a launch.
///
/// # Errors
/// Stage and errno; nothing of the unit is left then.
pub async fn launched(beginning: Beginning) -> Result<Process, LaunchError> {
    let Beginning { mut launching, group, mark, gaps } = beginning;
    let socket = launching.as_fd().try_clone_to_owned().and_then(watched);
    let socket = socket.map_err(|error| lost(&error))?;
    loop {
        if let Some(mut launched) = launching.poll()? {
            launched.isolation.gaps.extend(gaps);
            return Ok(Process(Rc::new(launched), group.map(Rc::new), mark));
        }
        socket.readable().await.map_err(|error| lost(&error))?.clear_ready();
    }
}

#[expect(
    deprecated,
    reason = "its replacement is unsafe for descriptors that can be swapped; an OwnedFd of ours is not"
)]
fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}

/// What a unit gets as fd 0 and 1, and the other end.
///
/// # Errors
/// When no socket can be made.
pub fn link_pair() -> Result<(OwnedFd, OwnedFd), LaunchError> {
    socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(|error| spawn_error(&error.into(), "No socket pair can be made for the unit's link"))
}

/// A launch that failed before the launcher.
pub fn spawn_error(error: &io::Error, sentence: &str) -> LaunchError {
    LaunchError {
        stage: Stage::Spawn,
        errno: error.raw_os_error(),
        sentence: format!("{sentence}: {error}."),
    }
}

fn lost(error: &io::Error) -> LaunchError {
    LaunchError {
        stage: Stage::Lost,
        errno: error.raw_os_error(),
        sentence: format!("The launcher stage cannot be watched: {error}."),
    }
}
