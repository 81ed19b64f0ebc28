//! What an end means for a unit's future: policy × cause.

use creel_config::operation::Restart;
use creel_ipc::msg::unit::ExitCause;

/// Whether a unit comes back by itself. What an operator stopped never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Policy {
    /// Always.
    Permanent,
    /// After every end but a clean one.
    Transient,
    /// Never.
    Temporary,
}

impl Policy {
    /// All of them, for tests.
    pub const ALL: [Self; 3] = [Self::Permanent, Self::Transient, Self::Temporary];
}

impl From<Restart> for Policy {
    fn from(restart: Restart) -> Self {
        match restart {
            Restart::Permanent => Self::Permanent,
            Restart::Transient => Self::Transient,
            Restart::Temporary => Self::Temporary,
        }
    }
}

/// What an end comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has finished.
    Down,
    /// It comes back by the rules of the backoff.
    Back,
    /// It comes back after the longest wait: a moment will not mend it.
    Late,
    /// As [`Verdict::Back`], and counted: too many of them set it aside.
    Crash,
    /// As [`Verdict::Crash`], and the second one sets it aside.
    Violation,
    /// Nothing but a human or a new configuration helps.
    Aside,
}

/// Judges an end that nobody asked for. `passing`: what made a launch fail is a shortage, which passes.
pub fn verdict(policy: Policy, cause: ExitCause, passing: bool) -> Verdict {
    use ExitCause::*;
    match (policy, cause) {
        (Policy::Temporary, _) | (Policy::Transient, Clean) => Verdict::Down,
        (Policy::Permanent, Clean) | (_, Stopped) => Verdict::Back,
        (_, Config) => Verdict::Aside,
        (_, LaunchFailed) if passing => Verdict::Back,
        (_, LaunchFailed | Busy) => Verdict::Late,
        (_, Sandbox) => Verdict::Violation,
        (_, Failed | Signal | StartTimeout | Watchdog | Protocol | Oom) => Verdict::Crash,
    }
}

/// Whether a launch failed for want of something that others may give back at any time: processes, memory,
/// descriptors.
pub fn passes(errno: Option<i32>) -> bool {
    use rustix::io::Errno;
    let shortages = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::NOBUFS];
    shortages.iter().any(|shortage| errno == Some(shortage.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transient_comes_back_from_all_but_a_clean_end_and_temporary_from_none() {
        use ExitCause::*;
        for cause in [Failed, Signal, StartTimeout, Watchdog, Protocol, Oom, Sandbox, LaunchFailed, Busy] {
            let of = |policy| verdict(policy, cause, false);
            assert_eq!(of(Policy::Permanent), of(Policy::Transient), "{cause:?}");
            assert_ne!(of(Policy::Transient), Verdict::Down, "{cause:?}");
            assert_eq!(of(Policy::Temporary), Verdict::Down, "{cause:?}");
        }
        assert_eq!(verdict(Policy::Permanent, Clean, false), Verdict::Back);
        assert_eq!(verdict(Policy::Transient, Clean, false), Verdict::Down);
        assert_eq!(verdict(Policy::Transient, Config, false), Verdict::Aside);
    }

    #[test]
    fn a_shortage_is_waited_out_and_a_missing_program_waited_for() {
        let launch = |errno| verdict(Policy::Permanent, ExitCause::LaunchFailed, passes(Some(errno)));
        assert_eq!(launch(11), Verdict::Back);
        assert_eq!(launch(24), Verdict::Back);
        assert_eq!(launch(2), Verdict::Late);
        assert!(!passes(None));
    }
}
