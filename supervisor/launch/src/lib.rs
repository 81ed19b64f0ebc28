//! Creel's launcher: the one place where a process is confined and executed.
//!
//! [`Launching::begin`] starts a fresh run of the calling binary (`__exec`), which confines itself step by step and then
//! becomes the unit. The binary's `main` must call [`reenter`] before anything else.

mod clean;
mod error;
mod hatching;
mod isolation;
mod launching;
mod levels;
#[cfg(target_os = "linux")]
mod linux;
mod note;
mod outline;
mod probes;
mod profile;
pub mod quota;
mod seatbelt;
mod selftest;
mod spec;
pub mod tool;

pub use clean::Clean;
pub use error::{LaunchError, Stage};
pub use hatching::{close_nursery, open_nursery};
pub use isolation::Isolation;
pub use launching::{Exit, Launched, Launching, Stdio};
pub use levels::{Grouped, Measured, probe_levels, probe_levels_in};
#[cfg(target_os = "linux")]
pub use linux::succession;
pub use outline::{Calls, Outline, outline};
pub use probes::{Probe, probe_tool};
pub use profile::has_of_its_own;
pub use rustix::process::Signal;
pub use seatbelt::{SeatbeltLaunch, seatbelt_launch};
pub use spec::{Access, Ids, LandlockExtras, LaunchSpec, Layer, Level, Limits, Net, Role, View};

/// First argument of a run that is the launcher stage.
pub const STAGE_ARG: &str = "__exec";

/// First argument of a run that is the nursery.
pub const NURSERY_ARG: &str = "__nursery";

/// To be called first thing in `main`, before any thread or runtime. When this run of the binary is the launcher stage,
/// the nursery or the self-test inside a unit, it does that work and ends the process; else it returns at once.
pub fn reenter() {
    #[cfg(target_os = "linux")]
    {
        let mut args = std::env::args_os().skip(1);
        match args.next() {
            Some(arg) if arg == STAGE_ARG => linux::stage::run(false),
            Some(arg) if arg == NURSERY_ARG => linux::nursery::run(),
            Some(arg) if arg == selftest::SELFTEST_ARG => {
                let aim = args.next().unwrap_or_default();
                linux::sys::leave(selftest::run(&aim.to_string_lossy()));
            }
            Some(arg) if arg == probes::PROBE_ARG => {
                let aim = args.next().unwrap_or_default();
                linux::sys::leave(probes::run(&aim.to_string_lossy()));
            }
            _ => {}
        }
    }
}

/// Gives back memory that this process no longer needs: free memory of the allocator, and pages of program text that only its
/// start touched (those that it still uses come back by themselves). Takes half a millisecond.
pub fn shed_memory() {
    #[cfg(target_os = "linux")]
    linux::shed::shed();
}
