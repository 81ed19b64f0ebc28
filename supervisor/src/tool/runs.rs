//! All tool runs: which go on, which wait, which have ended a moment ago, and who wants to know.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use creel_ipc::msg::process::{ProcessStatus, ProcessWriteParams};
use creel_ipc::msg::tool::ToolExit;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::background::Background;
use super::command::Command;
use super::layers::{Bound, Measured};
use super::leavings::Look;
use super::run::Run;
use super::setup::Setup;
use crate::unit::At;

/// Runs at the same time.
pub const CONCURRENT: usize = 8;
/// Runs that may wait for their turn.
const WAITING: usize = 256;
/// Results that are kept for a gateway that asks again, and for an agent that fell while it waited for one.
const KEPT: usize = 16;
/// How long they are kept: beyond the longest pause before a fallen unit is started again.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// Somebody who is to be answered: the gateway's incarnation and the request's id.
pub type Waiter = (u64, u64);

/// Every run by its id.
#[derive(Debug, Default)]
pub struct Runs {
    going: BTreeMap<String, Going>,
    queue: VecDeque<(String, Command)>,
    done: VecDeque<(String, At, ToolExit)>,
    /// Those of them that nobody waits for.
    background: Background,
    /// Those of them that prepare a home for others.
    preparing: BTreeMap<String, Setup>,
}

/// A run that has not ended.
#[derive(Debug)]
pub struct Going {
    waiters: Vec<Waiter>,
    kill: Option<oneshot::Sender<()>>,
    /// Whether it has a place among the concurrent ones.
    running: bool,
    /// Folders with limits that it writes.
    holds: Vec<Hold>,
    /// Its home, if that is kept.
    home: Option<PathBuf>,
    /// Whether its changes are being brought over.
    commits: bool,
    /// The run itself, once launched.
    pub run: Option<(Rc<Run>, At)>,
}

/// All runs, for the program that comes after an upgrade.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RunsState {
    waiters: BTreeMap<String, Vec<Waiter>>,
    queue: VecDeque<(String, Command)>,
    done: VecDeque<(String, At, ToolExit)>,
    #[serde(default)]
    background: Background,
    #[serde(default)]
    preparing: BTreeMap<String, Setup>,
}

/// A folder with limits that a run writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The folder.
    pub folder: PathBuf,
    /// Whether others may write it meanwhile: not, when one of them does it by way of a layer.
    pub shared: bool,
}

impl Hold {
    fn is_against(&self, other: &Self) -> bool {
        self.folder == other.folder && !(self.shared && other.shared)
    }
}

/// The folders with limits that a command would write.
fn held_by(command: &Command) -> Vec<Hold> {
    let hold = |bound: &Bound| Hold { folder: bound.folder.clone(), shared: bound.by_quota };
    command.bounds.iter().map(hold).collect()
}

impl Going {
    fn waiting(waiters: Vec<Waiter>, command: Option<&Command>) -> Self {
        let holds = command.map(held_by).unwrap_or_default();
        let home = command.and_then(|command| command.home.clone());
        Self { waiters, kill: None, running: false, holds, home, commits: false, run: None }
    }

    /// Whether it was told to end.
    pub fn is_told(&self) -> bool {
        self.running && self.kill.is_none()
    }
}

/// What a request comes to.
#[derive(Debug)]
pub enum Asked {
    /// The result is known.
    Known(Box<ToolExit>),
    /// The run goes on; the answer will come.
    Attached,
    /// Nobody knows this run.
    New,
}

impl Runs {
    /// Looks for a run that was asked for before, and waits for it.
    pub fn ask(&mut self, run: &str, waiter: Waiter, now: At) -> Asked {
        self.forget(now);
        if let Some((_, _, exit)) = self.done.iter().find(|(id, ..)| id == run) {
            return Asked::Known(Box::new(exit.clone()));
        }
        match self.going.get_mut(run) {
            Some(going) => {
                going.waiters.push(waiter);
                Asked::Attached
            }
            None => Asked::New,
        }
    }

    /// Adds a new run to the queue; whether there was room.
    pub fn add(&mut self, run: String, command: Command, waiter: Waiter) -> bool {
        if self.queue.len() >= WAITING {
            return false;
        }
        self.going.insert(run.clone(), Going::waiting(vec![waiter], Some(&command)));
        self.queue.push_back((run, command));
        true
    }

