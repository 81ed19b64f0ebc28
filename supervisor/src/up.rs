//! `creel up`: takes the place, reads the configuration, starts the tree and keeps it running.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use creel_config::gateway::Bind;
use creel_config::plan::UnitKind;
use creel_config::{Env, Overrides, Paths};
use creel_ipc::ExitCode;
use creel_ipc::msg::event::{Event, EventKind};
use creel_launch::succession;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::cgroup;
use crate::control::{ControlError, Door, Room, serve};
use crate::fdkeep::{FdKeep, NoPort};
use crate::fdstore::{self, Stored};
use crate::journal::Journal;
use crate::logs::{Book, trace};
use crate::place::{Audience, Lock, PlaceError, make_folders, take_locks};
use crate::service::{credentials, launchd};
use crate::settings::{Settings, Source};
use crate::signals::Signals;
use crate::tree::{Held, Tree, event};
use crate::unit::template::Binaries;
use crate::upgrade::arrival::{self, Arrival};
use crate::upgrade::marker::Marker;
use crate::upgrade::{self, UpgradeError};

/// What `creel up` is given.
#[derive(Debug, Clone, Default)]
pub struct UpOptions {
    /// Flags; they win over the environment, which wins over the file.
    pub overrides: Overrides,
    /// The environment.
    pub env: Env,
}

impl UpOptions {
    /// The environment of this process and nothing else.
    pub fn from_env() -> Self {
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { overrides: Overrides::default(), env }
    }
}

