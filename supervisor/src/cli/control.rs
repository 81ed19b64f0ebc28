//! The supervisor's control socket, from the outside: one request after the other, no runtime needed.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use creel_config::Paths;
use creel_ipc::peer::{Arrival, Peer};
use creel_ipc::{Notify, Request};

use super::Context;
use super::error::CliError;

/// Time for the supervisor to answer anything but a following log.
const ANSWER: Duration = Duration::from_secs(30);

/// A connection to the supervisor.
#[derive(Debug)]
pub(crate) struct Control {
    stream: UnixStream,
    peer: Peer,
}

impl Control {
    /// Connects, or says that Creel is not running.
    pub(crate) fn connect(context: &Context) -> Result<Self, CliError> {
        let path = context.paths.control();
        let not_running = |error: std::io::Error| {
            let shown = path.display().to_string();
            let denied = error.kind() == ErrorKind::PermissionDenied;
            match (denied, context.paths == Paths::system()) {
                (true, true) => CliError::NoMember,
                (true, false) => CliError::Anothers { path: shown },
                (false, _) => CliError::NotRunning { path: shown, error },
            }
        };
        let stream = UnixStream::connect(&path).map_err(not_running)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        Ok(Self { stream, peer: Peer::new() })
    }

    /// Asks and waits for the answer.
    pub(crate) fn call<M: Request>(&mut self, params: &M::Params) -> Result<M::Result, CliError> {
        let params = serde_json::to_value(params).map_err(std::io::Error::from)?;
        let (wanted, line) = self.peer.request(M::METHOD, params).map_err(|error| broken(&error))?;
        self.stream.write_all(&line).map_err(|error| broken(&error))?;
        loop {
            for arrival in self.read()? {
                if let Arrival::Response { id, outcome } = arrival
                    && id == wanted
                {
                    let result = outcome.map_err(CliError::Supervisor)?;
                    return serde_json::from_value(result).map_err(|error| broken(&error));
                }
            }
        }
    }

    /// Hands on every notification of one kind until the supervisor closes the socket.
    pub(crate) fn follow<N: Notify>(
        &mut self,
        mut each: impl FnMut(N::Params) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        self.stream.set_read_timeout(None)?;
        loop {
            let arrivals = match self.read() {
                Err(CliError::Broken { .. }) => return Ok(()),
                other => other?,
            };
            for arrival in arrivals {
                if let Arrival::Notification { method, params } = arrival
                    && method == N::METHOD
                {
                    each(serde_json::from_value(params).map_err(|error| broken(&error))?)?;
                }
            }
        }
    }

    /// Waits until the supervisor closes the socket, which it does when it is gone.
    pub(crate) fn wait_for_end(&mut self, at_most: Duration) -> Result<bool, CliError> {
        self.stream.set_read_timeout(Some(at_most))?;
        let mut byte = [0; 512];
        loop {
            match self.stream.read(&mut byte) {
                Ok(0) => return Ok(true),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(true),
                Err(error) => return Err(broken(&error)),
            }
        }
    }

    fn read(&mut self) -> Result<Vec<Arrival>, CliError> {
        let mut buffer = [0; 16 * 1024];
        // A command that is stopped and goes on (Ctrl+Z, `fg`) is interrupted where it waits with a limit.
        let n = loop {
            match self.stream.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read.map_err(|error| broken(&error))?,
            }
        };
        if n == 0 {
            return Err(broken(&"it closed the connection"));
        }
        let mut arrivals = Vec::new();
        self.peer.push(&buffer[..n], |arrival| arrivals.push(arrival));
        Ok(arrivals)
    }
}

fn broken(error: &impl ToString) -> CliError {
    CliError::Broken { peer: "supervisor", error: error.to_string() }
}
