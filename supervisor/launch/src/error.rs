//! Why a unit does not run.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

/// A launch that failed. The unit never ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{sentence} [launch stage: {stage}{}]", errno.map(|e| format!(", errno {e}")).unwrap_or_default())]
pub struct LaunchError {
    /// How far the launch came.
    pub stage: Stage,
    /// What the kernel said, where it said something.
    pub errno: Option<i32>,
    /// What went wrong, where, and what to do.
    pub sentence: String,
}

/// The steps of a launch, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The spec asks for something that cannot be.
    Spec,
    /// Starting the launcher stage.
    Spawn,
    /// Handing the policy over.
    Policy,
    /// Session, death signal.
    Session,
    /// The unit's cgroup.
    Cgroup,
    /// User, mount, pid, network and other namespaces.
    Namespaces,
    /// Loopback and listener.
    Network,
    /// A file or folder of the spec.
    View,
    /// The private root.
    Root,
    /// Resource limits.
    Limits,
    /// User ids, capabilities, `no_new_privs`.
    Credentials,
    /// The Landlock ruleset.
    Landlock,
    /// The seccomp program.
    Seccomp,
    /// Executing the program.
    Exec,
    /// The stage ended without a word.
    Lost,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spec => "spec",
            Self::Spawn => "spawn",
            Self::Policy => "policy",
            Self::Session => "session",
            Self::Cgroup => "cgroup",
            Self::Namespaces => "namespaces",
            Self::Network => "network",
            Self::View => "view",
            Self::Root => "root",
            Self::Limits => "limits",
            Self::Credentials => "credentials",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
            Self::Exec => "exec",
            Self::Lost => "lost",
        })
    }
}

impl LaunchError {
    pub(crate) fn new(stage: Stage, sentence: impl Into<String>) -> Self {
        Self { stage, errno: None, sentence: sentence.into() }
    }

    pub(crate) fn io(stage: Stage, error: &io::Error, sentence: impl fmt::Display) -> Self {
        Self { stage, errno: error.raw_os_error(), sentence: format!("{sentence}: {error}.") }
    }
}

/// Gives a failed system call its place in the launch.
pub(crate) trait At<T> {
    fn at<S: fmt::Display>(self, stage: Stage, sentence: impl FnOnce() -> S) -> Result<T, LaunchError>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at<S: fmt::Display>(self, stage: Stage, sentence: impl FnOnce() -> S) -> Result<T, LaunchError> {
        self.map_err(|e| LaunchError::io(stage, &e.into(), sentence()))
    }
}
