//! What the operating system wants: SIGTERM and SIGINT to stop, SIGHUP to read the configuration again.

use std::io;
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use tokio::io::AsyncReadExt;

/// The signals, each behind a socket that its handler writes a byte to.
#[derive(Debug)]
pub struct Signals {
    stop: tokio::net::UnixStream,
    reload: tokio::net::UnixStream,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// End, in order; the second time at once.
    Stop,
    /// Read the configuration again.
    Reload,
}

impl Signals {
    /// Installs the handlers. Must be called inside the runtime.
    ///
    /// # Errors
    /// What the system said.
    pub fn install() -> io::Result<Self> {
        Ok(Self { stop: behind(&[SIGTERM, SIGINT])?, reload: behind(&[SIGHUP])? })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Asked {
        let (mut one, mut many) = ([0; 1], [0; 64]);
        tokio::select! {
            // Each stop counts, reloads may be merged.
            _ = self.stop.read(&mut one) => Asked::Stop,
            _ = self.reload.read(&mut many) => Asked::Reload,
        }
    }
}

fn behind(signals: &[i32]) -> io::Result<tokio::net::UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    theirs.set_nonblocking(true)?;
    ours.set_nonblocking(true)?;
    for signal in signals {
        pipe::register(*signal, theirs.try_clone()?)?;
    }
    tokio::net::UnixStream::from_std(ours)
}
