//! The gateway's core: what the seam in [`crate::hub`] stands on, and what links, lanes and delivery share.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use creel_ipc::Secret;
use creel_ipc::hello::Role;
use creel_ipc::msg::channel::ChannelStatus;
use creel_ipc::msg::unit::{SelfTested, UnitStatus};
use creel_link::{Link, Vitals};
use tokio::sync::{Notify, broadcast, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::drain::Drains;
use crate::hub::{CoreEvent, Happening, Phases};
use crate::lane::{LaneTable, Running};
use crate::links::Budget;
use crate::settings::Settings;
use crate::store::{Claimant, Desk, Held, Kept, Lane, Lost, StoreError};
use crate::tenure::Tenure;
use told::Told;

mod clients;
mod cluster;
mod operations;
mod operator;
mod pairing;
mod questions;
mod sessions;
mod told;

pub(crate) use questions::question_row;

/// Events that may wait for a slow subscriber before it misses some.
const EVENTS: usize = 1024;

/// The account of messages that come over the gateway's own port, where there is one gateway.
pub(crate) const WEBCHAT: &str = "webchat:default";
/// What such accounts have in common: of several hosts each has one.
const WEBCHATS: &str = "webchat:";

/// A worker whose link this gateway has.
#[derive(Debug)]
pub(crate) struct Worker {
    pub role: Role,
    pub incarnation: u64,
    pub link: Link,
    /// Welcomed, and takes work.
    pub ready: bool,
    /// What it found when it tried what its sandbox forbids.
    pub selftest: Option<SelfTested>,
    pub status: Option<ChannelStatus>,
    /// What it may have passed on of what its file tools refused.
    pub refusals: Budget,
    /// Whether no gateway had it before this one.
    pub fresh: bool,
    /// Held once more by each message on its way through an account.
    pub sending: Arc<()>,
    /// Wakes the account's pump.
    pub outbound: Arc<Notify>,
    /// Ends the link's tasks.
    pub gone: CancellationToken,
}

/// What changes all the time.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub workers: HashMap<String, Worker>,
    pub lanes: LaneTable,
    /// By the turn's id.
    pub turns: HashMap<String, Running>,
    pub phases: Phases,
    /// By account.
    pub held: HashMap<String, Tenure>,
    /// Lanes with a turn here, where other hosts could take them over.
    pub lanes_held: HashMap<String, Tenure<Lane>>,
    /// Everybody who was let in by a code, as account and sender.
    pub paired: HashSet<(String, String)>,
    /// The unit that asked for each tool run.
    pub tool_runs: HashMap<String, String>,
    /// The last that the supervisor told of each unit.
    pub units: HashMap<String, UnitStatus>,
    /// What gets no new work.
    pub drains: Drains,
    /// Runs whose end clients have heard of, where other hosts have runs, too.
    pub told: Told,
    /// The last error of the store, until a write succeeds.
    pub store_error: Option<String>,
}

/// The running gateway.
#[derive(Debug)]
pub(crate) struct Core {
    /// This life of the gateway, as it claims accounts and lanes.
    pub who: Claimant,
    pub desk: Desk,
    pub vitals: Vitals,
    pub supervisor: Option<Link>,
    pub stopping: CancellationToken,
    /// What delivers; waited for at the end.
    pub pumps: TaskTracker,
    /// What serves clients; waited for at the end.
    pub clients: TaskTracker,
    /// Wakes the scheduler.
    pub wake: Notify,
    /// Wakes who waits for an answer of people.
    pub answers: Notify,
    /// Another host has done something: what it left to do may be there.
    pub hint: Notify,
    /// To the other hosts.
    relay: OnceLock<mpsc::Sender<CoreEvent>>,
    /// Whether there are any.
    others: AtomicBool,
    settings: RwLock<Arc<Settings>>,
    state: Mutex<State>,
    events: broadcast::Sender<CoreEvent>,
    token: RwLock<Secret>,
    started: Instant,
}

