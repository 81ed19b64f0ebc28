//! What happens to a unit, and what has to be done.

use creel_ipc::ExitCode;
use creel_ipc::msg::unit::ExitCause;

/// SIGSYS, by which seccomp kills.
pub const SIGSYS: i32 = 31;

/// What happens to a unit.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Somebody wants it up.
    Start,
    /// Somebody wants it down. Wins over everything before it.
    Stop,
    /// Somebody wants it replaced; lifts a quarantine, and starts what was stopped.
    Restart,
    /// A new configuration or program wants it replaced; what is stopped stays so.
    Renew,
    /// What failed before may work now.
    Changed,
    /// The launcher handed the process over.
    Launched,
    /// The launcher could not.
    LaunchFailed(Failure),
    /// It is up and takes work.
    Ready,
    /// It must be replaced.
    Fault {
        /// [`ExitCause::Watchdog`] or [`ExitCause::Protocol`].
        cause: ExitCause,
        /// A sentence.
        detail: String,
    },
    /// The process ended, and with it everything of its own.
    Ended(Exit),
    /// Time went on.
    Tick,
}

/// A launch that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// How far it came.
    pub stage: String,
    /// What the kernel said.
    pub errno: Option<i32>,
    /// A sentence.
    pub detail: String,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exit {
    /// Exit code.
    pub code: Option<i32>,
    /// Signal.
    pub signal: Option<i32>,
    /// Whether there is a core dump.
    pub core: bool,
    /// Whether the kernel killed something of the unit for its memory.
    pub oom: bool,
}

impl Exit {
    /// The cause, if nobody of us ended it.
    pub fn cause(self) -> ExitCause {
        let is = |code: ExitCode| self.code == Some(i32::from(code.code()));
        match (self.code, self.signal) {
            _ if self.oom => ExitCause::Oom,
            (_, Some(SIGSYS)) => ExitCause::Sandbox,
            (_, Some(_)) => ExitCause::Signal,
            (Some(0), None) => ExitCause::Clean,
            (Some(code), None) if ExitCode::is_permanent(code) => ExitCause::Config,
            _ if is(ExitCode::Protocol) => ExitCause::Protocol,
            _ if is(ExitCode::Busy) => ExitCause::Busy,
            _ => ExitCause::Failed,
        }
    }
}

/// What has to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Launch the incarnation of this number.
    Launch(u64),
    /// SIGTERM.
    Terminate,
    /// SIGABRT.
    Abort,
    /// SIGKILL for all of it; a launch under way is given up.
    Kill,
    /// An incarnation ended (or never began).
    Ended(End),
}

/// How an incarnation ended.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// Why.
    pub cause: ExitCause,
    /// How its process ended, if there was one.
    pub exit: Exit,
    /// Of a launch that failed: how far it came.
    pub stage: Option<String>,
    /// Of a launch that failed: what the kernel said.
    pub errno: Option<i32>,
    /// A sentence, where there is one.
    pub detail: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_end_has_a_cause_of_its_own() {
        let code = |code| Exit { code: Some(code), ..Exit::default() }.cause();
        let signal = |signal| Exit { signal: Some(signal), ..Exit::default() }.cause();
        assert_eq!([code(0), code(1), code(101)], [ExitCause::Clean, ExitCause::Failed, ExitCause::Failed]);
        assert_eq!([code(64), code(78)], [ExitCause::Config, ExitCause::Config]);
        assert_eq!([code(75), code(76)], [ExitCause::Busy, ExitCause::Protocol]);
        assert_eq!([signal(9), signal(31)], [ExitCause::Signal, ExitCause::Sandbox]);
        let oom = Exit { signal: Some(9), oom: true, ..Exit::default() };
        assert_eq!(oom.cause(), ExitCause::Oom);
    }
}
