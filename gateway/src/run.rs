//! The process: handshake with the supervisor, start, and the end in order.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use creel_ipc::hello::{Ready, SelfTest, WorkerConfig};
use creel_ipc::limits::HANDSHAKE_MS;
use creel_ipc::msg::supervisor::GatewayConfig;
use creel_ipc::msg::supervisor::REHEARSE;
use creel_ipc::{ExitCode, Hello, Notify, PROTOCOL, Reject, Role, Welcome, rpc};
use creel_link::{Event, Incoming, Link, Vitals};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::core::{Core, now_ms};
use crate::dialer::Dialer;
use crate::hub::{CoreEvent, Hub};
use crate::links::{self, Orders};
use crate::logs::Level;
use crate::settings::{Settings, SettingsError, Whereabouts};
use crate::store::{Desk, Rules, Sqlite, StoreError};
use crate::token::{TokenError, token};
use crate::{backup, lane, logs, openclaw, opening, relay, relocation, tenure, watch};

/// How long sends that are on their way may take to come home at the end.
const LAST_SENDS: Duration = Duration::from_secs(2);
/// How long messages and sends are remembered that are over; as long, a repeated one is known as such.
const REMEMBER_MS: i64 = 30 * 24 * 3_600_000;
/// Between two times of forgetting.
const FORGET_EVERY: Duration = Duration::from_secs(6 * 3600);

/// Why the gateway does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The seal failed.
    #[error("{0}")]
    Seal(#[from] creel_seal::SealError),
    /// The process has no link, or no runtime.
    #[error(
        "The gateway cannot start: {0}. It is started by `creel up`, which gives it its link as standard input."
    )]
    Start(#[from] std::io::Error),
    /// The supervisor said nothing or hung up.
    #[error("The supervisor did not welcome the gateway within {HANDSHAKE_MS} ms.")]
    NoWelcome,
    /// The supervisor turned the gateway away.
    #[error("{reason}")]
    Rejected {
        /// Its sentence.
        reason: String,
        /// Its code.
        code: u8,
    },
    /// The configuration is wrong.
    #[error("{0}")]
    Config(String),
    /// A backup was not made, is not whole, or was not restored.
    #[error("{0}")]
    Backup(String),
    /// Another program's database was not read.
    #[error("{0}")]
    Foreign(String),
    /// The database cannot be used.
    #[error("{0}")]
    Store(String),
    /// The database finds no room, or cannot be reached, at the moment.
    #[error("{0}")]
    NotNow(String),
}

impl RunError {
    /// What the process exits with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Rejected { code, .. } => *code,
            Self::Config(_) => ExitCode::Config.code(),
            Self::NoWelcome => ExitCode::Protocol.code(),
            // It passes: the supervisor tries again for as long as it takes, and does not count it as a crash.
            Self::NotNow(_) => ExitCode::Busy.code(),
            Self::Seal(_) | Self::Start(_) | Self::Store(_) | Self::Backup(_) | Self::Foreign(_) => {
                ExitCode::Failure.code()
            }
        }
    }
}

impl From<SettingsError> for RunError {
    fn from(error: SettingsError) -> Self {
        Self::Config(error.to_string())
    }
}

impl From<TokenError> for RunError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::NoRoom { .. } => Self::NotNow(error.to_string()),
            error => Self::Config(error.to_string()),
        }
    }
}

impl From<StoreError> for RunError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full(_) | StoreError::Away(_) => Self::NotNow(error.to_string()),
            error => Self::Store(error.to_string()),
        }
    }
}