impl Core {
    /// Takes up what the store holds. Nothing runs until [`crate::lane`]'s scheduler does.
    ///
    /// # Errors
    /// When the store cannot be read and written.
    pub(crate) async fn open(
        desk: Desk,
        settings: Settings,
        token: Secret,
        supervisor: Option<Link>,
        vitals: Vitals,
    ) -> Kept<Arc<Self>> {
        let who = settings.claimant(uuid::Uuid::now_v7());
        let paired = desk.read(|store| store.allowed()).await?.into_iter().collect();
        let mut state = State { paired, ..State::default() };
        let now = Instant::now();
        let name = who.clone();
        for open in desk.read(move |store| store.open_lanes(&name)).await? {
            state.lanes.arrived(&open.lane, &open.agent, now, std::time::Duration::ZERO);
            if open.turn.is_some() {
                state.phases.note(&open.lane, Happening::Lost);
            }
        }
        let core = Arc::new(Self {
            who,
            desk,
            vitals,
            supervisor,
            stopping: CancellationToken::new(),
            pumps: TaskTracker::new(),
            clients: TaskTracker::new(),
            wake: Notify::new(),
            answers: Notify::new(),
            hint: Notify::new(),
            relay: OnceLock::new(),
            others: AtomicBool::new(false),
            settings: RwLock::new(Arc::new(settings)),
            state: Mutex::new(state),
            events: broadcast::Sender::new(EVENTS),
            token: RwLock::new(token),
            started: now,
        });
        match core.claim(&core.webchat()).await {
            // It is claimed when it is needed; on a full disk there is still much to show.
            Err(error @ StoreError::Full(_)) => core.note_store::<()>(&Err(error)),
            claimed => drop(claimed?),
        }
        Ok(core)
    }

    /// What changes all the time. Never held over an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // The state is never left half-changed, so a poisoned lock is as good as another.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The configuration of this moment.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn replace_settings(&self, settings: Settings, token: Secret) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// Tells whoever listens, here and on other hosts.
    pub(crate) fn tell(&self, event: CoreEvent) {
        if let Some(relay) = self.relay.get() {
            if let CoreEvent::RunEnded { run, .. } = &event {
                self.state().told.is_new(run);
            }
            if self.has_others() {
                // They see what matters without it, only later.
                let _full = relay.try_send(event.clone());
            }
        }
        self.pass_on(event);
    }

    /// From now on what happens here is told to other hosts, too.
    pub(crate) fn relay(&self) -> mpsc::Receiver<CoreEvent> {
        let (sender, events) = mpsc::channel(crate::relay::QUEUE);
        // It is asked for once.
        let _twice = self.relay.set(sender);
        events
    }

    pub(crate) fn has_others(&self) -> bool {
        self.others.load(Ordering::Relaxed)
    }

    pub(crate) fn note_others(&self, others: bool) {
        self.others.store(others, Ordering::Relaxed);
    }

    /// Tells whoever listens here.
    pub(crate) fn pass_on(&self, event: CoreEvent) {
        // Nobody may be listening.
        let _nobody = self.events.send(event);
    }

    /// Holds an account for this life of the gateway.
    ///
    /// # Errors
    /// Also while another host holds it.
    pub(crate) async fn hold(&self, account: &str) -> Kept<Held> {
        let held = self.state().held.get(account).map(|tenure| tenure.held.clone());
        // Of several hosts one takes an account over, and all that belongs to it, or leaves it alone.
        let held = match held {
            None if self.who.is_alone() || account == self.webchat() => self.claim(account).await?,
            held => held,
        };
        held.ok_or_else(|| StoreError::lost(Lost::Account(account.to_owned())))
    }

    /// The account of messages that come over this gateway's own port.
    pub(crate) fn webchat(&self) -> String {
        if self.who.is_alone() { WEBCHAT.to_owned() } else { format!("{WEBCHATS}{}", self.who.host) }
    }

    /// Wakes the pump of an account, if it has a worker.
    pub(crate) fn wake_pump(&self, account: &str) {
        if let Some(worker) = self.state().workers.get(&channel_unit(account)) {
            worker.outbound.notify_one();
        }
    }

    /// Notes whether the store takes writes.
    pub(crate) fn note_store<T>(&self, outcome: &Kept<T>) {
        match outcome {
            Ok(_) => self.state().store_error = None,
            Err(error) if error.is_fenced() => {}
            Err(error) => self.state().store_error = Some(error.to_string()),
        }
    }
}

/// Whether the account is a gateway's own port.
pub(crate) fn is_webchat(account: &str) -> bool {
    account.starts_with(WEBCHATS)
}

/// The unit of an account such as `telegram:default`.
pub(crate) fn channel_unit(account: &str) -> String {
    format!("channel:{account}")
}

/// The unit of an agent.
pub(crate) fn agent_unit(agent: &str) -> String {
    format!("agent:{agent}")
}

/// Milliseconds since the epoch, by this machine's clock.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
