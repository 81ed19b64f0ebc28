//! After an upgrade: units are moved to their new programs, one by one and each at a moment at which it is idle.

use std::collections::VecDeque;
use std::time::Duration;

use creel_ipc::hello::Role;
use creel_ipc::msg::control::UpgradePhase;
use creel_ipc::msg::supervisor::{UnitDrain, UnitDrainParams, UnitLife};
use creel_ipc::msg::unit::UnitState;

use super::event::Event;
use super::member::Member;
use super::upgrade::{Step, program};
use super::{EGRESS, GATEWAY, Tree};
use crate::unit::machine;
use crate::unit::template;

/// What a unit is given to come to rest at first: those that are idle need not wait for one that is not.
const FIRST: Duration = Duration::from_secs(1);
/// What it is given when all others have been moved.
const SECOND: Duration = Duration::from_secs(60);
/// The same for egress, without which nobody can work: all of them wait meanwhile.
const SECOND_FOR_ALL: Duration = Duration::from_secs(5);
/// What the gateway may take to answer beyond that.
const ANSWER: Duration = Duration::from_secs(10);
/// From the order to restart to `ready`.
const BACK: Duration = Duration::from_secs(60);

/// The units that are still to be moved.
#[derive(Debug, Default)]
pub(super) struct Roll {
    waiting: VecDeque<Turn>,
    now: Option<(Turn, Doing)>,
}

/// A unit that is to be moved.
#[derive(Debug, Clone)]
struct Turn {
    unit: String,
    patience: Duration,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// The gateway's word that this life of it is idle.
    Draining(u64),
    /// The life after this one.
    Restarting(u64),
}

impl Tree {
    /// The units whose programs on disk are others than those that run, in the order in which they are moved: first
    /// the gateway, which nobody misses as its links survive it; last egress, which needs all others at rest.
    pub(super) fn behind(&self) -> Vec<String> {
        let mut names: Vec<(u8, &String)> = self
            .members
            .iter()
            .filter(|(_, member)| self.is_behind(member))
            .map(|(name, member)| (place(member.role), name))
            .collect();
        names.sort();
        names.into_iter().map(|(_, name)| name.clone()).collect()
    }

    fn is_behind(&self, member: &Member) -> bool {
        let path = self.ground.binaries.path(template::program(member.role));
        member.process.is_some() && member.program.is_some() && member.program != program(&path)
    }

    /// Begins, if there is anything to do. Otherwise the upgrade is over.
    pub(super) fn begin_roll(&mut self) {
        let turn = |unit| Turn { unit, patience: FIRST };
        self.upgrade.rolling = Roll { waiting: self.behind().into_iter().map(turn).collect(), now: None };
        self.upgrade.state.phase = UpgradePhase::Rolling;
        self.roll_next();
    }

    fn roll_next(&mut self) {
        self.upgrade.rolling.now = None;
        let Some(turn) = self.upgrade.rolling.waiting.pop_front() else { return self.end_roll(None) };
        self.show_roll(Some(&turn));
        let Some(member) = self.members.get(&turn.unit).filter(|member| self.is_behind(member)) else {
            return self.roll_next();
        };
        let (role, incarnation) = (member.role, member.machine.incarnation());
        if member.machine.state() != UnitState::Running {
            // Its next launch takes the new program by itself.
            return self.roll_next();
        }
        if role == Role::Gateway {
            return self.replace(turn, incarnation);
        }
        let gateway = self.members.get(GATEWAY).filter(|member| member.machine.state() == UnitState::Running);
        let Some(link) = gateway.and_then(|member| member.peer.as_ref()).map(|peer| peer.link.clone()) else {
            return self.end_roll(Some("The gateway is not up, and only it can say who is idle."));
        };
        let asked = UnitDrainParams {
            unit: turn.unit.clone(),
            incarnation,
            workers: self.cut_by(&turn.unit, role),
            deadline_ms: u64::try_from(turn.patience.as_millis()).unwrap_or(u64::MAX),
        };
        self.upgrade.set_deadline(self.now() + turn.patience + ANSWER);
        let (events, unit) = (self.events.clone(), turn.unit.clone());
        self.upgrade.rolling.now = Some((turn, Doing::Draining(incarnation)));
        tokio::task::spawn_local(async move {
            // Without a word nothing is restarted.
            let idle = link.call::<UnitDrain>(&asked).await.is_ok_and(|drained| drained.idle);
            let _over = events.send(Event::Upgrade(Step::Drained { unit, incarnation, idle })).await;
        });
    }

