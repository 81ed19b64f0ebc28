//! Creel as a service of the machine: the texts that service managers read, and the steps that put them in place.
//!
//! Texts and steps are made without touching the machine and the same on every platform, so that those for macOS are
//! tested where macOS is not.

pub mod credentials;
pub mod launchd;
pub mod perform;
pub mod plan;
pub mod query;
pub mod systemd;

use std::path::PathBuf;

/// Whose service it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// One user's own; it runs while that user is logged in, or lingers.
    User,
    /// The machine's; it runs as the system user `creel`.
    System,
}

/// Who starts services here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Manager {
    /// Linux.
    Systemd,
    /// macOS.
    Launchd,
}

/// The unit's name, and the system user's and group's.
pub const NAME: &str = "creel";

/// Why something about the service cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Only root may do it.
    #[error(
        "The service of the whole machine is root's to change: run this with sudo, or add --user for a service of your own."
    )]
    NotRoot,
    /// A user's service for root makes a second, needless instance.
    #[error(
        "A user's service is installed by that user: run this without sudo, or add --system for the whole machine."
    )]
    RootsOwn,
    /// This machine is not run by a service manager that Creel knows.
    #[error(
        "{missing} was not found, so there is no service manager to give Creel to. Run `creel up` by other means, such as a terminal or the container's entry point."
    )]
    NoManager {
        /// The program that was looked for.
        missing: &'static str,
    },
    /// The binary lies where the service may not look.
    #[error(
        "The service cannot reach {program}: it runs without access to home folders. Install Creel in /usr/local/bin (with its workers in /usr/local/libexec/creel), then run this again with that binary."
    )]
    Unreachable {
        /// The running binary.
        program: PathBuf,
    },
    /// There is no service to work with.
    #[error(
        "Creel is not installed as a service here: {path} does not exist. `creel service install` makes it one."
    )]
    NotInstalled {
        /// The file that was looked for.
        path: PathBuf,
    },
    /// The user's home is not known.
    #[error("The home folder of this user is not known; set HOME.")]
    NoHome,
    /// A file of the service cannot be written or removed.
    #[error("{path} cannot be {done}: {error}.")]
    File {
        /// The file.
        path: PathBuf,
        /// `written` or `removed`.
        done: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
    /// A program that the service manager brings cannot be started.
    #[error("`{command}` cannot be started: {error}.")]
    Command {
        /// The whole command.
        command: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A program that the service manager brings says no.
    #[error("`{command}` failed ({status}): {said}")]
    Failed {
        /// The whole command.
        command: String,
        /// Its exit status.
        status: String,
        /// What it printed.
        said: String,
    },
}
