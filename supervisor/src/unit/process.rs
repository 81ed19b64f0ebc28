//! The process of a unit: its launch, its end and the signals to it. Identity is the pidfd, never the number.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use creel_launch::{Exit, LaunchError, LaunchSpec, Launched, Launching, Level, Signal, Stage, Stdio};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, kill_process_group};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A process that runs.
#[derive(Debug, Clone)]
pub struct Process(pub Rc<Launched>);

impl Process {
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

    /// SIGKILL to the first process of the unit, with which all of its own go.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Ends a tool run with everything it started: with its namespace or by its first process; without any isolation
    /// by its process group, which what leaves the group escapes.
    pub fn end(&self) {
        if self.0.isolation.level == Level::L0 {
            // Not reaped yet, so the number is still its own.
            let group = i32::try_from(self.0.pid).ok().and_then(Pid::from_raw);
            let _ended = group.map(|group| kill_process_group(group, Signal::KILL));
        }
        let _ended = self.0.end();
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// When somebody else reaped it.
    pub async fn ended(&self) -> io::Result<Exit> {
        let pidfd = watched(self.0.pidfd.try_clone()?)?;
        loop {
            if let Some(exit) = self.0.try_wait()? {
                return Ok(exit);
            }
            pidfd.readable().await?.clear_ready();
        }
    }
}

/// Begins a launch. Runs on the main thread, as everything here: the death signal follows the thread.
///
/// # Errors
/// When the stage cannot be started.
pub fn begin(spec: &LaunchSpec, stdio: Stdio) -> Result<Launching, LaunchError> {
    Launching::begin(spec, stdio)
}

/// Waits for the outcome of a launch.
///
/// # Errors
/// Stage and errno; nothing of the unit is left then.
pub async fn launched(mut launching: Launching) -> Result<Process, LaunchError> {
    let socket = launching.as_fd().try_clone_to_owned().and_then(watched);
    let socket = socket.map_err(|error| lost(&error))?;
    loop {
        if let Some(launched) = launching.poll()? {
            return Ok(Process(Rc::new(launched)));
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
