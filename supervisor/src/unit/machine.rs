//! One unit's life, without IO: events and the monotonic clock in, actions out.

use std::collections::BTreeMap;
use std::time::Duration;

use creel_config::operation::Supervisor as Rules;
use creel_ipc::msg::unit::{ExitCause, UnitState};
use serde::{Deserialize, Serialize};

use super::At;
use super::backoff::Backoff;
use super::brake::Brake;
use super::dice::Dice;
pub use super::event::{Action, End, Event, Exit, Failure};
pub use super::policy::Policy;
use super::policy::{Verdict, passes, verdict};
use super::table::{Step, Trigger, rule};

/// What a unit has from its launch to its `ready`.
pub const START_TIMEOUT: Duration = Duration::from_secs(30);
/// What a wedged unit has from SIGABRT to SIGKILL.
const ABORT_GRACE: Duration = Duration::from_secs(5);
/// When SIGKILL is sent again: the kernel needs a moment, and a launch may have been under way.
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// What shall be after the end that is awaited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Wish {
    /// Whatever the policy says; with the cause if the supervisor itself ended it.
    Policy(Option<(ExitCause, String)>),
    Down,
    Again,
}

/// One unit. Written as JSON, without its rules, for the program that comes after an upgrade.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    policy: Policy,
    #[serde(skip)]
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
    falls: BTreeMap<ExitCause, u64>,
    /// Not before this has passed after the next fall, whatever the unit's own backoff says.
    least: Duration,
}

impl Machine {
    /// A unit that is down. `seed` decides its jitter.
    pub fn new(policy: Policy, rules: Rules, seed: u64) -> Self {
        Self {
            policy,
            backoff: Backoff::new(rules.backoff.clone()),
            brake: Brake::new(rules.brake.clone()),
            rules,
            dice: Dice::new(seed),
            state: UnitState::Stopped,
            wish: Wish::Policy(None),
            deadline: None,
            wait: Duration::ZERO,
            launched_at: None,
            ready_at: None,
            incarnation: 0,
            restarts: 0,
            falls: BTreeMap::new(),
            least: Duration::ZERO,
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

    /// Ends that nobody asked for, by cause.
    pub fn falls(&self) -> &BTreeMap<ExitCause, u64> {
        &self.falls
    }

    /// When the latest incarnation was launched.
    pub fn launched_at(&self) -> Option<At> {
        self.launched_at
    }

    /// When [`Event::Tick`] is due.
    pub fn deadline(&self) -> Option<At> {
        self.deadline
    }

    /// Takes a new policy over; it counts from the next end on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Makes the next restart wait at least this long: too many units fell at once.
    pub fn hold_back(&mut self, least: Duration) {
        self.least = least;
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
            Event::Renew => {
                if self.wish != Wish::Down {
                    self.want(Wish::Again);
                }
                Trigger::Renew
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
            Event::LaunchFailed(failure) => {
                let end = End {
                    cause: ExitCause::LaunchFailed,
                    exit: Exit::default(),
                    stage: Some(failure.stage),
                    errno: failure.errno,
                    detail: Some(failure.detail),
                };
                match self.judge(end, now, &mut actions) {
                    Some(trigger) => trigger,
                    None => return actions,
                }
            }
            Event::Ended(exit) => {
                let end = self.end(exit);
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
    fn end(&self, exit: Exit) -> End {
        let (cause, detail) = match (&self.wish, self.state) {
            (Wish::Policy(Some((cause, detail))), _) => (*cause, Some(detail.clone())),
            (Wish::Down | Wish::Again, UnitState::Stopping) => (ExitCause::Stopped, None),
            _ => (exit.cause(), None),
        };
        End { cause, exit, stage: None, errno: None, detail }
    }

    /// What wish and policy make of an end.
    fn judge(&mut self, mut end: End, now: At, actions: &mut Vec<Action>) -> Option<Trigger> {
        if !matches!(self.state, UnitState::Starting | UnitState::Running | UnitState::Stopping) {
            return None;
        }
        let wish = std::mem::replace(&mut self.wish, Wish::Policy(None));
        let least = std::mem::take(&mut self.least);
        if end.cause == ExitCause::LaunchFailed {
            // It never ran, however long the launch took.
            self.launched_at = None;
        }
        if end.cause != ExitCause::Stopped {
            *self.falls.entry(end.cause).or_default() += 1;
        }
        let stopping = self.state == UnitState::Stopping;
        let trigger = match wish {
            Wish::Down if stopping => Trigger::EndedDown,
            Wish::Again if stopping && end.cause != ExitCause::LaunchFailed => Trigger::EndedAgain,
            _ => match verdict(self.policy, end.cause, passes(end.errno)) {
                Verdict::Down => Trigger::EndedDown,
                Verdict::Back => self.wait_or_go(now, least),
                Verdict::Late => {
                    let dice = self.dice.roll();
                    self.wait = self.backoff.longest(dice).max(least);
                    Trigger::EndedBackoff
                }
                Verdict::Crash => {
                    let reason = self.brake.crash(now);
                    self.set_aside_or_back(reason, &mut end, now, least)
                }
                Verdict::Violation => {
                    let reason = self.brake.violation(now);
                    self.set_aside_or_back(reason, &mut end, now, least)
                }
                Verdict::Aside => Trigger::EndedForGood,
            },
        };
        (self.launched_at, self.ready_at) = (None, None);
        actions.push(Action::Ended(end));
        Some(trigger)
    }

    fn set_aside_or_back(
        &mut self,
        reason: Option<String>,
        end: &mut End,
        now: At,
        least: Duration,
    ) -> Trigger {
        let Some(reason) = reason else { return self.wait_or_go(now, least) };
        end.detail = Some(match end.detail.take() {
            Some(detail) => format!("{detail} {reason}"),
            None => reason,
        });
        Trigger::EndedForGood
    }

    fn wait_or_go(&mut self, now: At, least: Duration) -> Trigger {
        let since = |at: Option<At>| at.map_or(Duration::ZERO, |at| now.saturating_sub(at));
        let (ran, healthy) = (since(self.launched_at), since(self.ready_at));
        let dice = self.dice.roll();
        self.wait = self.backoff.after_fall(ran, healthy, dice).max(least);
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

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