    /// The next run to be started, if there is a place for it. One in the background takes no place.
    pub fn take_next(&mut self) -> Option<(String, Command, oneshot::Receiver<()>)> {
        let running =
            self.going.iter().filter(|(run, going)| going.running && !self.background.has(run)).count();
        let full = running >= CONCURRENT;
        let free = |command: &Command| {
            let held = held_by(command);
            let against = |hold: &Hold| held.iter().any(|other| hold.is_against(other));
            !self.going.values().any(|going| going.running && going.holds.iter().any(against))
        };
        let next = self.queue.iter().position(|(_, command)| {
            let waits = command.setup.setup().is_some_and(|setup| self.preparing_for(setup).is_some());
            !waits && (!full || command.background.is_some()) && free(command)
        })?;
        let (run, command) = self.queue.remove(next)?;
        let (kill, killed) = oneshot::channel();
        let going = self.going.get_mut(&run)?;
        going.running = true;
        going.kill = Some(kill);
        Some((run, command, killed))
    }

    /// A run has a process.
    pub fn started(&mut self, id: &str, run: Rc<Run>, now: At) {
        if let Some(going) = self.going.get_mut(id) {
            // Its folders may have been given limits by quota just now.
            going.holds = run.holds();
            going.run = Some((run, now));
        }
    }

    /// A run ended: who wants to know.
    pub fn ended(&mut self, run: &str, exit: ToolExit, now: At) -> Vec<Waiter> {
        let Some(going) = self.going.remove(run) else { return Vec::new() };
        self.forget(now);
        if self.background.has(run) {
            let scroll = going.run.as_ref().and_then(|(run, _)| run.scroll().map(|scroll| scroll.clone()));
            self.background.ended(run, exit, scroll.unwrap_or_default(), now);
            return going.waiters;
        }
        if self.done.len() >= KEPT {
            self.done.pop_front();
        }
        self.done.push_back((run.to_owned(), now, exit));
        going.waiters
    }

    /// Ends a run. One that still waits for its turn is taken out of the queue and returned as such.
    pub fn kill(&mut self, run: &str) -> bool {
        let Some(going) = self.going.get_mut(run) else { return false };
        if let Some(kill) = going.kill.take() {
            let _ended_meanwhile = kill.send(());
            return false;
        }
        let waiting = self.queue.iter().position(|(id, _)| id == run);
        waiting.is_some_and(|at| self.queue.remove(at).is_some())
    }

    /// What is to be looked at after a run, and of each folder whether no other run goes on in it.
    pub fn looks(&self, id: &str) -> Vec<(Look, bool)> {
        let looks_of =
            |going: &Going| going.run.as_ref().map(|(run, _)| run.looks.clone()).unwrap_or_default();
        let others: Vec<Look> = self
            .going
            .iter()
            .filter(|(other, _)| *other != id)
            .flat_map(|(_, going)| looks_of(going))
            .collect();
        let meets = |one: &Look, other: &Look| {
            one.workspace.starts_with(&other.workspace) || other.workspace.starts_with(&one.workspace)
        };
        let looks = self.going.get(id).map(looks_of).unwrap_or_default();
        let with_company = |look: Look| {
            let alone = !others.iter().any(|other| meets(&look, other));
            (look, alone)
        };
        looks.into_iter().map(with_company).collect()
    }

    /// Whether no run is between its place and its process, or between its end and the end of its commit.
    pub fn is_quiet(&self) -> bool {
        self.going.values().all(|going| !going.commits && (!going.running || going.run.is_some()))
    }

