//! What the operating system wants: SIGTERM and SIGINT to stop, SIGHUP to read the configuration again. What a
//! terminal sends to stop a job is not for a supervisor.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::RecvFlags;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU};
use signal_hook::low_level::pipe;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

/// The signals, each behind a socket that its handler writes a byte to.
#[derive(Debug)]
pub struct Signals {
    stop: tokio::net::UnixStream,
    reload: tokio::net::UnixStream,
    /// When a reload that was asked for is due.
    reload_at: Option<Instant>,
}

/// How long nobody must have asked for a reload: whoever writes the file may not be finished, and half a file, or one
/// that is empty for a moment, is another configuration.
const QUIET: Duration = Duration::from_millis(200);

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
        for signal in [SIGTSTP, SIGTTIN, SIGTTOU] {
            // A supervisor that a terminal stops would leave every unit without one. Taken and dropped, not ignored: a
            // program that is executed then has the default again.
            signal_hook::flag::register(signal, Arc::default())?;
        }
        Ok(Self { stop: behind(&[SIGTERM, SIGINT])?, reload: behind(&[SIGHUP])?, reload_at: None })
    }

    /// Whether a signal waits to be taken.
    pub fn is_quiet(&self) -> bool {
        let empty = |socket: &tokio::net::UnixStream| {
            let mut byte = [0; 1];
            matches!(
                rustix::net::recv(socket, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT),
                Err(rustix::io::Errno::WOULDBLOCK)
            )
        };
        self.reload_at.is_none() && empty(&self.stop) && empty(&self.reload)
    }

    /// Waits for what is asked next. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Asked {
        let (mut one, mut many) = ([0; 1], [0; 64]);
        loop {
            tokio::select! {
                // Each stop counts, reloads are merged.
                _ = self.stop.read(&mut one) => return Asked::Stop,
                _ = self.reload.read(&mut many) => self.reload_at = Some(Instant::now() + QUIET),
                () = due(self.reload_at) => {
                    self.reload_at = None;
                    return Asked::Reload;
                }
            }
        }
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
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
