//! The supervisor's side of the nursery, and the stage as a process, however it came to be.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio as ChildStdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};

use crate::error::{At as _, LaunchError, Stage};
use crate::launching::Stdio;
use crate::note::{self, Hatch, Hatched};
#[cfg(target_os = "linux")]
use crate::spec::LaunchSpec;
use crate::{NURSERY_ARG, STAGE_ARG};

/// A nursery only forks; one that takes this long is stuck.
const PATIENCE: Duration = Duration::from_secs(5);

struct Nursery {
    socket: OwnedFd,
    child: Child,
}

enum Nurseries {
    /// Each launch executes a stage of its own.
    Unwanted,
    Wanted(Option<Nursery>),
}

static NURSERY: Mutex<Nurseries> = Mutex::new(Nurseries::Unwanted);

/// From now on stages are forked by a nursery: for a supervisor with many launches. Call it on the thread whose end shall end
/// the units; the nursery ends with that thread, or with [`close_nursery`]. A nursery that died is replaced.
///
/// # Errors
/// When the nursery cannot be started.
pub fn open_nursery() -> Result<(), LaunchError> {
    let nursery = Nursery::start()?;
    *NURSERY.lock().unwrap_or_else(PoisonError::into_inner) = Nurseries::Wanted(Some(nursery));
    Ok(())
}

/// Ends the nursery, if there is one, and reaps it. Launches go on without.
pub fn close_nursery() {
    *NURSERY.lock().unwrap_or_else(PoisonError::into_inner) = Nurseries::Unwanted;
}