    /// The changes of a run that has ended, to be brought over now.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn layers(&mut self, id: &str) -> io::Result<Vec<(Measured, OwnedFd)>> {
        let Some(going) = self.going.get_mut(id) else { return Ok(Vec::new()) };
        let layers = going.run.as_ref().map(|(run, _)| run.layers()).transpose()?.unwrap_or_default();
        going.commits = !layers.is_empty();
        Ok(layers)
    }

    /// The process in the background that this command would have to wait for, and the folder both write.
    pub fn in_the_way(&self, command: &Command) -> Option<(&str, PathBuf)> {
        let held = held_by(command);
        let others = self.going.iter().filter(|(run, _)| self.background.has(run));
        let mut both = others.filter_map(|(run, going)| {
            going
                .holds
                .iter()
                .find(|hold| held.iter().any(|other| hold.is_against(other)))
                .map(|hold| (run.as_str(), hold.folder.clone()))
        });
        both.next()
    }

    /// What the program after this one needs to go on; the runs themselves come with their descriptors.
    pub fn state(&self) -> RunsState {
        let waiters = self.going.iter().map(|(id, going)| (id.clone(), going.waiters.clone()));
        RunsState {
            waiters: waiters.collect(),
            queue: self.queue.clone(),
            done: self.done.clone(),
            background: self.background.clone(),
            preparing: self.preparing.clone(),
        }
    }

    /// Goes on where the program before this one stopped. What was running there comes with [`Runs::go_on`].
    pub fn resume(state: RunsState) -> Self {
        let waiters = state.waiters.clone().into_iter();
        let going = waiters.map(|(id, waiters)| {
            let waiting = state.queue.iter().find(|(other, _)| *other == id);
            (id, Going::waiting(waiters, waiting.map(|(_, command)| command)))
        });
        let going = going.collect();
        let RunsState { queue, done, background, preparing, .. } = state;
        Self { going, queue, done, background, preparing }
    }

    /// A run that goes on; what tells it to end.
    pub fn go_on(&mut self, id: &str, run: Rc<Run>, at: At) -> Option<oneshot::Receiver<()>> {
        let going = self.going.get_mut(id)?;
        let (kill, killed) = oneshot::channel();
        (going.holds, going.home) = (run.holds(), run.home.clone());
        (going.running, going.kill, going.run) = (true, Some(kill), Some((run, at)));
        Some(killed)
    }

    /// Whether a command is in this home, or waits to be.
    pub fn is_home(&self, home: &Path) -> bool {
        self.going.values().any(|going| going.home.as_deref() == Some(home))
    }

    /// The home of a run, if that is kept.
    pub fn home_of(&self, run: &str) -> Option<&Path> {
        self.going.get(run)?.home.as_deref()
    }

    /// The runs that have not ended.
    pub fn going(&self) -> impl Iterator<Item = (&String, &Going)> {
        self.going.iter()
    }

    /// Adds a run that nobody waits for; nothing when it was added before.
    ///
    /// # Errors
    /// A sentence, when the agent has as many as it may have.
    pub fn add_background(
        &mut self,
        run: &str,
        command: Command,
        most: usize,
        now: At,
    ) -> Result<(), String> {
        let Some(owner) = &command.background else { return Ok(()) };
        self.forget(now);
        if !self.background.add(run, owner, most, now)? {
            return Ok(());
        }
        self.going.insert(run.to_owned(), Going::waiting(Vec::new(), Some(&command)));
        self.queue.push_back((run.to_owned(), command));
        Ok(())
    }

    /// Adds a run that prepares a home; before all that wait for it.
    pub fn add_setup(&mut self, run: &str, command: Command, setup: Setup) {
        self.going.insert(run.to_owned(), Going::waiting(Vec::new(), Some(&command)));
        self.queue.push_front((run.to_owned(), command));
        self.preparing.insert(run.to_owned(), setup);
    }

    /// The line that prepares the same home at this moment.
    pub fn preparing_for(&self, setup: &Setup) -> Option<&Setup> {
        self.preparing.values().find(|other| other.record == setup.record)
    }

    /// A run that prepared a home has ended: which home, and who waited for it.
    pub fn prepared(&mut self, run: &str) -> Option<(Setup, Vec<String>)> {
        let setup = self.preparing.remove(run)?;
        let waits = |command: &Command| command.setup.setup().is_some_and(|own| own.record == setup.record);
        let waiting = self.queue.iter().filter(|(_, command)| waits(command)).map(|(run, _)| run.clone());
        let waiting = waiting.collect();
        Some((setup, waiting))
    }

    /// Those that nobody waits for.
    pub fn background(&self) -> &Background {
        &self.background
    }

    /// How a process of an agent is, with what it printed from a place on; nothing when the agent has none of that name.
    pub fn poll(&self, agent: &str, run: &str, from: u64, now: At) -> Option<ProcessStatus> {
        let scroll =
            self.going.get(run).and_then(|going| going.run.as_ref()).and_then(|(run, _)| run.scroll());
        self.background.status(agent, run, scroll.as_deref(), from, now)
    }

    /// Writes to a process of an agent. The same key is done once.
    ///
    /// # Errors
    /// A sentence, when nothing can be written.
    pub fn write(&mut self, params: &ProcessWriteParams) -> Result<usize, String> {
        let running = self.going.get(&params.process).and_then(|going| going.run.as_ref());
        let entry =
            self.background.of_mut(&params.agent, &params.process).ok_or("There is no such process.")?;
        if let Some(written) = entry.written(&params.key) {
            return Ok(written);
        }
        let (run, _) = running.ok_or("It does not run.")?;
        let written = run.write(&params.text, params.eof)?;
        entry.note(&params.key, written);
        Ok(written)
    }

    fn forget(&mut self, now: At) {
        self.background.forget(now);
        self.done.retain(|(_, at, _)| now.saturating_sub(*at) < KEPT_FOR);
    }
}

