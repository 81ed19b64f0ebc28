//! One unit's life, without IO: events and the monotonic clock in, actions out.

use std::time::Duration;

use creel_config::operation::Supervisor as Rules;
use creel_ipc::ExitCode;
use creel_ipc::msg::unit::{ExitCause, UnitState};

use super::At;
use super::backoff::Backoff;
use super::brake::Brake;
use super::table::{Step, Trigger, rule};

/// What a unit has from its launch to its `ready`.
pub const START_TIMEOUT: Duration = Duration::from_secs(30);
/// What a wedged unit has from SIGABRT to SIGKILL.
const ABORT_GRACE: Duration = Duration::from_secs(5);
/// When SIGKILL is sent again: the kernel needs a moment, and a launch may have been under way.
const KILL_AGAIN: Duration = Duration::from_secs(1);
/// SIGSYS, by which seccomp kills.
const SIGSYS: i32 = 31;

/// What happens to a unit.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Somebody wants it up.
    Start,
    /// Somebody wants it down. Wins over everything before it.
    Stop,
    /// Somebody wants it replaced; lifts a quarantine.
    Restart,
    /// Its configuration changed.
    Changed,
    /// The launcher handed the process over.
    Launched,
    /// The launcher could not; a sentence with stage and errno.
    LaunchFailed(String),
    /// It is up and takes work.
    Ready,
    /// It must be replaced.
    Fault {
        /// [`ExitCause::Watchdog`] or [`ExitCause::Protocol`].
        cause: ExitCause,
        /// A sentence.
        detail: String,
    },
    /// The process ended.
    Ended {
        /// Exit code.
        code: Option<i32>,
        /// Signal.
        signal: Option<i32>,
    },
    /// Time went on.
    Tick,
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
    /// SIGKILL.
    Kill,
    /// An incarnation ended (or never began).
    Ended(End),
}

/// How an incarnation ended.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// Why.
    pub cause: ExitCause,
    /// Exit code.
    pub code: Option<i32>,
    /// Signal.
    pub signal: Option<i32>,
    /// A sentence, where there is one.
    pub detail: Option<String>,
}

/// Whether a unit comes back by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Always, until somebody stops it.
    Permanent,
    /// Never.
    Temporary,
}

/// What shall be after the end that is awaited.
#[derive(Debug, Clone, PartialEq)]
enum Wish {
    /// Whatever the policy says; with the cause if the supervisor itself ended it.
    Policy(Option<(ExitCause, String)>),
    Down,
    Again,
}

/// One unit.
#[derive(Debug, Clone)]
pub struct Machine {
    policy: Policy,
    rules: Rules,
    backoff: Backoff,
    brake: Brake,
    dice: Dice,
    state: UnitState,
    wish: Wish,
    deadline: Option<At>,
    wait: Duration,
    launched_at: Option<At>,
    ready_at: Option<At>,
    incarnation: u64,
    restarts: u64,
}

impl Machine {
    /// A unit that is down. `seed` decides its jitter.
    pub fn new(policy: Policy, rules: Rules, seed: u64) -> Self {
        Self {
            policy,
            backoff: Backoff::new(rules.backoff.clone()),
            brake: Brake::new(rules.brake.clone()),
            rules,
            dice: Dice(seed),
            state: UnitState::Stopped,
            wish: Wish::Policy(None),
            deadline: None,
            wait: Duration::ZERO,
            launched_at: None,
            ready_at: None,
            incarnation: 0,
            restarts: 0,
        }
    }

    /// State.
    pub fn state(&self) -> UnitState {
        self.state
    }

    /// Number of the latest incarnation; 0 before the first.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Restarts that nobody asked for.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// When the latest incarnation was launched.
    pub fn launched_at(&self) -> Option<At> {
        self.launched_at
    }

    /// When [`Event::Tick`] is due.
    pub fn deadline(&self) -> Option<At> {
        self.deadline
    }

    /// Takes new rules over; what was counted stays.
    pub fn set_rules(&mut self, rules: Rules) {
        self.backoff.set_rules(rules.backoff.clone());
        self.brake.set_rules(rules.brake.clone());
        self.rules = rules;
    }

    /// Gives a unit that cannot get ready through no fault of its own its time again.
    pub fn postpone_start(&mut self, now: At) {
        if self.state == UnitState::Starting && self.deadline.is_some() {
            self.deadline = Some(now + START_TIMEOUT);
        }
    }

    /// Takes one event in.
    pub fn apply(&mut self, event: Event, now: At) -> Vec<Action> {
        let mut actions = Vec::new();
        let trigger = match event {
            Event::Start => {
                self.want(Wish::Again);
                Trigger::Start
            }
            Event::Restart => {
                self.want(Wish::Again);
                Trigger::Restart
            }
            Event::Stop => {
                self.want(Wish::Down);
                Trigger::Stop
            }
            Event::Changed => Trigger::Changed,
            Event::Launched => Trigger::Launched,
            Event::Ready => Trigger::Ready,
            Event::Fault { cause, detail } => {
                if matches!(self.state, UnitState::Starting | UnitState::Running) {
                    self.wish = Wish::Policy(Some((cause, detail)));
                }
                Trigger::Fault
            }
            Event::LaunchFailed(detail) => {
                let end =
                    End { cause: ExitCause::LaunchFailed, code: None, signal: None, detail: Some(detail) };
                match self.judge(end, now, &mut actions) {
                    Some(trigger) => trigger,
                    None => return actions,
                }
            }
            Event::Ended { code, signal } => {
                let end = self.end(code, signal);
                match self.judge(end, now, &mut actions) {
                    Some(trigger) => trigger,
                    None => return actions,
                }
            }
            Event::Tick => match self.due(now) {
                Some(trigger) => trigger,
                None => return actions,
            },
        };
        self.pull(trigger, now, &mut actions);
        actions
    }

