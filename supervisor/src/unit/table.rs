//! What a unit does in which state: the whole policy as one table.

use creel_ipc::msg::unit::UnitState;

/// What can happen to a unit, after the policy has judged ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// Somebody wants it up.
    Start,
    /// Somebody wants it down.
    Stop,
    /// Somebody wants it replaced.
    Restart,
    /// Its configuration changed: what runs must be replaced, what an operator stopped stays down.
    Renew,
    /// Its configuration changed: what failed before may work now.
    Changed,
    /// The launcher handed the process over.
    Launched,
    /// It is up and takes work.
    Ready,
    /// It did not get ready in time.
    StartTimeout,
    /// It is wedged or breaks the protocol.
    Fault,
    /// Its wait is over.
    Due,
    /// It did not end in time.
    Overdue,
    /// It ended and shall stay down.
    EndedDown,
    /// It ended and shall come back at once.
    EndedAgain,
    /// It ended and shall come back after a wait.
    EndedBackoff,
    /// It ended and nothing but a human or a new configuration helps.
    EndedForGood,
}

impl Trigger {
    /// All of them, for tests.
    pub const ALL: [Self; 15] = [
        Self::Start,
        Self::Stop,
        Self::Restart,
        Self::Renew,
        Self::Changed,
        Self::Launched,
        Self::Ready,
        Self::StartTimeout,
        Self::Fault,
        Self::Due,
        Self::Overdue,
        Self::EndedDown,
        Self::EndedAgain,
        Self::EndedBackoff,
        Self::EndedForGood,
    ];
}

/// One step of what has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Begin a launch.
    Launch,
    /// Ask it to end.
    Terminate,
    /// Make it end with a trace of where it was.
    Abort,
    /// End it.
    Kill,
    /// The time to get ready begins.
    ArmStart,
    /// The time to end begins.
    ArmStop,
    /// The time to write its trace begins.
    ArmAbort,
    /// The time to be gone after SIGKILL begins.
    ArmKill,
    /// The wait begins.
    ArmBackoff,
    /// No time runs.
    Disarm,
    /// Forget earlier crashes and waits.
    Forgive,
}

/// The next state and the steps; `None` where the trigger means nothing in this state.
pub fn rule(state: UnitState, trigger: Trigger) -> Option<(UnitState, &'static [Step])> {
    use Step::*;
    use Trigger::*;
    use UnitState::*;
    Some(match (state, trigger) {
        (Stopped, Start | Restart) => (Starting, &[Forgive, Launch, ArmStart]),

        (Starting, Launched) => (Starting, &[ArmStart]),
        (Starting, Ready) => (Running, &[Disarm]),
        (Starting, StartTimeout) => (Stopping, &[Terminate, ArmStop]),
        (Starting | Running, Stop | Restart | Renew) => (Stopping, &[Terminate, ArmStop]),
        (Starting | Running, Fault) => (Stopping, &[Abort, ArmAbort]),

        // A launch that was under way when somebody changed their mind.
        (Stopping, Launched) => (Stopping, &[Terminate, ArmStop]),
        (Stopping, Overdue) => (Stopping, &[Kill, ArmKill]),
        // Only the wish changes; it is kept beside the table.
        (Stopping, Start | Stop | Restart | Renew) => (Stopping, &[]),

        (Starting | Running | Stopping, EndedDown) => (Stopped, &[Disarm]),
        (Starting | Running | Stopping, EndedAgain) => (Starting, &[Launch, ArmStart]),
        (Starting | Running | Stopping, EndedBackoff) => (Backoff, &[ArmBackoff]),
        (Starting | Running | Stopping, EndedForGood) => (Quarantined, &[Disarm]),

        (Backoff, Due) => (Starting, &[Launch, ArmStart]),
        (Backoff, Start | Restart | Renew | Changed) => (Starting, &[Forgive, Launch, ArmStart]),
        (Backoff, Stop) => (Stopped, &[Disarm]),

        (Quarantined, Start | Restart | Renew | Changed) => (Starting, &[Forgive, Launch, ArmStart]),
        (Quarantined, Stop) => (Stopped, &[Disarm]),

        (Stopped, _) | (Starting, _) | (Running, _) | (Stopping, _) | (Backoff, _) | (Quarantined, _) => {
            return None;
        }
    })
}
