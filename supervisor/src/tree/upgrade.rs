//! One upgrade, from the request to the proof: check, wait for rest, become the new program, show that it works.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use creel_ipc::ErrorClass;
use creel_ipc::msg::control::{UpgradeParams, UpgradePhase, UpgradeState, UpgradeStatus};
use creel_ipc::msg::event::{Event as Told, EventKind};
use creel_ipc::msg::unit::UnitState;
use creel_ipc::msg::{Empty, Ping};
use creel_ipc::rpc::RpcError;
use creel_launch::succession::{self, Inherited};
use creel_link::{Link, Vitals};

use super::event::Event;
use super::roll::{self, Roll};
use super::{GATEWAY, Tree};
use crate::signals::Signals;
use crate::unit::At;
use crate::upgrade::carried::Program;
use crate::upgrade::check::Checked;
use crate::upgrade::marker::Marker;
use crate::upgrade::{Image, UpgradeError, arrival, baggage};

/// What may pass until everything is at rest.
const SETTLE: Duration = Duration::from_secs(10);
/// After this the lines that a slow follower of a log has not read do not hold an upgrade up.
const SETTLE_FOLLOWERS: Duration = Duration::from_secs(2);
/// What a new program has to show that it works: less than what the kernel gives it.
const PROVE: Duration = Duration::from_secs(8);

/// A step of an upgrade that was waited for.
#[derive(Debug)]
pub enum Step {
    /// The new program looked at the state.
    Checked(Box<(Image, Result<Checked, UpgradeError>)>),
    /// The gateway said whether a unit is idle.
    Drained {
        /// The unit.
        unit: String,
        /// Its incarnation.
        incarnation: u64,
        /// Whether it is.
        idle: bool,
    },
    /// Gateway and control socket answered.
    Proven(Result<(), String>),
}

/// The upgrade of this process that goes on, or the latest.
#[derive(Debug, Default)]
pub(super) struct Upgrade {
    /// As the command line sees it.
    pub(super) state: UpgradeState,
    /// Whether units are moved to their new programs afterwards.
    pub(super) roll: bool,
    /// Whether it is only to be checked.
    check: bool,
    image: Option<Image>,
    began: At,
    deadline: Option<At>,
    put_off: Vec<(String, u64)>,
    /// Who is moved afterwards.
    pub(super) rolling: Roll,
    /// Keeps what was lent for the old program.
    inherited: Option<Inherited>,
}

impl Upgrade {
    /// After the exec, on the other side.
    pub(super) fn confirming(
        state: UpgradeState,
        roll: bool,
        put_off: Vec<(String, u64)>,
        inherited: Inherited,
        (kept, took): (usize, Duration),
        now: At,
    ) -> Self {
        let state = UpgradeState {
            phase: UpgradePhase::Confirming,
            exec_micros: u64::try_from(took.as_micros()).ok(),
            kept: kept as u64,
            ..state
        };
        let deadline = Some(now + PROVE);
        Self { state, roll, put_off, deadline, inherited: Some(inherited), ..Self::default() }
    }

    pub(super) fn is_settling(&self) -> bool {
        self.state.phase == UpgradePhase::Settling
    }

    pub(super) fn is_confirming(&self) -> bool {
        self.state.phase == UpgradePhase::Confirming
    }

    /// A process that is launched now would be in nobody's hands, or get what was lent.
    pub(super) fn holds_launches(&self) -> bool {
        self.is_settling() || self.is_confirming()
    }

    /// Remembers a launch for later.
    pub(super) fn put_off(&mut self, name: &str, incarnation: u64) {
        self.put_off.push((name.to_owned(), incarnation));
    }

    pub(super) fn put_off_launches(&self) -> Vec<(String, u64)> {
        self.put_off.clone()
    }

    pub(super) fn set_deadline(&mut self, at: At) {
        self.deadline = Some(at);
    }

    pub(super) fn clear_deadline(&mut self) {
        self.deadline = None;
    }

    pub(super) fn deadline(&self) -> Option<At> {
        self.deadline
    }
}

/// Which program is at a path now.
pub(super) fn program(path: &Path) -> Option<Program> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Program {
        file: (metadata.dev(), metadata.ino()),
        state: (metadata.size(), metadata.mtime(), metadata.mtime_nsec()),
    })
}