    /// A wish only matters while there is something that can end; otherwise the table acts at once.
    fn want(&mut self, wish: Wish) {
        if matches!(self.state, UnitState::Starting | UnitState::Running | UnitState::Stopping) {
            self.wish = wish;
        }
    }

    fn due(&mut self, now: At) -> Option<Trigger> {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return None;
        }
        match self.state {
            UnitState::Starting => {
                let detail = format!("It was not ready within {} s.", START_TIMEOUT.as_secs());
                self.wish = Wish::Policy(Some((ExitCause::StartTimeout, detail)));
                Some(Trigger::StartTimeout)
            }
            UnitState::Stopping => Some(Trigger::Overdue),
            UnitState::Backoff => {
                self.restarts += 1;
                Some(Trigger::Due)
            }
            UnitState::Stopped | UnitState::Running | UnitState::Quarantined => None,
        }
    }

    /// Names the cause of an end.
    fn end(&self, code: Option<i32>, signal: Option<i32>) -> End {
        let (cause, detail) = match (&self.wish, self.state) {
            (Wish::Policy(Some((cause, detail))), _) => (*cause, Some(detail.clone())),
            (Wish::Down | Wish::Again, UnitState::Stopping) => (ExitCause::Stopped, None),
            _ => (plain_cause(code, signal), None),
        };
        End { cause, code, signal, detail }
    }

    /// What the policy makes of an end.
    fn judge(&mut self, mut end: End, now: At, actions: &mut Vec<Action>) -> Option<Trigger> {
        if !matches!(self.state, UnitState::Starting | UnitState::Running | UnitState::Stopping) {
            return None;
        }
        let wish = std::mem::replace(&mut self.wish, Wish::Policy(None));
        let since = |at: Option<At>| at.map_or(Duration::ZERO, |at| now.saturating_sub(at));
        let (ran, healthy) = (since(self.launched_at), since(self.ready_at));
        let stopping = self.state == UnitState::Stopping;
        let trigger = match wish {
            Wish::Down if stopping => Trigger::EndedDown,
            Wish::Again if stopping && end.cause != ExitCause::LaunchFailed => Trigger::EndedAgain,
            _ if self.policy == Policy::Temporary => Trigger::EndedDown,
            _ => match end.cause {
                ExitCause::Config => Trigger::EndedForGood,
                ExitCause::LaunchFailed => {
                    let dice = self.dice.roll();
                    self.wait = self.backoff.longest(dice);
                    Trigger::EndedBackoff
                }
                ExitCause::Clean | ExitCause::Stopped => self.wait_or_go(ran, healthy),
                ExitCause::Failed
                | ExitCause::Signal
                | ExitCause::StartTimeout
                | ExitCause::Watchdog
                | ExitCause::Protocol
                | ExitCause::Sandbox => match self.brake.crash(now) {
                    Some(reason) => {
                        end.detail = Some(match end.detail {
                            Some(detail) => format!("{detail} {reason}"),
                            None => reason,
                        });
                        Trigger::EndedForGood
                    }
                    None => self.wait_or_go(ran, healthy),
                },
            },
        };
        (self.launched_at, self.ready_at) = (None, None);
        actions.push(Action::Ended(end));
        Some(trigger)
    }

    fn wait_or_go(&mut self, ran: Duration, healthy: Duration) -> Trigger {
        let dice = self.dice.roll();
        self.wait = self.backoff.after_fall(ran, healthy, dice);
        if self.wait.is_zero() {
            self.restarts += 1;
            return Trigger::EndedAgain;
        }
        Trigger::EndedBackoff
    }

    fn pull(&mut self, trigger: Trigger, now: At, actions: &mut Vec<Action>) {
        let Some((next, steps)) = rule(self.state, trigger) else { return };
        if trigger == Trigger::Ready {
            self.ready_at = Some(now);
        }
        self.state = next;
        for step in steps {
            match step {
                Step::Launch => {
                    self.incarnation += 1;
                    self.launched_at = Some(now);
                    actions.push(Action::Launch(self.incarnation));
                }
                Step::Terminate => actions.push(Action::Terminate),
                Step::Abort => actions.push(Action::Abort),
                Step::Kill => actions.push(Action::Kill),
                Step::ArmStart => self.deadline = Some(now + START_TIMEOUT),
                Step::ArmStop => {
                    self.deadline = Some(now + Duration::from_secs(u64::from(self.rules.stop_seconds)));
                }
                Step::ArmAbort => self.deadline = Some(now + ABORT_GRACE),
                Step::ArmKill => self.deadline = Some(now + KILL_AGAIN),
                Step::ArmBackoff => self.deadline = Some(now + self.wait),
                Step::Disarm => self.deadline = None,
                Step::Forgive => {
                    self.backoff.forget();
                    self.brake.release();
                }
            }
        }
    }

    /// No more grace: SIGKILL at the next tick.
    pub fn hurry(&mut self, now: At) {
        if self.state == UnitState::Stopping {
            self.deadline = Some(now);
        }
    }
}

fn plain_cause(code: Option<i32>, signal: Option<i32>) -> ExitCause {
    match (code, signal) {
        (_, Some(SIGSYS)) => ExitCause::Sandbox,
        (_, Some(_)) => ExitCause::Signal,
        (Some(0), None) => ExitCause::Clean,
        (Some(code), None) if ExitCode::is_permanent(code) => ExitCause::Config,
        (Some(code), None) if code == i32::from(ExitCode::Protocol.code()) => ExitCause::Protocol,
        _ => ExitCause::Failed,
    }
}

/// Jitter needs spread, not secrecy: splitmix64.
#[derive(Debug, Clone)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