impl Nursery {
    fn start() -> Result<Self, LaunchError> {
        let (socket, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .at(Stage::Spawn, || "No socket to the nursery can be made")?;
        for side in [Timeout::Recv, Timeout::Send] {
            set_socket_timeout(&socket, side, Some(PATIENCE))
                .at(Stage::Spawn, || "The socket to the nursery cannot be set up")?;
        }
        let mut command = rerun(NURSERY_ARG);
        let child = command.stdin(theirs).stdout(ChildStdio::null()).spawn();
        Ok(Self { socket, child: child.at(Stage::Spawn, || "The nursery cannot be started")? })
    }

    /// `Ok(None)`: it is gone, and took nothing.
    fn hatch(
        &self,
        link: &OwnedFd,
        stdio: &Stdio,
        cgroup: Option<BorrowedFd<'_>>,
    ) -> Result<Option<StageProcess>, LaunchError> {
        let fds = [link.as_fd(), stdio.stdout.as_fd(), stdio.stderr.as_fd()];
        let fds: Vec<_> = fds.into_iter().chain(cgroup).collect();
        if note::send(&self.socket, &Hatch {}, &fds).is_err() {
            return Ok(None);
        }
        let answer = loop {
            match note::receive::<Hatched>(&self.socket, true) {
                Err(rustix::io::Errno::INTR) => {}
                answer => break answer,
            }
        };
        let lost = || LaunchError::new(Stage::Spawn, "The nursery ended in the middle of a launch.");
        match answer.at(Stage::Spawn, || "The nursery does not answer")?.ok_or_else(lost)? {
            (Hatched::Stage(pid), mut fds) => {
                let pidfd = fds.pop().ok_or_else(lost)?;
                Ok(Some(StageProcess::Hatched { pid, pidfd }))
            }
            (Hatched::Refused(errno), _) => Err(LaunchError::io(
                Stage::Spawn,
                &io::Error::from_raw_os_error(errno),
                "The launcher stage cannot be forked",
            )),
        }
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Starts a stage: forked where there is a nursery, in the `cgroup` if one is given; else executed, and then it goes there
/// itself.
pub(crate) fn stage(
    link: OwnedFd,
    stdio: Stdio,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<StageProcess, LaunchError> {
    if let Nurseries::Wanted(nursery) = &mut *NURSERY.lock().unwrap_or_else(PoisonError::into_inner) {
        let first = match nursery {
            Some(nursery) => nursery.hatch(&link, &stdio, cgroup),
            None => Ok(None),
        };
        match first {
            Ok(Some(stage)) => return Ok(stage),
            // Nothing was handed over, so another one may have it.
            Ok(None) => {
                *nursery = None;
                let next = nursery.insert(Nursery::start()?);
                if let Some(stage) = next.hatch(&link, &stdio, cgroup)? {
                    return Ok(stage);
                }
            }
            Err(error) => {
                *nursery = None;
                return Err(error);
            }
        }
    }
    let stage = rerun(STAGE_ARG).stdin(link).stdout(stdio.stdout).stderr(stdio.stderr).spawn();
    stage.map(StageProcess::Spawned).at(Stage::Spawn, || "The launcher stage cannot be started")
}

/// Whether a stage may run in the memory of this very process: it has no other thread, whose locks the stage would find taken.
#[cfg(target_os = "linux")]
pub(crate) fn is_alone() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}

/// Runs a stage in the memory of this very process, which [`is_alone`], and returns when it has ended. Neither a program is
/// executed nor memory copied for it.
#[cfg(target_os = "linux")]
pub(crate) fn beside(
    link: &OwnedFd,
    stdio: &Stdio,
    spec: &LaunchSpec,
    cgroup: Option<BorrowedFd<'_>>,
) -> Result<StageProcess, LaunchError> {
    let stage = crate::linux::stage::run_beside(spec, link, stdio, cgroup);
    let pid = stage.at(Stage::Spawn, || "The launcher stage cannot be given a process")?.as_raw();
    // It has ended and is not reaped: the number is still its own.
    let pidfd = Pid::from_raw(pid)
        .ok_or(rustix::io::Errno::SRCH)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
    Ok(StageProcess::Hatched { pid, pidfd: pidfd.at(Stage::Spawn, || "The launcher stage has no pidfd")? })
}

/// This very binary with another first argument. No `pre_exec`, no uid, no groups: std then uses `posix_spawn`, which runs no
/// code of ours after a fork.
fn rerun(arg: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("creel").arg(arg).env_clear();
    command
}

/// The launcher stage as our child.
#[derive(Debug)]
pub(crate) enum StageProcess {
    Spawned(Child),
    Hatched { pid: i32, pidfd: OwnedFd },
}

impl StageProcess {
    pub(crate) fn pid(&self) -> i32 {
        match self {
            Self::Spawned(child) => i32::try_from(child.id()).unwrap_or(0),
            Self::Hatched { pid, .. } => *pid,
        }
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        let _ended = match self {
            Self::Spawned(child) if signal == Signal::KILL => child.kill(),
            Self::Spawned(child) => {
                i32::try_from(child.id()).ok().and_then(Pid::from_raw).map_or(Ok(()), |pid| {
                    // Ours and not reaped: the number is still its own.
                    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
                    Ok(pidfd_send_signal(pidfd, signal)?)
                })
            }
            Self::Hatched { pidfd, .. } => pidfd_send_signal(pidfd, signal).map_err(Into::into),
        };
    }

    /// Waits for its end and says in words how it ended.
    pub(crate) fn reap(self) -> String {
        let status = match self {
            Self::Spawned(mut child) => child.wait(),
            Self::Hatched { pidfd, .. } => reap(&pidfd),
        };
        status.map_or_else(|error| error.to_string(), |status| status.to_string())
    }

    /// The stage has become the unit.
    pub(crate) fn into_unit(self) -> io::Result<(i32, OwnedFd)> {
        match self {
            Self::Hatched { pid, pidfd } => Ok((pid, pidfd)),
            Self::Spawned(_) => {
                let pid = self.pid();
                let open = Pid::from_raw(pid).ok_or(rustix::io::Errno::SRCH);
                Ok((pid, open.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))?))
            }
        }
    }
}

fn reap(pidfd: &OwnedFd) -> io::Result<ExitStatus> {
    use std::os::unix::process::ExitStatusExt as _;
    let status = loop {
        match waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?.ok_or(io::ErrorKind::NotFound)?,
        }
    };
    let raw = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code << 8,
        (None, signal) => signal.unwrap_or(0),
    };
    Ok(ExitStatus::from_raw(raw))
}
