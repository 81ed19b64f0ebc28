//! The probes of `creel sandbox test`: real attempts inside a real tool sandbox, and what must work there all the same.

#[cfg(target_os = "linux")]
mod deeds;
#[cfg(target_os = "linux")]
mod greed;
mod ground;

use std::io::Write as _;

use serde::{Deserialize, Serialize};

pub use ground::probe_tool;

/// First argument of a run that makes the probes inside a tool sandbox.
pub(crate) const PROBE_ARG: &str = "__probe";

/// What one probe came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// What it belongs to: `files`, `network`, `processes`, `kernel`, `privileges`, `limits` or `work`.
    pub group: String,
    /// The deed, such as `read a file outside the workspace`.
    pub deed: String,
    /// What has to stop it, or `-` for a deed that must work.
    pub wall: String,
    /// Whether it must be denied.
    pub must_be_denied: bool,
    /// Whether it was.
    pub denied: bool,
    /// The errno of the refusal, such as `EACCES`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
}

impl Probe {
    /// Whether it came out as it must.
    #[must_use]
    pub fn as_expected(&self) -> bool {
        self.denied == self.must_be_denied
    }
}

/// What the probes are aimed at. The second argument of the run, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Aim {
    /// A readable file outside every view.
    pub(crate) secret: String,
    /// The workspace, writable.
    pub(crate) workspace: String,
    /// A TCP port on the host's loopback where somebody listens.
    pub(crate) port: u16,
    /// A unix socket outside every view where somebody listens.
    pub(crate) socket: String,
    /// The prober's process id.
    pub(crate) prober: i32,
    /// Whether the unit has namespaces.
    pub(crate) namespaces: bool,
    /// Landlock's ABI.
    pub(crate) landlock: u32,
    /// Bytes of memory that one process may have.
    pub(crate) memory: u64,
    /// Processes.
    pub(crate) pids: u64,
    /// Bytes of one file.
    pub(crate) file: u64,
    /// Open files.
    pub(crate) files: u64,
    /// Bytes of `/tmp`.
    pub(crate) tmp: u64,
}

/// Makes the probes and returns the exit code.
pub(crate) fn run(aim: &str) -> i32 {
    let Ok(aim) = serde_json::from_str::<Aim>(aim) else { return 2 };
    #[cfg(target_os = "linux")]
    let all: Vec<Probe> = deeds::all(&aim).into_iter().chain(greed::all(&aim)).collect();
    #[cfg(not(target_os = "linux"))]
    let all: Vec<Probe> = {
        let _ = aim;
        Vec::new()
    };
    let Ok(text) = serde_json::to_string(&all) else { return 2 };
    i32::from(writeln!(std::io::stdout(), "{text}").is_err())
}

/// A deed that must be denied by `wall`.
#[cfg(target_os = "linux")]
fn forbidden(group: &str, deed: &str, wall: &str, outcome: std::io::Result<()>) -> Probe {
    probe(group, deed, wall, true, outcome)
}

/// A deed that must work.
#[cfg(target_os = "linux")]
fn allowed(deed: &str, outcome: std::io::Result<()>) -> Probe {
    probe("work", deed, "-", false, outcome)
}

#[cfg(target_os = "linux")]
fn probe(group: &str, deed: &str, wall: &str, must_be_denied: bool, outcome: std::io::Result<()>) -> Probe {
    let errno = outcome.as_ref().err().and_then(std::io::Error::raw_os_error);
    Probe {
        group: group.to_owned(),
        deed: deed.to_owned(),
        wall: wall.to_owned(),
        must_be_denied,
        denied: outcome.is_err(),
        errno: errno.map(|errno| format!("{:?}", nix::errno::Errno::from_raw(errno))),
    }
}
