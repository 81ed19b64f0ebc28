//! The tree of processes: every unit, what is kept for it, and the loop that all events pass through.
//!
//! One thread owns all of it. Edges (a process, a link, a pipe, a control connection) are small tasks that only send
//! events; nothing here ever waits for them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use creel_config::plan::UnitName;
use creel_ipc::hello::Role;
use creel_ipc::msg::supervisor::UnitChanged;
use creel_ipc::msg::unit::{ExitCause, UnitState};
use creel_launch::{Level, Measured};
use tokio::sync::mpsc;

use crate::control::Clients;
use crate::denials::Ring;
use crate::fdkeep::FdKeep;
use crate::journal::Journal;
use crate::link::{Outgoing, Post};
use crate::logs::Book;
use crate::logs::reader::Tap;
use crate::notify::Herald;
use crate::orphans::Orphans;
use crate::place::Lock;
use crate::settings::{Settings, Source};
use crate::signals::{Asked, Signals};
use crate::tool::Runs;
use crate::tool::quota::Quotas;
use crate::uids::Uids;
use crate::unit::At;
use crate::unit::machine::{self, Action};
use crate::unit::pace::Pace;
use crate::unit::process::Process;
use crate::unit::template::{Binaries, Ground, passed_on};

mod carry;
pub(crate) mod database;
mod elevated;
pub mod event;
mod held;
mod homes;
mod launch;
mod level;
mod member;
mod orphaned;
mod peers;
mod processes;
mod quiet;
mod record;
mod reload;
mod requests;
mod roll;
mod sandbox;
mod setups;
mod status;
mod stop;
mod tools;
mod upgrade;
mod usage;
mod ways;
mod weights;

pub use event::{Event, Events};
use event::{UnitEvent, What};
pub(crate) use launch::{ROOT_AT_L1, isolation};
use member::Member;
use quiet::Quiet;
use stop::Stopping;
use upgrade::Upgrade;
use weights::Weights;

/// How often to look whether everything is at rest, while an upgrade waits for it.
const LOOK: Duration = Duration::from_millis(1);

/// The names of the two units that the supervisor itself is linked to.
const GATEWAY: &str = "gateway";
const EGRESS: &str = "egress";

/// What a supervisor has before it has a tree.
#[derive(Debug)]
pub struct Held {
    /// The locks.
    pub locks: Vec<Lock>,
    /// Who is connected to the control socket.
    pub clients: Clients,
    /// The isolation, when the program before this one has measured it.
    pub measured: Option<Measured>,
}

/// All units and what belongs to them.
#[derive(Debug)]
pub struct Tree {
    source: Source,
    settings: Settings,
    generation: u64,
    config_error: Option<String>,
    ground: Ground,
    measured: Option<Measured>,
    members: BTreeMap<String, Member>,
    keep: FdKeep,
    runs: Runs,
    denials: Ring,
    book: Book,
    journal: Journal,
    started: Instant,
    pace: Pace,
    quiet: Quiet,
    orphans: Orphans,
    /// Whether orphans become children of this process.
    adopts: bool,
    weights: Weights,
    events: Events,
    stopping: Option<Stopping>,
    /// Logs of processes that are not read to their end yet, by unit and incarnation.
    taps: BTreeMap<(String, u64), Rc<Tap>>,
    /// The gateway that hears what tool runs print; another one after each restart.
    listener: Rc<RefCell<Option<Post>>>,
    herald: Herald,
    /// The locks, which are held as long as the tree lives.
    locks: Vec<Lock>,
    clients: Clients,
    /// Answers on their way to clients.
    answers: Rc<Cell<usize>>,
    upgrade: Upgrade,
    /// When homes of commands are looked for that nobody uses any more.
    sweep: At,
}

impl Tree {
    /// A tree in which nothing runs yet. The port is bound already, so that a taken one is told before anything starts.
    pub fn new(
        source: Source,
        settings: Settings,
        keep: FdKeep,
        binaries: Binaries,
        records: (Book, Journal),
        events: Events,
        Held { locks, clients, measured }: Held,
    ) -> Self {
        let (book, journal) = records;
        let uids = Uids::open(&source.paths.state());
        if let Uids::One(why) = &uids {
            tracing::warn!("All units run as one user: {why}.");
        }
        let ground = Ground {
            paths: source.paths.clone(),
            config_file: settings.file.clone(),
            binaries,
            level: Level::L0,
            log_level: settings.log_level,
            passed_on: passed_on(&source.env),
            uids: Rc::new(uids),
            quotas: Quotas::of(&source.paths.state()),
        };
        let members = settings
            .plan
            .units
            .iter()
            .map(|unit| {
                (unit.name.to_string(), Member::new(unit.clone(), settings.plan.supervision.rules.clone()))
            })
            .collect();
        let mut tree = Self {
            source,
            settings,
            generation: 1,
            config_error: None,
            ground,
            measured,
            members,
            keep,
            runs: Runs::default(),
            denials: Ring::default(),
            book,
            journal,
            started: Instant::now(),
            pace: Pace::default(),
            quiet: Quiet::default(),
            orphans: Orphans::default(),
            adopts: false,
            weights: Weights::default(),
            events,
            stopping: None,
            taps: BTreeMap::new(),
            listener: Rc::default(),
            herald: Herald::default(),
            locks,
            clients,
            answers: Rc::default(),
            upgrade: Upgrade::default(),
            sweep: homes::FIRST,
        };
        tree.measure();
        tree.settle_quotas();
        tree
    }

