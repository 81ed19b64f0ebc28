//! Everything that the supervisor knows, for the program that comes after it.

use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::path::PathBuf;

use creel_config::Env;
use creel_ipc::msg::control::UpgradeState;
use creel_ipc::msg::unit::{Isolation, LastExit};
use creel_ipc::peer::PeerState;
use creel_launch::Measured;
use serde::{Deserialize, Serialize};

use super::{Lent, UpgradeError};
use crate::control::ClientsState;
use crate::denials::RingState;
use crate::fdkeep::KeepState;
use crate::journal::JournalState;
use crate::logs::BookState;
use crate::logs::line::Cutter;
use crate::tool::RunState;
use crate::tool::runs::RunsState;
use crate::unit::At;
use crate::unit::machine::Machine;
use crate::unit::pace::Pace;

/// The format. Changes whenever an older program could misread what is written, or a newer one miss something.
pub const FORMAT: u32 = 1;

/// The state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Carried {
    /// See [`FORMAT`].
    pub format: u32,
    /// The process; nobody else may use the numbers in here.
    pub pid: u32,
    /// All lent descriptors.
    pub lent: Vec<RawFd>,
    /// When the old program stopped, on [`super::monotonic`].
    pub stopped: u64,
    /// When the supervisor started, on the same clock.
    pub started: u64,
    /// The event journal.
    pub journal: JournalState,
    /// Variables that the supervisor found out itself at its start.
    pub found: Env,
    /// The locks.
    pub locks: Vec<Lent>,
    /// The control socket and its clients.
    pub clients: ClientsState,
    /// The file that the gateway reads.
    pub config_file: PathBuf,
    /// The generation of the configuration.
    pub generation: u64,
    /// What was wrong with the latest one.
    pub config_error: Option<String>,
    /// The measured isolation.
    pub measured: Option<Measured>,
    /// How fast units may come back.
    pub pace: Pace,
    /// The units.
    pub members: BTreeMap<String, MemberState>,
    /// What outlives the gateway.
    pub keep: KeepState,
    /// The links to gateway and egress.
    pub peers: BTreeMap<String, LinkState>,
    /// The logs that are being read.
    pub taps: Vec<TapState>,
    /// Launches that were put off.
    pub put_off: Vec<(String, u64)>,
    /// Tool runs.
    pub runs: RunsState,
    /// What sandboxes denied.
    #[serde(default)]
    pub denials: RingState,
    /// Tool runs that have a process.
    pub going: Vec<GoingState>,
    /// The logs.
    pub book: BookState,
    /// The upgrade itself.
    pub upgrade: UpgradeState,
    /// Whether units are moved to their new programs afterwards.
    pub roll: bool,
}

/// One unit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MemberState {
    /// Its life.
    pub machine: Machine,
    /// Its process.
    pub process: Option<ProcessState>,
    /// How it is confined.
    pub isolation: Option<Isolation>,
    /// Its last end.
    pub last_exit: Option<LastExit>,
    /// Whether an operator stopped it.
    pub held: bool,
    /// The program that runs in it.
    pub program: Option<Program>,
}

/// A program file: another one has another identity, even at the same path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its device and inode.
    pub file: (u64, u64),
    /// Its size and the time of its last change.
    pub state: (u64, i64, i64),
}

/// A process that goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProcessState {
    /// Its number.
    pub pid: u32,
    /// Its identity.
    pub pidfd: Lent,
    /// Its listener, with the port.
    pub listener: Option<(Lent, u16)>,
    /// Its layers.
    #[serde(default)]
    pub layers: Vec<Lent>,
    /// The folder of its cgroup.
    pub group: Option<PathBuf>,
    /// How it was confined.
    pub isolation: creel_launch::Isolation,
    /// See [`creel_launch::Launched::inherit`].
    pub sweeps: bool,
}

/// A link to gateway or egress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinkState {
    /// Its socket.
    pub socket: Lent,
    /// Its state.
    pub peer: PeerState,
    /// Whether the process was taken in.
    pub welcomed: bool,
}

/// A log that is being read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TapState {
    /// The unit.
    pub unit: String,
    /// The incarnation.
    pub incarnation: u64,
    /// The pipe.
    pub pipe: Lent,
    /// The line that is not complete.
    pub cutter: Cutter,
    /// Whether the process has ended.
    pub ended: bool,
}

/// A tool run that goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GoingState {
    /// Its id.
    pub id: String,
    /// When it got its process.
    pub at: At,
    /// Its process.
    pub process: ProcessState,
    /// Its output and errors.
    pub pipes: [Lent; 2],
    /// Its input.
    #[serde(default)]
    pub input: Option<Lent>,
    /// Whether it was told to end.
    pub killed: bool,
    /// The rest.
    pub run: RunState,
}

impl Carried {
    /// Reads the state, if it is of this program's format.
    ///
    /// # Errors
    /// When it is not, or makes no sense.
    pub fn read(text: &[u8]) -> Result<Self, UpgradeError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let unreadable = |error: serde_json::Error| UpgradeError::Unreadable(error.to_string());
        let Head { format } = serde_json::from_slice(text).map_err(unreadable)?;
        if format != FORMAT {
            let version = env!("CARGO_PKG_VERSION");
            return Err(UpgradeError::Format { found: format, known: FORMAT, version });
        }
        serde_json::from_slice(text).map_err(unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_format_is_refused_by_name_before_anything_else_is_read() {
        let error = Carried::read(br#"{"format": 99, "nothing": "else fits"}"#).unwrap_err().to_string();
        assert!(error.contains("format 99") && error.contains("reads the format 1"), "{error}");
        let error = Carried::read(br#"{"format": 1}"#).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }
}