impl Tree {
    /// Begins an upgrade.
    pub(super) fn begin_upgrade(&mut self, asked: UpgradeParams) -> Result<(), RpcError> {
        let conflict = |sentence: &str| RpcError::new(ErrorClass::Conflict, sentence);
        if self.stopping.is_some() {
            return Err(conflict("Creel is about to stop."));
        }
        if !self.upgrade.state.phase.is_over() {
            return Err(conflict("Another upgrade goes on; see `creel upgrade --status`."));
        }
        let bad = |error: &dyn std::fmt::Display| RpcError::new(ErrorClass::BadRequest, error.to_string());
        let image = Image::open(asked.binary.as_deref().map(Path::new)).map_err(|error| bad(&error))?;
        let state = self.carried().and_then(|(carried, _)| Ok(serde_json::to_vec(&carried)?));
        let state = state.map_err(|error| bad(&UpgradeError::Pack(error)))?;
        self.upgrade = Upgrade {
            state: UpgradeState {
                phase: UpgradePhase::Checking,
                number: self.upgrade.state.number + 1,
                from: env!("CARGO_PKG_VERSION").to_owned(),
                binary: image.path().display().to_string(),
                ..UpgradeState::default()
            },
            roll: !asked.no_roll,
            check: asked.check,
            began: self.now(),
            ..Upgrade::default()
        };
        tracing::info!("{} looks at a copy of the state.", image.path().display());
        let events = self.events.clone();
        tokio::task::spawn_local(async move {
            let outcome = image.check(&state).await;
            let _over = events.send(Event::Upgrade(Step::Checked(Box::new((image, outcome))))).await;
        });
        Ok(())
    }

    /// A step came to its end.
    pub(super) fn upgrade_step(&mut self, step: Step) {
        match step {
            Step::Checked(checked) => match *checked {
                _ if self.upgrade.state.phase != UpgradePhase::Checking => {}
                (_, Err(error)) => self.refuse(&error.to_string()),
                (image, Ok(Checked { version, .. })) => {
                    self.upgrade.state.to = Some(version);
                    if self.upgrade.check {
                        self.upgrade.state.phase = UpgradePhase::Done;
                        return;
                    }
                    self.upgrade.image = Some(image);
                    self.upgrade.began = self.now();
                    self.upgrade.deadline = Some(self.now() + SETTLE);
                    self.upgrade.state.phase = UpgradePhase::Settling;
                }
            },
            Step::Drained { unit, incarnation, idle } => self.drained(&unit, incarnation, idle),
            Step::Proven(Ok(())) => self.confirm(),
            Step::Proven(Err(reason)) => self.go_back(&reason),
        }
    }

    /// Ends an upgrade that has not happened yet.
    pub(super) fn give_upgrade_up(&mut self, reason: &str) {
        if matches!(self.upgrade.state.phase, UpgradePhase::Checking | UpgradePhase::Settling) {
            self.refuse(reason);
        }
    }

    fn refuse(&mut self, problem: &str) {
        tracing::error!("The upgrade comes to nothing: {problem}");
        self.journal.record(Told::told(EventKind::UpgradeRefused, problem));
        self.upgrade.state.phase = UpgradePhase::Refused;
        self.upgrade.state.problem = Some(problem.to_owned());
        (self.upgrade.image, self.upgrade.deadline) = (None, None);
        self.go_on();
    }

    /// Launches what was put off.
    fn go_on(&mut self) {
        for (name, incarnation) in std::mem::take(&mut self.upgrade.put_off) {
            let waits = self.members.get(&name).is_some_and(|member| {
                member.machine.incarnation() == incarnation
                    && member.process.is_none()
                    && matches!(member.machine.state(), UnitState::Starting | UnitState::Stopping)
            });
            if waits {
                self.launch(&name, incarnation);
            }
        }
        self.start_runs();
    }

    /// Whether nothing is under way that only a task knows of.
    pub(super) fn is_quiet(&self, signals: &Signals) -> bool {
        let late = self.now() >= self.upgrade.began + SETTLE_FOLLOWERS;
        let members = self.members.values().all(|member| {
            let stopping_peer = member.peer.is_some() && member.machine.state() == UnitState::Stopping;
            let peer = member
                .peer
                .as_ref()
                .is_none_or(|peer| !peer.link.is_closed() && peer.post.is_quiet() && peer.link.is_quiet());
            member.pending_link.is_none() && !member.leaving && !stopping_peer && peer
        });
        members
            && self.stopping.is_none()
            && self.events.is_quiet()
            && self.runs.is_quiet()
            && self.answers.get() == 0
            && (late || (self.clients.is_quiet() && self.book.is_quiet()))
            && signals.is_quiet()
    }

    /// The last act of this program, if it succeeds. Nothing runs between the look and the exec.
    pub(super) fn become_the_new(&mut self) {
        let Some(image) = self.upgrade.image.take() else { return };
        let (from, to) = (self.upgrade.state.from.clone(), self.upgrade.state.to.clone().unwrap_or_default());
        let folder = self.ground.paths.state();
        if let Err(error) = Marker::write(&folder, &from, &to, &self.upgrade.state.binary) {
            tracing::warn!("The upgrade cannot be noted in {}: {error}.", folder.display());
        }
        tracing::info!("Creel {from} becomes Creel {to} ({}).", image.path().display());
        let error = self.exec(&image);
        Marker::clear(&folder);
        let _none_held = succession::release_signals();
        open_nursery();
        self.refuse(&UpgradeError::Pack(error).to_string());
    }

