//! The first process of a tool unit: passes signals on, reaps, ends as its child ends. With it ends the pid namespace, or,
//! where there is none, it ends every descendant itself.

use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::sys;
use crate::error::{At as _, LaunchError, Stage};

/// What the first process is responsible for.
pub(crate) enum Realm {
    /// Process 1 of a pid namespace: the kernel ends the rest.
    Namespace,
    /// A subreaper on the host: it ends the rest. It holds this as long as it lives.
    Subreaper(Option<OwnedFd>),
}

const PASSED_ON: [Signal; 6] =
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGCONT];

/// Before the child exists: signals are taken with `sigwait` and must be blocked, and nobody of the unit may look into the
/// first process, not even for the moment until it is ready. The child is dumpable again by its exec.
pub(crate) fn prepare() -> Result<SigSet, LaunchError> {
    let failed = || "The first process cannot be prepared";
    set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Stage::Session, failed)?;
    let mut set = SigSet::empty();
    set.add(Signal::SIGCHLD);
    set.add(Signal::SIGQUIT);
    for signal in PASSED_ON {
        set.add(signal);
    }
    set.thread_block().at(Stage::Session, failed)?;
    Ok(set)
}

/// Waits until `child` ends and then leaves with its exit code, or 128 + signal. Holds no capability, and no descriptor but what its realm does.
pub(crate) fn keep(child: Pid, signals: &SigSet, realm: &Realm, at_end: impl FnOnce()) -> ! {
    let held = match realm {
        Realm::Subreaper(Some(lock)) => u32::from(rustix::stdio::dup2_stdin(lock).is_ok()),
        _ => 0,
    };
    let _ = sys::close_from(held, false);
    let code = loop {
        match signals.wait() {
            Ok(Signal::SIGCHLD) => {
                if let Some(code) = reap(child) {
                    break code;
                }
            }
            // Asked to end everything at once (see `Launched::end`).
            Ok(Signal::SIGQUIT) => break 128 + Signal::SIGKILL as i32,
            Ok(signal) => match realm {
                Realm::Namespace => drop(kill(Pid::from_raw(-1), signal)),
                Realm::Subreaper(_) => drop(nix::sys::signal::killpg(child, signal)),
            },
            Err(_) => break 125,
        }
    };
    if matches!(realm, Realm::Subreaper(_)) {
        sweep();
    }
    at_end();
    sys::leave(code)
}

fn reap(child: Pid) -> Option<i32> {
    let mut ended = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => ended = Some(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => ended = Some(128 + signal as i32),
            Ok(WaitStatus::StillAlive) | Err(_) => return ended,
            Ok(_) => {}
        }
    }
}

/// Kills children until there are none; orphans of a killed child become ours and are met in the next round.
fn sweep() {
    let me = std::process::id();
    loop {
        let listed = std::fs::read_to_string(format!("/proc/{me}/task/{me}/children")).unwrap_or_default();
        for pid in listed.split_whitespace().filter_map(|p| p.parse().ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => return,
            Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_millis(1)),
            _ => {}
        }
    }
}