/// Runs the gateway until it is told to end or its supervisor has gone. With the arguments `rehearse DATABASE` it only
/// tells whether it could: the supervisor asks so before an upgrade.
///
/// # Errors
/// Why it could not start.
pub fn run() -> Result<(), RunError> {
    if let Some(answer) =
        creel_ipc::release::answer(std::env::args_os(), env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
    {
        // Nobody is left to tell that nobody listens.
        let _closed = std::io::stdout().write_all(answer.as_bytes());
        return Ok(());
    }
    creel_seal::seal()?;
    let mut args = std::env::args_os().skip(1);
    if let (Some(word), Some(database)) = (args.next(), args.next())
        && word == REHEARSE
    {
        return Sqlite::rehearse(Path::new(&database)).map_err(|error| {
            let _nobody_listens = write!(std::io::stderr(), "{error}");
            error.into()
        });
    }
    let orders: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(outcome) = backup::obey(&orders) {
        return outcome.map_err(|error| {
            let _nobody_listens = write!(std::io::stderr(), "{error}");
            RunError::Backup(error.to_string())
        });
    }
    if let Some(outcome) = relocation::obey(&orders) {
        return outcome.map_err(|error| {
            let _nobody_listens = write!(std::io::stderr(), "{error}");
            RunError::Store(error.to_string())
        });
    }
    if let Some(outcome) = openclaw::obey(&orders) {
        return outcome.map_err(|error| {
            let _nobody_listens = write!(std::io::stderr(), "{error}");
            RunError::Foreign(error.to_string())
        });
    }
    let level = logs::begin();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(serve(level));
    if let Err(error) = &outcome {
        tracing::error!("{error}");
    }
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

async fn serve(level: Level) -> Result<(), RunError> {
    let mut terminated = signal(SignalKind::terminate())?;
    let vitals = Vitals::default();
    let (supervisor, mut incoming) = Link::stdio(vitals.clone())?;
    let (told, early) = introduce(&supervisor, &mut incoming).await?;
    let whereabouts = Whereabouts::from(&told);
    let settings = Settings::read(&whereabouts)?;
    level.set(settings.config.logging.level);
    let secret = token(&settings)?;
    let rules = Rules::of_process(|name| whereabouts.variable(name));
    let dialer = Dialer::new(supervisor.clone());
    let opening = opening::desk(&settings, rules, &dialer)?;
    let others = opening::others(&settings, &dialer)?;
    // The way to a database comes over the link, too, so the link is heard meanwhile.
    let (desk, early) = tokio::select! {
        opened = hear_while(opening, &dialer, &mut incoming, early) => opened?,
        _ = terminated.recv() => return Ok(()),
    };
    let core = Core::open(desk, settings, secret, Some(supervisor.clone()), vitals).await?;
    tokio::spawn(lane::schedule(Arc::clone(&core)));
    tokio::spawn(watch::watch(Arc::clone(&core), whereabouts.config_file.clone()));
    tokio::spawn(forget(Arc::clone(&core)));
    tokio::spawn(index(Arc::clone(&core)));
    tokio::spawn(tenure::keep(Arc::clone(&core)));
    if let Some(reach) = others {
        let own = core.relay();
        tokio::spawn(relay::relay(Arc::clone(&core), reach, own));
    }
    let (orders, mut given) = mpsc::channel(16);
    let mut attendance = tokio::spawn(links::attend(Arc::clone(&core), dialer, early, incoming, orders));
    if supervisor.notify::<Ready>(&Ready {}).await.is_err() {
        return Ok(());
    }
    let gone = || "The supervisor has gone.".to_owned();
    let (reason, patience) = loop {
        tokio::select! {
            order = given.recv() => match order {
                Some(Orders::Listen(listener)) => listen(&core, listener),
                Some(Orders::Reread(applied)) => reread(&core, &whereabouts, applied.generation, &level),
                Some(Orders::Stop(shutdown)) => break (shutdown.reason, LAST_SENDS),
                None => break (gone(), Duration::ZERO),
            },
            _ = terminated.recv() => break ("The gateway was told to end.".to_owned(), LAST_SENDS),
            _ = &mut attendance => break (gone(), Duration::ZERO),
        }
    };
    end(&core, reason, patience).await;
    Ok(())
}

/// Says hello and waits for the welcome. What comes before it is kept.
async fn introduce(
    supervisor: &Link,
    incoming: &mut Incoming,
) -> Result<(GatewayConfig, Vec<Event>), RunError> {
    let hello = Hello {
        protocol: PROTOCOL,
        role: Role::Gateway,
        unit: "gateway".to_owned(),
        pid: std::process::id(),
        build: env!("CARGO_PKG_VERSION").to_owned(),
        caps: Vec::new(),
        session: None,
        running: Vec::new(),
        selftest: selftest(),
    };
    supervisor.notify::<Hello>(&hello).await.map_err(|_closed| RunError::NoWelcome)?;
    let mut early = Vec::new();
    let welcome = async {
        loop {
            match incoming.recv().await.ok_or(RunError::NoWelcome)? {
                Event::Notification { method, params, .. } if method == Welcome::METHOD => {
                    let welcome: Welcome =
                        rpc::params(&method, params).map_err(|_error| RunError::NoWelcome)?;
                    let WorkerConfig::Gateway(config) = welcome.config else {
                        return Err(RunError::Config("The supervisor welcomed something else.".to_owned()));
                    };
                    return Ok(config);
                }
                Event::Notification { method, params, .. } if method == Reject::METHOD => {
                    let reject: Reject =
                        rpc::params(&method, params).map_err(|_error| RunError::NoWelcome)?;
                    return Err(RunError::Rejected { reason: reject.reason, code: reject.exit_code });
                }
                other => early.push(other),
            }
        }
    };
    let config = tokio::time::timeout(Duration::from_millis(HANDSHAKE_MS), welcome)
        .await
        .map_err(|_elapsed| RunError::NoWelcome)??;
    Ok((config, early))
}

/// Waits for the store, and hears the supervisor meanwhile. What is not about connections is kept for later.
async fn hear_while(
    opening: impl Future<Output = Result<Desk, StoreError>>,
    dialer: &Dialer,
    incoming: &mut Incoming,
    mut early: Vec<Event>,
) -> Result<(Desk, Vec<Event>), RunError> {
    let mut opening = std::pin::pin!(opening);
    loop {
        tokio::select! {
            desk = &mut opening => return Ok((desk?, early)),
            event = incoming.recv() => match event {
                Some(event) => early.extend(dialer.take(event)),
                None => return Err(RunError::NoWelcome),
            },
        }
    }
}

/// Tries what the seal and the sandbox forbid. `None` where there is no seal to test.
fn selftest() -> Option<SelfTest> {
    let report = creel_seal::selftest_of_unit();
    (!report.attempts.is_empty()).then(|| SelfTest { denied: report.denied(), escaped: report.escaped() })
}

fn listen(core: &Arc<Core>, listener: std::net::TcpListener) {
    let listener = listener.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(listener));
    match listener {
        Ok(listener) => {
            core.clients.spawn(crate::api::serve(listener, Hub::new(Arc::clone(core))));
        }
        Err(error) => tracing::error!("The listening socket cannot be used: {error}."),
    }
}

/// Takes up what the supervisor applied. It found the file right; if it is wrong by now, the old one stays.
fn reread(core: &Arc<Core>, whereabouts: &Whereabouts, generation: u64, level: &Level) {
    let read = Settings::read(whereabouts).map_err(RunError::from);
    match read.and_then(|settings| Ok((token(&settings)?, settings))) {
        Ok((secret, settings)) => {
            level.set(settings.config.logging.level);
            core.replace_settings(settings, secret);
            links::spread(core);
            tracing::info!("Configuration {generation} is in force.");
        }
        Err(error) => tracing::error!("The configuration stays as it was: {error}"),
    }
}

/// Forgets now and then what was over long ago.
async fn forget(core: Arc<Core>) {
    let mut ticks = tokio::time::interval(FORGET_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = core.stopping.cancelled() => return,
        }
        let before_ms = now_ms() - REMEMBER_MS;
        let mut all = 0;
        loop {
            match core.desk.write(move |store| store.prune(before_ms)).await {
                Ok(0) => break,
                Ok(gone) => all += gone,
                Err(error) => break tracing::error!("Old rows cannot be forgotten: {error}"),
            }
        }
        if all > 0 {
            tracing::info!("{all} rows that were over a month ago were forgotten.");
        }
        core.maintain().await;
    }
}

