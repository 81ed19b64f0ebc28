//! The first act of every Creel worker: give up fork and exec, and die on a panic.
//!
//! The launcher cannot deny `execve` before the worker's own `execve`, so the worker does it itself, first thing
//! in `main`: `creel_seal::seal()?`. On systems without seccomp only the panic hook is installed, and
//! [`selftest`] says so.

mod hook;
#[cfg(target_os = "linux")]
mod program;
mod promise;
mod selftest;
#[cfg(target_os = "linux")]
mod walls;

use std::sync::Mutex;

pub use promise::{PROMISE, Promise};
pub use selftest::{Attempt, Outcome, Report, selftest, selftest_of_unit};

/// Why a worker could not be sealed. A worker that gets this must exit: it would run with more rights than
/// its unit was promised.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The filter could not be built for this processor.
    #[error(
        "The seccomp program that denies fork and exec could not be built for {arch}: {source}. Creel supports x86_64, aarch64 and riscv64."
    )]
    Build {
        /// The processor architecture of this build.
        arch: &'static str,
        /// What the compiler of the filter said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The kernel refused the filter.
    #[error(
        "The kernel refused the seccomp program that denies fork and exec: {source}. Check that the kernel has CONFIG_SECCOMP_FILTER, or write `mode: \"off\"` to run without a sandbox."
    )]
    Install {
        /// What the kernel answered.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

static SEALED: Mutex<bool> = Mutex::new(false);

/// Installs the panic hook, then a seccomp program for the whole process that denies `execve`, `execveat`, `fork`,
/// `vfork` and `clone` without `CLONE_THREAD` with `EPERM`; `clone3` says `ENOSYS`, so that libc falls back to `clone`
/// for its threads. Calling it again does nothing.
///
/// # Errors
/// [`SealError`] when the filter cannot be built or installed; nothing is half-applied that would grant a right.
pub fn seal() -> Result<(), SealError> {
    let mut sealed = SEALED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if *sealed {
        return Ok(());
    }
    hook::install();
    #[cfg(target_os = "linux")]
    program::install()?;
    *sealed = true;
    Ok(())
}
