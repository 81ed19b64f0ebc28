//! What a run reads from and prints to: pipes, or a terminal of its own.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use creel_launch::{LaunchError, Stdio};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe::Receiver;

use crate::logs::reader::{self, Source};
use crate::unit::process::spawn_error;

/// Where a command's input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// There is none.
    #[default]
    None,
    /// From a pipe.
    Pipe,
    /// From a terminal, to which output and errors go, too.
    Terminal,
}

/// Our ends.
#[derive(Debug)]
pub struct Ends {
    /// Output.
    pub out: OwnedFd,
    /// Errors. At its end from the beginning where they go to a terminal.
    pub err: OwnedFd,
    /// Input that does not block, if there is any.
    pub input: Option<OwnedFd>,
}

/// Makes both sides: the command's and ours.
///
/// # Errors
/// When the system has no descriptors or terminals left.
pub fn open(input: Input) -> Result<(Stdio, Ends), LaunchError> {
    let failed = |error: io::Error| spawn_error(&error, "The command's input and output cannot be made");
    match input {
        Input::None => piped(None),
        Input::Pipe => io::pipe().and_then(|(theirs, ours)| {
            rustix::io::ioctl_fionbio(&ours, true)?;
            piped(Some((theirs.into(), ours.into())))
        }),
        Input::Terminal => terminal(),
    }
    .map_err(failed)
}

fn piped(input: Option<(OwnedFd, OwnedFd)>) -> io::Result<(Stdio, Ends)> {
    let ((out, stdout), (err, stderr)) = (io::pipe()?, io::pipe()?);
    let (stdin, input) = match input {
        Some((theirs, ours)) => (theirs, Some(ours)),
        None => (std::fs::File::open("/dev/null")?.into(), None),
    };
    let stdio = Stdio { stdin, stdout: stdout.into(), stderr: stderr.into() };
    Ok((stdio, Ends { out: out.into(), err: err.into(), input }))
}

fn terminal() -> io::Result<(Stdio, Ends)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let path = ptsname(&ours, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    let stdio = Stdio { stdin: theirs.try_clone()?, stdout: theirs.try_clone()?, stderr: theirs };
    // Nobody writes into this one.
    let (err, _closed) = io::pipe()?;
    let input = Some(ours.try_clone()?);
    Ok((stdio, Ends { out: ours, err: err.into(), input }))
}

/// Writes what fits now; the number of bytes.
///
/// # Errors
/// When nobody will read it.
pub fn write(input: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
    match rustix::io::write(input, bytes) {
        Err(Errno::AGAIN) => Ok(0),
        other => Ok(other?),
    }
}

/// Our end of output that is watched.
#[derive(Debug)]
pub enum Output {
    /// A pipe.
    Pipe(Receiver),
    /// A terminal.
    Terminal(AsyncFd<OwnedFd>),
}

impl Output {
    /// Watches one.
    ///
    /// # Errors
    /// What the system said.
    pub fn watch(fd: OwnedFd) -> io::Result<Self> {
        if rustix::termios::isatty(&fd) {
            return watched(fd).map(Self::Terminal);
        }
        reader::receiver(fd).map(Self::Pipe)
    }
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Pipe(pipe) => pipe.as_fd(),
            Self::Terminal(terminal) => terminal.get_ref().as_fd(),
        }
    }
}

impl Source for Output {
    async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Pipe(pipe) => pipe.readable().await,
            Self::Terminal(terminal) => terminal.readable().await.map(drop),
        }
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Pipe(pipe) => pipe.try_read(buffer),
            Self::Terminal(terminal) => {
                match terminal.try_io(Interest::READABLE, |fd| Ok(rustix::io::read(fd, buffer)?)) {
                    // Its other side has no user any more.
                    Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => Ok(0),
                    other => other,
                }
            }
        }
    }
}

#[expect(
    deprecated,
    reason = "its replacement is unsafe for descriptors that can be swapped; an OwnedFd of ours is not"
)]
fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}