    /// The workers whose work a restart would cut: all of them need egress.
    fn cut_by(&self, unit: &str, role: Role) -> Vec<UnitLife> {
        let cut = |(name, member): &(&String, &Member)| match role {
            Role::Egress => member.is_worker() && member.machine.state() == UnitState::Running,
            _ => *name == unit,
        };
        let life = |(name, member): (&String, &Member)| UnitLife {
            unit: name.clone(),
            incarnation: member.machine.incarnation(),
        };
        self.members.iter().filter(cut).map(life).collect()
    }

    /// The gateway answered.
    pub(super) fn drained(&mut self, unit: &str, incarnation: u64, idle: bool) {
        let Some((turn, doing)) = self.upgrade.rolling.now.clone() else { return };
        if turn.unit != unit || doing != Doing::Draining(incarnation) {
            return;
        }
        let current =
            self.members.get(unit).map(|member| (member.machine.incarnation(), member.machine.state()));
        if idle && current == Some((incarnation, UnitState::Running)) {
            return self.replace(turn, incarnation);
        }
        if turn.patience == FIRST {
            let patience = if unit == EGRESS { SECOND_FOR_ALL } else { SECOND };
            self.upgrade.rolling.waiting.push_back(Turn { patience, ..turn });
        }
        self.roll_next();
    }

    fn replace(&mut self, turn: Turn, incarnation: u64) {
        tracing::info!("{} is moved to its new program.", turn.unit);
        self.upgrade.set_deadline(self.now() + BACK);
        let unit = turn.unit.clone();
        self.upgrade.rolling.now = Some((turn, Doing::Restarting(incarnation)));
        self.apply(&unit, machine::Event::Renew);
    }

    /// Something happened: perhaps the unit that is awaited is back, or will not be.
    pub(super) fn roll_on(&mut self) {
        if self.upgrade.state.phase != UpgradePhase::Rolling {
            return;
        }
        if self.stopping.is_some() {
            return self.end_roll(Some("Creel stops."));
        }
        let Some((turn, Doing::Restarting(before))) = self.upgrade.rolling.now.clone() else { return };
        let Some(member) = self.members.get(&turn.unit) else { return self.roll_next() };
        let life = member.machine.incarnation();
        match member.machine.state() {
            UnitState::Running if life > before => {
                self.upgrade.state.rolled.push(turn.unit);
                self.roll_next();
            }
            UnitState::Stopped => self.roll_next(),
            // A new program that does not get up must not take the others down.
            UnitState::Backoff | UnitState::Quarantined => {
                self.end_roll(Some(&does_not_come(&turn.unit)));
            }
            _ => {}
        }
    }

    /// What is waited for did not come.
    pub(super) fn roll_is_late(&mut self) {
        match self.upgrade.rolling.now.clone() {
            Some((turn, Doing::Restarting(_))) => {
                self.end_roll(Some(&does_not_come(&turn.unit)));
            }
            Some((turn, Doing::Draining(incarnation))) => self.drained(&turn.unit, incarnation, false),
            None => self.roll_next(),
        }
    }

    /// While it goes on, what is left is who is still to come.
    fn show_roll(&mut self, turn: Option<&Turn>) {
        let waiting = turn.into_iter().chain(&self.upgrade.rolling.waiting).map(|turn| turn.unit.clone());
        self.upgrade.state.left = waiting.collect();
    }

    fn end_roll(&mut self, reason: Option<&str>) {
        self.upgrade.rolling = Roll::default();
        self.upgrade.clear_deadline();
        self.upgrade.state.phase = UpgradePhase::Done;
        // Without a reason it came to all of them.
        let why = reason.is_none().then_some("it was busy");
        let mut sentences: Vec<String> = reason.map(ToOwned::to_owned).into_iter().collect();
        sentences.extend(self.behind().iter().map(|name| left(name, why)));
        for sentence in &sentences {
            tracing::warn!("{sentence}");
        }
        tracing::info!("{} units were moved to their new programs.", self.upgrade.state.rolled.len());
        self.upgrade.state.left = sentences;
    }
}

/// That a unit was left, and what to do.
pub(super) fn left(name: &str, why: Option<&str>) -> String {
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{name} runs its old program{why}; `creel restart {name}` moves it when it suits you.")
}

fn does_not_come(unit: &str) -> String {
    format!("{unit} does not get ready in its new program (`creel logs {unit}`), so no other unit is moved.")
}

fn place(role: Role) -> u8 {
    match role {
        Role::Gateway => 0,
        Role::Channel => 1,
        Role::Agent | Role::Tool => 2,
        Role::Egress => 3,
    }
}