    /// The path of the control socket.
    pub fn control(&self) -> PathBuf {
        self.ground.paths.control()
    }

    /// What was wrong with the operator's file, when the tree starts on the last good copy.
    pub fn set_config_error(&mut self, error: String) {
        self.config_error = Some(error);
    }

    /// Starts every unit and keeps it running until somebody asks to stop.
    pub async fn run(&mut self, mut events: mpsc::Receiver<Event>, mut signals: Signals) {
        self.quiet.begin();
        self.adopt_orphans();
        if self.upgrade.is_confirming() {
            self.prove();
        } else {
            self.hold_the_stopped();
            self.start_all();
        }
        let mut heartbeat = crate::notify::watchdog_every().map(tokio::time::interval);
        while !self.is_over() {
            if self.upgrade.is_settling() && self.is_quiet(&signals) {
                self.become_the_new();
            }
            let tick = self.deadline().map(|at| tokio::time::Instant::from_std(self.started + at));
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.take(event),
                    None => return,
                },
                asked = signals.next() => match asked {
                    Asked::Stop => self.stop("a signal", None),
                    Asked::Reload => self.reload_and_tell(),
                },
                () = sleep_until(tick) => self.tick(),
                () = beat(heartbeat.as_mut()) => crate::notify::alive(),
                // What is under way at the edges comes to its end without an event.
                () = tokio::time::sleep(LOOK), if self.upgrade.is_settling() => {}
            }
        }
    }

    fn start_all(&mut self) {
        for name in self.plan_order() {
            if self.members.get(&name).is_some_and(|member| !member.held) {
                self.apply(&name, machine::Event::Start);
            }
        }
    }

    fn now(&self) -> At {
        self.started.elapsed()
    }

    fn plan_order(&self) -> Vec<String> {
        self.settings.plan.units.iter().map(|unit| unit.name.to_string()).collect()
    }

    fn deadline(&self) -> Option<At> {
        let units = self.members.values().filter_map(|member| member.machine.deadline());
        let stopping = self.stopping.as_ref().map(|stopping| stopping.deadline);
        let others = [
            stopping,
            self.herald.deadline(),
            self.quiet.deadline(),
            self.orphans.due(),
            self.upgrade.deadline(),
            Some(self.sweep),
        ];
        units.chain(others.into_iter().flatten()).min()
    }

    fn tick(&mut self) {
        let now = self.now();
        self.quiet.tick(now);
        self.sweep_homes(now);
        let due = |member: &Member| member.machine.deadline().is_some_and(|at| at <= now);
        let names: Vec<String> =
            self.members.iter().filter(|(_, member)| due(member)).map(|(name, _)| name.clone()).collect();
        for name in names {
            if self.waits_for_gateway(&name) {
                self.postpone_start(&name);
            } else {
                self.apply(&name, machine::Event::Tick);
            }
        }
        self.hurry_if_late();
        self.herald.tick(now, self.members.values().map(|member| member.machine.state()));
        self.look_for_orphans();
        self.upgrade_is_late();
    }

    /// A worker gets ready through the gateway: while there is none it is not late.
    fn waits_for_gateway(&self, name: &str) -> bool {
        let starting_worker = self
            .members
            .get(name)
            .is_some_and(|member| member.is_worker() && member.machine.state() == UnitState::Starting);
        let gateway = self.members.get(GATEWAY).map(|gateway| gateway.machine.state());
        starting_worker && gateway != Some(UnitState::Running)
    }

    fn postpone_start(&mut self, name: &str) {
        let now = self.now();
        if let Some(member) = self.members.get_mut(name) {
            member.machine.postpone_start(now);
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Unit(event) => self.take_unit(event),
            Event::ChildEnded => self.expect_orphans(),
            Event::Control { link, id, method, params, uid } => {
                self.control_request(link, id, &method, params, uid);
            }
            Event::ToolStarted { run, going } => {
                let now = self.now();
                self.denials.launched(&run, &going.by_quota);
                self.runs.started(&run, going, now);
                self.open_way(&run);
                // Others may write its folders after all.
                self.start_runs();
            }
            Event::ToolEnded { run, exit } => {
                self.close_way(&run);
                self.tool_ended(run, exit);
            }
            Event::ToolLooked { run, exit, findings } => self.tool_settled(&run, *exit, &findings),
            Event::Homes { found, wish } => self.homes_found(found, wish),
            Event::Upgrade(step) => self.upgrade_step(step),
        }
        self.roll_on();
    }

    fn take_unit(&mut self, UnitEvent { unit, incarnation, what }: UnitEvent) {
        if matches!(what, What::Drained(_)) {
            self.taps.remove(&(unit.clone(), incarnation));
        }
        let Some(member) = self.members.get_mut(&unit) else { return };
        if let What::Drained(line) = what {
            return member.heard_last_words(incarnation, line);
        }
        if let What::LogGap(gap) = what {
            return self.log_gap(&unit, incarnation, gap);
        }
        if member.machine.incarnation() != incarnation {
            return;
        }
        match what {
            What::Launched(outcome) => self.launched(&unit, outcome),
            What::Exited(exit) => self.exited(&unit, exit),
            What::Fault(cause, detail) => {
                tracing::warn!("{unit}: {detail}");
                self.record_fault(&unit, cause, &detail);
                self.apply(&unit, machine::Event::Fault { cause, detail });
            }
            What::Message(message) => self.message(&unit, message),
            What::Closed => self.link_closed(&unit, incarnation),
            What::Drained(_) | What::LogGap(_) => {}
        }
    }

    /// Lets an event happen to a unit and does what follows.
    fn apply(&mut self, name: &str, event: machine::Event) {
        let now = self.now();
        let Some(member) = self.members.get_mut(name) else { return };
        let before = member.machine.state();
        // An end belongs to the incarnation before: the machine may have begun the next one already.
        let incarnation = member.machine.incarnation();
        let actions = member.machine.apply(event, now);
        let after = member.machine.state();
        let launches = actions.iter().any(|action| matches!(action, Action::Launch(_)));
        for action in actions {
            self.act(name, incarnation, action);
        }
        if before != after || launches {
            self.record_state(name, before, after);
            self.announce(name);
            if name == GATEWAY && after == UnitState::Running {
                self.gateway_is_ready();
            }
        }
        if after == UnitState::Stopped {
            if self.members.get(name).is_some_and(|member| member.leaving) {
                self.members.remove(name);
            }
            self.stop_next();
        } else if after == UnitState::Quarantined {
            self.stop_next();
        }
    }

    fn act(&mut self, name: &str, incarnation: u64, action: Action) {
        match action {
            Action::Launch(incarnation) => {
                self.quiet.disturb(self.now());
                self.launch(name, incarnation);
            }
            Action::Terminate if name == GATEWAY => self.shut_gateway_down(),
            Action::Terminate => self.with_process(name, Process::terminate),
            Action::Abort => self.with_process(name, Process::abort),
            Action::Kill => {
                self.with_process(name, Process::kill);
                if let Some(give_up) = self.members.get_mut(name).and_then(|member| member.give_up.take()) {
                    let _launched_meanwhile = give_up.send(());
                }
            }
            Action::Ended(end) => self.ended(name, incarnation, end),
        }
    }

    fn with_process(&self, name: &str, act: impl FnOnce(&Process)) {
        if let Some(process) = self.members.get(name).and_then(|member| member.process.as_ref()) {
            act(process);
        }
    }

    /// Tells the gateway how a unit is doing.
    fn announce(&mut self, name: &str) {
        self.herald.changed();
        if name == GATEWAY {
            return;
        }
        let Some(status) = self.members.get(name).map(|member| self.status_of(name, member)) else { return };
        self.post(GATEWAY, Outgoing::Changed(Box::new(UnitChanged { status })));
    }

    /// Sends to gateway or egress, if it was taken in. One that does not take its messages is wedged.
    fn post(&mut self, name: &str, message: Outgoing) {
        let Some(member) = self.members.get(name) else { return };
        let Some(post) = member.welcomed() else { return };
        if post.send(message).is_err() {
            let incarnation = member.machine.incarnation();
            let detail = "It does not take the supervisor's messages.".to_owned();
            self.send_later(name, incarnation, What::Fault(ExitCause::Watchdog, detail));
        }
    }

    /// For what must not happen inside what happens now.
    fn send_later(&self, name: &str, incarnation: u64, what: What) {
        let events = self.events.clone();
        let event = Event::Unit(UnitEvent { unit: name.to_owned(), incarnation, what });
        tokio::task::spawn_local(async move {
            let _over = events.send(event).await;
        });
    }

    fn gateway_is_ready(&mut self) {
        tracing::info!("The gateway is ready.");
        let now = self.now();
        for member in self.members.values_mut().filter(|member| member.is_worker()) {
            member.machine.postpone_start(now);
        }
        crate::notify::ready();
    }

    /// Units of one role, in the order of the plan.
    fn names_of(&self, role: Role) -> Vec<String> {
        self.members.iter().filter(|(_, member)| member.role == role).map(|(name, _)| name.clone()).collect()
    }

    /// The member of a name of the plan.
    fn member_named(&mut self, name: &UnitName) -> Option<&mut Member> {
        self.members.get_mut(&name.to_string())
    }
}

async fn beat(heartbeat: Option<&mut tokio::time::Interval>) {
    match heartbeat {
        Some(heartbeat) => drop(heartbeat.tick().await),
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        // An hour is as good as never: the loop comes round with the next event.
        None => tokio::time::sleep(Duration::from_secs(3600)).await,
    }
}