/// Why the supervisor does not start, with the code to leave with.
#[derive(Debug, thiserror::Error)]
enum UpError {
    #[error("{0}")]
    Variable(#[from] creel_config::overrides::BadVariable),
    #[error("{0}")]
    NoHome(#[from] creel_config::paths::NoHome),
    #[error("{0}")]
    Place(#[from] PlaceError),
    #[error("{0}")]
    Config(#[from] creel_config::LoadError),
    #[error("{0}")]
    Port(#[from] NoPort),
    #[error("{0}")]
    Control(#[from] ControlError),
    #[error("The supervisor cannot start: {0}.")]
    System(#[from] io::Error),
    #[error("{0}")]
    Upgrade(#[from] UpgradeError),
    #[error("The state was looked at, as asked.")]
    Check(ExitCode),
}

impl UpError {
    fn code(&self) -> ExitCode {
        match self {
            Self::Variable(_) => ExitCode::Usage,
            Self::Config(_) | Self::NoHome(_) => ExitCode::Config,
            Self::Place(PlaceError::Taken { .. }) | Self::Port(_) => ExitCode::Busy,
            Self::Check(code) => *code,
            Self::Place(PlaceError::Folder { .. })
            | Self::Control(_)
            | Self::System(_)
            | Self::Upgrade(_) => ExitCode::Failure,
        }
    }
}

/// How long a taken port is asked for again: a predecessor that was killed leaves its gateway a moment to die.
const PORT_WAIT: Duration = Duration::from_secs(2);

fn take_port(keep: &mut FdKeep, bind: Bind, port: u16) -> Result<(), NoPort> {
    let deadline = Instant::now() + PORT_WAIT;
    loop {
        match keep.bind(bind, port) {
            Err(error) if error.is_taken() && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            outcome => return outcome,
        }
    }
}

/// Runs the supervisor on this thread, which must be the main thread, until it is asked to stop.
pub fn run_up(options: UpOptions) -> ExitCode {
    abort_on_panic();
    let (name, value) = launchd::MARK;
    let launchd = options.env.get(name).is_some_and(|set| set == value);
    match up(options) {
        Ok(()) => ExitCode::Ok,
        Err(UpError::Check(code)) => code,
        Err(error) => {
            arrival::fall_back(&error.to_string());
            // Nobody left to tell when stderr is closed.
            let _closed = writeln!(io::stderr(), "creel: {error}");
            left_with(error.code(), launchd)
        }
    }
}

/// launchd starts again whatever does not leave with 0, and there is nothing like systemd's RestartPreventExitStatus.
fn left_with(code: ExitCode, launchd: bool) -> ExitCode {
    match code {
        ExitCode::Config | ExitCode::Usage | ExitCode::Busy if launchd => ExitCode::Ok,
        code => code,
    }
}

/// A supervisor with a broken task would be half dead; a dead one takes all units with it and is started again. From now
/// on a panic anywhere in this process ends it.
pub fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!("The supervisor is broken and ends: {panic}");
        arrival::fall_back(&format!("it broke: {panic}"));
        std::process::abort();
    }));
}

fn up(options: UpOptions) -> Result<(), UpError> {
    let left = arrival::take();
    let UpOptions { overrides, env } = options;
    let stored = if left.is_none() { Stored::take(&env) } else { Stored::default() };
    let mut env = fdstore::without_words(arrival::without_words(env));
    credentials::add_to(&mut env);
    if let Some(Arrival { carried, .. }) = &left {
        env.extend(carried.found.clone());
    }
    let overrides = overrides.over(Overrides::from_env(&env)?);
    let mut paths = Paths::find(&overrides, &env)?;
    absolute(&mut paths)?;
    let source = Source { paths, overrides, env };
    if arrival::is_check() {
        return match upgrade::check::run(&source) {
            ExitCode::Ok => Ok(()),
            code => Err(UpError::Check(code)),
        };
    }
    match left {
        None => start(source, stored),
        Some(left) => go_on(source, left),
    }
}

/// Starts everything.
fn start(source: Source, mut stored: Stored) -> Result<(), UpError> {
    let paths = &source.paths;
    let audience = Audience::from_env(&source.env);
    make_folders(paths, audience)?;
    let locks = take_locks(paths)?;

    let book = Book::new(paths.logs());
    let journal = Journal::open(&paths.state(), uuid::Uuid::now_v7().to_string());
    journal.begin();
    let (settings, config_error) = first_settings(&source)?;
    book.set_rules(settings.logs);
    trace::install(&book, &filter(&source, &settings));
    if let Some(marker) = Marker::take(&paths.state()) {
        let Marker { from, to, binary, .. } = marker;
        tracing::error!(
            "The supervisor ended in the middle of an upgrade from Creel {from} to {to} ({binary}); this is Creel {}, started anew.",
            env!("CARGO_PKG_VERSION")
        );
    }
    if let Some(error) = &config_error {
        tracing::error!("The configuration is wrong; Creel starts on the last one that was right. {error}");
    } else if let Err(error) = source.keep_last_good() {
        tracing::warn!("The last good configuration cannot be kept: {error}.");
    }
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let mut keep = FdKeep::default();
    for unit in &settings.plan.units {
        if let UnitKind::Gateway { port, bind, .. } = unit.kind {
            keep.adopt(bind, port, &mut stored);
            take_port(&mut keep, bind, port)?;
        }
    }
    let control = stored.control(&source.paths.control());
    stored.close_others();
    raise_open_files();
    cgroup::enter(&source.paths.state(), true);
    if let Err(error) = creel_launch::open_nursery() {
        tracing::warn!("Launches will take a little longer. {error}");
    }
    let binaries = Binaries::find(&source.env)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let signals = Signals::install()?;
        let path = source.paths.control();
        let door = match control.map(|listener| Door::adopt(path.clone(), listener, audience)) {
            Some(Ok(door)) => door,
            // Made anew in its place.
            Some(Err(_)) | None => Door::open(path, audience)?,
        };
        let (events, incoming) = event::channel();
        let clients = door.clients();
        let room = Room { events: events.clone(), book: book.clone(), journal: journal.clone() };
        tokio::task::spawn_local(door.run(room));
        tracing::info!("Creel {} starts in {}.", env!("CARGO_PKG_VERSION"), source.paths.home.display());
        let held = Held { locks: locks.into(), clients, measured: None };
        let mut tree = Tree::new(source, settings, keep, binaries, (book, journal.clone()), events, held);
        if let Some(error) = config_error {
            journal.record(Event::told(EventKind::ReloadRefused, error.clone()));
            tree.set_config_error(error);
        }
        run(tree, incoming, signals, &journal).await;
        Ok(())
    })
}

/// Goes on where the program before this one stopped. Whatever fails in here brings that one back.
fn go_on(source: Source, left: Arrival) -> Result<(), UpError> {
    let Arrival { mut carried, inherited, undone } = left;
    if let Some(reason) = undone {
        carried.upgrade.problem = Some(reason);
    }
    let locks = carried.locks.iter().map(|lent| Ok(Lock::resume(inherited.get(lent.0)?)));
    let locks = locks.collect::<io::Result<Vec<_>>>()?;
    let book = Book::resume(source.paths.logs(), std::mem::take(&mut carried.book));
    let journal = Journal::resume(&source.paths.state(), std::mem::take(&mut carried.journal));
    let settings = source.read_applied(&carried.config_file)?;
    book.set_rules(settings.logs);
    trace::install(&book, &filter(&source, &settings));
    let keep = FdKeep::resume(std::mem::take(&mut carried.keep), &inherited)?;
    cgroup::enter(&source.paths.state(), false);
    let binaries = Binaries::find(&source.env)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let signals = Signals::install()?;
        succession::release_signals()?;
        let clients = std::mem::take(&mut carried.clients);
        let (control, audience) = (source.paths.control(), Audience::from_env(&source.env));
        let door = match clients.listener {
            Some(listener) => Door::resume(control, inherited.get(listener.0)?, audience)?,
            None => Door::open(control, audience)?,
        };
        let (events, incoming) = event::channel();
        let inside = door.clients();
        let room = Room { events: events.clone(), book: book.clone(), journal: journal.clone() };
        for client in inside.resume(clients, &inherited)? {
            tokio::task::spawn_local(serve(client, room.clone()));
        }
        tokio::task::spawn_local(door.run(room));
        let held = Held { locks, clients: inside, measured: carried.measured.take() };
        let mut tree = Tree::new(source, settings, keep, binaries, (book, journal.clone()), events, held);
        tree.resume(carried, inherited)?;
        run(tree, incoming, signals, &journal).await;
        Ok(())
    })
}