/// Makes what was said before an upgrade findable, a piece at a time, so that nobody waits long for the writer.
async fn index(core: Arc<Core>) {
    let mut pieces = 0_u32;
    while !core.stopping.is_cancelled() {
        match core.desk.write(|store| store.index_older()).await {
            Ok(true) => pieces += 1,
            Ok(false) => break,
            Err(error) => return tracing::error!("What was said before cannot be searched yet: {error}"),
        }
    }
    if pieces > 0 {
        tracing::info!("What was said before this version can be searched now.");
    }
}

/// Takes nothing new, waits for what is on its way, and leaves. Workers keep what they have: a successor finds it.
async fn end(core: &Arc<Core>, reason: String, patience: Duration) {
    tracing::info!("The gateway ends: {reason}");
    core.tell(CoreEvent::ShuttingDown { reason });
    core.stopping.cancel();
    core.pumps.close();
    core.clients.close();
    let all = async {
        core.pumps.wait().await;
        core.clients.wait().await;
    };
    if tokio::time::timeout(patience, all).await.is_err() {
        tracing::warn!("Something was still on its way after {} ms.", patience.as_millis());
    }
    // Whatever was queued before is on the disk when this comes back.
    let webchat = core.webchat();
    if let Err(error) = core.desk.write(move |store| store.cursor(&webchat)).await {
        tracing::error!("The last writes may be missing: {error}");
    }
}