    fn exec(&self, image: &Image) -> io::Error {
        let pack = || {
            // The next program could not know it, and would have its end to reap.
            creel_launch::close_nursery();
            succession::hold_signals()?;
            let (carried, baggage) = self.carried()?;
            Ok::<_, io::Error>((baggage::sealed(&serde_json::to_vec(&carried)?)?, baggage))
        };
        match pack() {
            Ok((state, baggage)) => image.become_it(&state, baggage),
            Err(error) => error,
        }
    }

    /// Too late for something.
    pub(super) fn upgrade_is_late(&mut self) {
        let now = self.now();
        if self.upgrade.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.upgrade.state.phase {
            UpgradePhase::Settling => {
                let time = SETTLE.as_secs();
                self.refuse(&format!(
                    "Within {time} s there was no moment at which nothing was under way; a unit that is being stopped or does not take its messages may be the reason. Nothing was changed."
                ));
            }
            UpgradePhase::Confirming => {
                self.go_back(&format!(
                    "gateway and control socket did not answer within {} s",
                    PROVE.as_secs()
                ));
            }
            UpgradePhase::Rolling => self.roll_is_late(),
            _ => self.upgrade.deadline = None,
        }
    }

    /// Shows that the new program works: its loop goes round, its gateway hears it, its control socket answers.
    pub(super) fn prove(&mut self) {
        let gateway = self.members.get(GATEWAY).filter(|member| member.machine.state() == UnitState::Running);
        let gateway = gateway.and_then(|member| member.peer.as_ref()).map(|peer| peer.link.clone());
        let (events, control) = (self.events.clone(), self.ground.paths.control());
        tokio::task::spawn_local(async move {
            let outcome = ask_around(gateway, &control).await;
            let _over = events.send(Event::Upgrade(Step::Proven(outcome))).await;
        });
    }

    fn confirm(&mut self) {
        if !self.upgrade.is_confirming() {
            return;
        }
        arrival::confirm();
        Marker::clear(&self.ground.paths.state());
        (self.upgrade.inherited, self.upgrade.deadline) = (None, None);
        let state = &mut self.upgrade.state;
        state.phase = if state.problem.is_some() { UpgradePhase::RolledBack } else { UpgradePhase::Done };
        self.upgrade.state.left = self.behind().iter().map(|name| roll::left(name, None)).collect();
        let state = &mut self.upgrade.state;
        let (millis, version) = (state.exec_micros.unwrap_or(0) as f64 / 1000.0, env!("CARGO_PKG_VERSION"));
        let told = match &state.problem {
            None => {
                let UpgradeState { from, kept, .. } = &state;
                let told = format!(
                    "Creel {from} is Creel {version} now: {kept} units were kept, {millis:.1} ms passed."
                );
                tracing::info!("{told}");
                Told::told(EventKind::SupervisorUpgraded, told)
            }
            Some(problem) => {
                let told = format!(
                    "Creel {version} is back with all {} units, for the new program failed: {problem}.",
                    state.kept
                );
                tracing::error!("{told}");
                Told::told(EventKind::UpgradeRefused, told)
            }
        };
        self.journal.record(told);
        open_nursery();
        self.go_on();
        self.start_the_unknown();
        crate::notify::ready();
        if self.upgrade.roll && self.upgrade.state.phase == UpgradePhase::Done {
            self.begin_roll();
        }
    }

    /// This program does not work: the one before it takes over again.
    fn go_back(&mut self, reason: &str) {
        if !self.upgrade.is_confirming() {
            return;
        }
        tracing::error!("This program cannot take over: {reason}.");
        arrival::fall_back(reason);
        // There is no other program to go back to, or it is gone: this one is better than none.
        self.upgrade.state.problem.get_or_insert_with(|| reason.to_owned());
        self.confirm();
    }
}

fn open_nursery() {
    if let Err(error) = creel_launch::open_nursery() {
        tracing::warn!("Launches will take a little longer. {error}");
    }
}

async fn ask_around(gateway: Option<Link>, control: &Path) -> Result<(), String> {
    if let Some(gateway) = gateway {
        gateway.call::<Ping>(&Empty {}).await.map_err(|error| format!("the gateway: {error}"))?;
    }
    let stream = tokio::net::UnixStream::connect(control).await;
    let stream = stream.map_err(|error| format!("the control socket {}: {error}", control.display()))?;
    let (link, _events) = Link::new(stream, 0, Vitals::default());
    link.call::<UpgradeStatus>(&Empty {}).await.map_err(|error| format!("the control socket: {error}"))?;
    Ok(())
}