async fn run(mut tree: Tree, incoming: mpsc::Receiver<event::Event>, signals: Signals, journal: &Journal) {
    let control = tree.control();
    tree.run(incoming, signals).await;
    tracing::info!("Creel has stopped.");
    journal.record(Event::told(EventKind::SupervisorStopped, "Everything has ended in order."));
    // The lock is still ours, so the path is too.
    let _gone = std::fs::remove_file(control);
    cgroup::leave();
}

/// The operator's file, else the last good copy.
fn first_settings(source: &Source) -> Result<(Settings, Option<String>), UpError> {
    match source.read() {
        Ok(settings) => Ok((settings, None)),
        Err(error) => match source.read_last_good() {
            Some(settings) => Ok((settings, Some(error.to_string()))),
            None => Err(error.into()),
        },
    }
}

fn filter(source: &Source, settings: &Settings) -> String {
    source.env.get("CREEL_LOG").cloned().unwrap_or_else(|| settings.log_level.word().to_owned())
}

/// Views and sockets are named to other processes: a relative path would mean something else there.
fn absolute(paths: &mut Paths) -> io::Result<()> {
    for path in [&mut paths.home, &mut paths.config, &mut paths.runtime, &mut paths.user_home] {
        *path = std::path::absolute(&*path)?;
    }
    Ok(())
}

/// A hundred units need some six descriptors each; units get their own, lower limit.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(65_536, |hard| hard.min(65_536));
    if limit.current.is_some_and(|current| current < wanted) {
        let _as_before =
            setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchd_is_not_made_to_try_again_what_cannot_work() {
        for hopeless in [ExitCode::Config, ExitCode::Usage, ExitCode::Busy] {
            assert_eq!(left_with(hopeless, true), ExitCode::Ok);
            assert_eq!(left_with(hopeless, false), hopeless);
        }
        assert_eq!(left_with(ExitCode::Failure, true), ExitCode::Failure);
    }
}
