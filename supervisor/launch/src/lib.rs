//! Creel's launcher: the one place where a process is confined and executed.
//!
//! [`Launching::begin`] starts a fresh run of the calling binary (`__exec`), which confines itself step by step and then
//! becomes the unit. The binary's `main` must call [`reenter`] before anything else.

mod error;
mod isolation;
mod launching;
#[cfg(target_os = "linux")]
mod linux;
mod note;
mod profile;
mod spec;
pub mod tool;

pub use error::{LaunchError, Stage};
pub use isolation::Isolation;
pub use launching::{Exit, Launched, Launching, Stdio};
pub use rustix::process::Signal;
pub use spec::{Access, Ids, LandlockExtras, LaunchSpec, Level, Limits, Net, Role, View};

/// First argument of a run that is the launcher stage.
pub const STAGE_ARG: &str = "__exec";

/// To be called first thing in `main`, before any thread or runtime: when this run of the binary is the launcher stage,
/// it does that work and does not return.
pub fn reenter() {
    if std::env::args_os().nth(1).is_some_and(|a| a == STAGE_ARG) {
        #[cfg(target_os = "linux")]
        linux::stage::run();
    }
}