#[cfg(test)]
mod tests {
    use creel_ipc::msg::tool::ToolCause;
    use creel_launch::{LaunchSpec, Role};

    use super::*;
    use crate::tool::ends::Input;
    use crate::tool::setup::Preparation;

    fn exit() -> ToolExit {
        ToolExit { code: Some(0), stdout: "out".into(), wall_ms: 1, ..ToolExit::of(ToolCause::Exited) }
    }

    fn command() -> Command {
        let spec = LaunchSpec::new("tool:x", Role::Tool, vec!["true".into()]);
        Command {
            spec,
            wall: Duration::from_secs(1),
            keep: 64,
            reaches: None,
            writes: None,
            writes_binds: Vec::new(),
            bounds: Vec::new(),
            home: None,
            input: Input::None,
            background: None,
            setup: Preparation::Nothing,
        }
    }

    #[test]
    fn a_run_is_asked_for_once_attached_to_and_then_known_for_a_while() {
        let mut runs = Runs::default();
        assert!(matches!(runs.ask("a", (1, 10), At::ZERO), Asked::New));
        assert!(runs.add("a".into(), command(), (1, 10)));
        assert!(runs.take_next().is_some());
        assert!(matches!(runs.ask("a", (2, 99), At::ZERO), Asked::Attached));
        assert_eq!(runs.ended("a", exit(), At::ZERO), [(1, 10), (2, 99)]);
        assert!(matches!(runs.ask("a", (3, 1), At::from_secs(599)), Asked::Known(_)));
        assert!(matches!(runs.ask("a", (3, 1), At::from_secs(601)), Asked::New));
    }

    #[test]
    fn what_needs_a_prepared_home_waits_for_it_and_others_do_not() {
        let of = |home: &str| Preparation::of("make", home.as_ref(), "/homes".as_ref());
        let needs = |home: &str| Command { setup: of(home), ..command() };
        let mut runs = Runs::default();
        let setup = of("/homes/a").setup().unwrap().clone();
        assert!(runs.add("first".into(), needs("/homes/a"), (1, 1)));
        runs.add_setup("setup:1", command(), setup.clone());
        assert!(runs.add("second".into(), needs("/homes/a"), (1, 2)));
        assert!(runs.add("other".into(), needs("/homes/b"), (1, 3)));
        let taken = |runs: &mut Runs| runs.take_next().map(|(run, ..)| run);
        assert_eq!(
            [taken(&mut runs), taken(&mut runs), taken(&mut runs)],
            [Some("setup:1".into()), Some("other".into()), None]
        );
        // Also for the program after an upgrade.
        let state: RunsState = serde_json::from_value(serde_json::to_value(runs.state()).unwrap()).unwrap();
        let mut runs = Runs::resume(state);
        assert_eq!(taken(&mut runs), None);
        assert_eq!(runs.prepared("setup:1"), Some((setup, vec!["first".into(), "second".into()])));
        assert_eq!(runs.prepared("setup:1"), None);
        assert_eq!(taken(&mut runs), Some("first".into()));
    }

    #[test]
    fn a_home_is_in_use_from_the_queue_to_the_end_also_after_an_upgrade() {
        let home = Path::new("/homes/session/main/0a");
        let in_use = |runs: &Runs| (runs.is_home(home), runs.is_home(Path::new("/homes/session/main/0b")));
        let mut runs = Runs::default();
        assert!(runs.add("a".into(), Command { home: Some(home.to_owned()), ..command() }, (1, 1)));
        assert_eq!(in_use(&runs), (true, false));
        let mut runs = Runs::resume(runs.state());
        assert_eq!(in_use(&runs), (true, false));
        assert!(runs.take_next().is_some());
        assert_eq!((in_use(&runs), runs.home_of("a")), ((true, false), Some(home)));
        runs.ended("a", exit(), At::ZERO);
        assert_eq!(in_use(&runs), (false, false));
    }

    #[test]
    fn only_so_many_run_at_once_and_a_waiting_one_can_be_killed() {
        let mut runs = Runs::default();
        for n in 0..CONCURRENT + 2 {
            assert!(runs.add(format!("run-{n}"), command(), (1, n as u64)));
        }
        let mut kept = Vec::new();
        while let Some(next) = runs.take_next() {
            kept.push(next);
        }
        assert_eq!(kept.len(), CONCURRENT);
        assert!(runs.kill("run-9"));
        runs.ended("run-0", exit(), At::ZERO);
        assert_eq!(runs.take_next().unwrap().0, "run-8");
        assert!(runs.take_next().is_none());
    }
}
