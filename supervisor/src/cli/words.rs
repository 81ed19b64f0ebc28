//! How causes, states and events are told to a person.

use creel_ipc::msg::event::{Event, EventKind};
use creel_ipc::msg::unit::{ExitCause, LastExit, UnitState};

use super::table::duration;

/// The cause of an end, in a word or two.
pub(crate) fn cause(cause: ExitCause) -> &'static str {
    match cause {
        ExitCause::Clean => "ended",
        ExitCause::Failed => "failed",
        ExitCause::Signal => "killed",
        ExitCause::LaunchFailed => "launch failed",
        ExitCause::StartTimeout => "never ready",
        ExitCause::Watchdog => "hung",
        ExitCause::Protocol => "broke the protocol",
        ExitCause::Sandbox => "left its sandbox",
        ExitCause::Config => "configuration",
        ExitCause::Stopped => "stopped",
        ExitCause::Oom => "out of memory",
        ExitCause::Busy => "busy",
    }
}

/// The word for a state.
pub(crate) fn state(state: UnitState) -> &'static str {
    match state {
        UnitState::Running => "running",
        UnitState::Starting => "starting",
        UnitState::Stopping => "stopping",
        UnitState::Backoff => "backoff",
        UnitState::Quarantined => "quarantined",
        UnitState::Stopped => "stopped",
    }
}

/// The name of a signal; its number where it has none here.
pub(crate) fn signal(number: i32) -> String {
    let name = match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => return format!("signal {number}"),
    };
    name.to_owned()
}

/// A cause with its code or signal: `killed (SIGKILL)`, `failed (code 101)`.
pub(crate) fn ending(why: ExitCause, code: Option<i32>, number: Option<i32>, core: bool) -> String {
    let core = if core { ", core dumped" } else { "" };
    match (number, code) {
        (Some(number), _) => format!("{} ({}{core})", cause(why), signal(number)),
        (None, Some(code)) if code != 0 => format!("{} (code {code})", cause(why)),
        _ => cause(why).to_owned(),
    }
}

/// The last end of a unit.
pub(crate) fn last_exit(exit: &LastExit) -> String {
    ending(exit.cause, exit.code, exit.signal, exit.core)
}

/// What happened, in a few words.
pub(crate) fn event(event: &Event) -> String {
    let what = match event.kind {
        EventKind::SupervisorStarted => "Creel started".to_owned(),
        EventKind::SupervisorStopping => "Creel is stopping".to_owned(),
        EventKind::SupervisorStopped => "Creel stopped".to_owned(),
        EventKind::SupervisorUpgraded => "Creel was upgraded".to_owned(),
        EventKind::UpgradeRefused => "upgrade refused".to_owned(),
        EventKind::IsolationMeasured => "isolation measured".to_owned(),
        EventKind::LimitsNotEnforced => "limits not enforced".to_owned(),
        EventKind::ReloadApplied => "configuration applied".to_owned(),
        EventKind::ReloadRefused => "configuration refused".to_owned(),
        EventKind::Launched => "launched".to_owned(),
        EventKind::Ready => "ready".to_owned(),
        EventKind::Fault => format!("at fault: {}", event.cause.map_or("", cause)),
        EventKind::Ended => match event.cause {
            Some(why) => ending(why, event.code, event.signal, event.core),
            None => "ended".to_owned(),
        },
        EventKind::Backoff => {
            format!("waits, next attempt in {}", duration(event.next_attempt_ms.unwrap_or_default()))
        }
        EventKind::Quarantined => "set aside".to_owned(),
        EventKind::Stopped => "stopped".to_owned(),
        EventKind::OperatorStart => "start asked for".to_owned(),
        EventKind::OperatorStop => "stop asked for".to_owned(),
        EventKind::OperatorRestart => "restart asked for".to_owned(),
        EventKind::Escaped => "something escaped".to_owned(),
        EventKind::Planted => "dangerous files taken away".to_owned(),
        EventKind::LogDropped => "log lines over the budget".to_owned(),
        EventKind::DiskLost => "not written to the disk".to_owned(),
        EventKind::Prepared => match event.code {
            Some(0) => "sandbox prepared".to_owned(),
            _ => "sandbox could not be prepared".to_owned(),
        },
        EventKind::Elevated => "outside of the sandbox".to_owned(),
        EventKind::Denied => "denied".to_owned(),
        EventKind::Other => "something else".to_owned(),
    };
    let mut more = Vec::new();
    if let Some(count) = event.count {
        more.push(count.to_string());
    }
    if let Some(stage) = &event.stage {
        let errno = event.errno.map(|errno| format!(", errno {errno}")).unwrap_or_default();
        more.push(format!("stage {stage}{errno}"));
    }
    if let Some(uid) = event.uid {
        more.push(format!("by uid {uid}"));
    }
    match more.is_empty() {
        true => what,
        false => format!("{what} ({})", more.join(", ")),
    }
}
