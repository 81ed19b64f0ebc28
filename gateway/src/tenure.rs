//! What this gateway holds where several hosts share a database, and for how long: it renews its leases, lets go in time of
//! what it could not renew, and takes over what is free.
//!
//! Every deadline counts on this machine's own clock from before the store was asked. Whatever no store can refuse, such as
//! polling a platform, has stopped when a deadline is over: the gateway sees to it, and each channel worker by itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use creel_ipc::hello::Role;
use creel_ipc::msg::channel::Lease;
use creel_link::uptime_ms;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::core::{Core, agent_unit, channel_unit, is_webchat};
use crate::lane::Signal;
use crate::links;
use crate::store::{Account, Claimed, Held, Kept, Lane, LeaseRecord, Leased, Lost, OpenLane, Renewed};

/// How often to look what has become free, and what others have left to do.
const LOOK: Duration = Duration::from_millis(500);
/// Hints within this time are looked after at once.
const HINTS: Duration = Duration::from_millis(20);
/// How late a deadline may be seen at most: timers do not count the time for which a machine slept.
const GLANCE: Duration = Duration::from_millis(250);
/// Before a renewal that failed is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// An account or a lane that this gateway holds.
#[derive(Debug)]
pub(crate) struct Tenure<K: Leased = Account> {
    pub held: Held<K>,
    /// Until when it may be acted on, in milliseconds since the machine started; for good without others.
    until_ms: Option<u64>,
    /// Whether no other host had it between the life of the gateway before and this one.
    pub continues: bool,
    /// Ends what acts on it.
    pub over: CancellationToken,
}

impl<K: Leased> Tenure<K> {
    /// `asked_ms` is the moment before the store was asked.
    fn new(held: Held<K>, asked_ms: u64, alone: bool) -> Self {
        let until_ms = (!alone).then(|| deadline(&held, asked_ms));
        Self { held, until_ms, continues: true, over: CancellationToken::new() }
    }

    fn renewed(&mut self, held: Held<K>, asked_ms: u64) {
        self.until_ms = self.until_ms.map(|_| deadline(&held, asked_ms));
        self.held = held;
    }

    fn is_over(&self, now_ms: u64) -> bool {
        self.until_ms.is_some_and(|until_ms| until_ms <= now_ms)
    }
}

fn deadline<K: Leased>(held: &Held<K>, asked_ms: u64) -> u64 {
    asked_ms.saturating_add(u64::try_from(held.good_for().as_millis()).unwrap_or(u64::MAX))
}

/// What others have and what waits, as the store shows it.
type Seen = (Vec<LeaseRecord>, Vec<OpenLane>, Vec<(String, String)>);

/// Keeps what this gateway holds, until it ends. One that is alone on its store has nothing to keep.
pub(crate) async fn keep(core: Arc<Core>) {
    if core.who.is_alone() {
        return;
    }
    tokio::spawn(renew(Arc::clone(&core)));
    tokio::spawn(fence(Arc::clone(&core)));
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = core.hint.notified() => tokio::time::sleep(HINTS).await,
            () = core.stopping.cancelled() => return,
        }
        let who = core.who.clone();
        let seen =
            core.desk.read(move |store| Ok((store.leases()?, store.open_lanes(&who)?, store.allowed()?)));
        match seen.await {
            Ok(seen) => look(&core, seen).await,
            Err(error) => tracing::debug!("What others do is not seen: {error}"),
        }
    }
}

/// Lets go of what could not be renewed in time.
async fn fence(core: Arc<Core>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(GLANCE) => {}
            () = core.stopping.cancelled() => return,
        }
        let now_ms = uptime_ms();
        let (accounts, lanes) = {
            let state = core.state();
            let accounts = state.held.iter().filter(|(_, tenure)| tenure.is_over(now_ms));
            let lanes = state.lanes_held.iter().filter(|(_, tenure)| tenure.is_over(now_ms));
            let accounts: Vec<String> = accounts.map(|(key, _)| key.clone()).collect();
            (accounts, lanes.map(|(key, _)| key.clone()).collect::<Vec<String>>())
        };
        let why = "the database was not reached in time";
        for account in accounts {
            lose_account(&core, &account, why);
        }
        for lane in lanes {
            lose_lane(&core, &lane, why);
        }
    }
}

/// Renews what is held, three times within each lease.
async fn renew(core: Arc<Core>) {
    let mut wait = core.who.ttl / 3;
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = core.stopping.cancelled() => return,
        }
        let (accounts, lanes) = {
            let state = core.state();
            // Its own port's, too: by it the others see that this host is there.
            let accounts: Vec<Held> = state.held.values().map(|tenure| tenure.held.clone()).collect();
            let lanes = state.lanes_held.values().map(|tenure| tenure.held.clone());
            (accounts, lanes.collect::<Vec<Held<Lane>>>())
        };
        wait = core.who.ttl / 3;
        if accounts.is_empty() && lanes.is_empty() {
            continue;
        }
        let (who, asked_ms) = (core.who.clone(), uptime_ms());
        let renewed = core.desk.write(move |store| store.renew(&who, &accounts, &lanes)).await;
        core.note_store(&renewed);
        match renewed {
            Ok(renewed) => hear(&core, renewed, asked_ms),
            Err(error) => {
                tracing::warn!("The leases of this host are not renewed: {error}");
                wait = AGAIN.min(core.who.ttl / 10);
            }
        }
    }
}

fn hear(core: &Arc<Core>, renewed: Renewed, asked_ms: u64) {
    {
        let mut state = core.state();
        for held in renewed.accounts {
            if let Some(tenure) = state.held.get_mut(held.key()).filter(|t| t.held.epoch() == held.epoch()) {
                tenure.renewed(held, asked_ms);
            }
        }
        for held in renewed.lanes {
            let tenure = state.lanes_held.get_mut(held.key());
            if let Some(tenure) = tenure.filter(|tenure| tenure.held.epoch() == held.epoch()) {
                tenure.renewed(held, asked_ms);
            }
        }
        for account in state.held.keys() {
            if let Some(worker) = state.workers.get(&channel_unit(account)) {
                // The next renewal tells it again.
                let _full = worker.link.offer::<Lease>(&lease(&state.held, account));
            }
        }
    }
    for lost in renewed.lost {
        lose(core, &lost, "another host has taken it over");
    }
}

/// What an account's worker is told.
fn lease(held: &HashMap<String, Tenure>, account: &str) -> Lease {
    let tenure = held.get(account);
    let until_ms = tenure.and_then(|tenure| tenure.until_ms).unwrap_or(0);
    let reason = if tenure.is_some() {
        "Its gateway has not said in time that this host still has the account."
    } else {
        "This host does not have the account; it takes it over when it is free."
    };
    Lease { until_ms, reason: reason.to_owned() }
}

/// Somebody else has it now.
pub(crate) fn lose(core: &Arc<Core>, lost: &Lost, why: &str) {
    match lost {
        Lost::Account(account) => lose_account(core, account, why),
        Lost::Lane(lane) => lose_lane(core, lane, why),
        Lost::Turn(_) => {}
    }
}

/// Stops what acts on the account.
fn lose_account(core: &Arc<Core>, account: &str, why: &str) {
    let mut state = core.state();
    let Some(tenure) = state.held.remove(account) else { return };
    tenure.over.cancel();
    tracing::error!("This host has let go of the account {account}: {why}.");
    if let Some(worker) = state.workers.get(&channel_unit(account)) {
        let told = lease(&state.held, account);
        // A worker that is not told stops by itself: its lease is the same one.
        let _full = worker.link.offer::<Lease>(&told);
    }
}

/// Stops the lane's turn.
fn lose_lane(core: &Arc<Core>, lane: &str, why: &str) {
    let mut state = core.state();
    let Some(tenure) = state.lanes_held.remove(lane) else { return };
    tenure.over.cancel();
    tracing::error!("This host has let go of the lane {lane}: {why}.");
    for running in state.turns.values().filter(|running| running.lane == lane) {
        // A full queue holds an ending already.
        let _full = running.signal.try_send(Signal::Fenced);
    }
}

impl Core {
    /// Notes a claimed lane. `asked_ms` is the moment before the store was asked.
    pub(crate) fn hold_lane(&self, claimed: &Claimed, asked_ms: u64) {
        if !self.who.is_alone() {
            let tenure = Tenure::new(claimed.lease.clone(), asked_ms, false);
            self.state().lanes_held.insert(claimed.lane.clone(), tenure);
        }
    }

    /// Whether the claim still stands, as far as is known here.
    pub(crate) fn holds_lane(&self, claimed: &Claimed) -> bool {
        let epoch = claimed.lease.epoch();
        self.who.is_alone()
            || self.state().lanes_held.get(&claimed.lane).is_some_and(|tenure| tenure.held.epoch() == epoch)
    }

    /// What the worker of an account is told when it is welcomed; nothing where there are no other hosts.
    pub(crate) fn lease_of(&self, account: &str) -> Option<Lease> {
        (!self.who.is_alone()).then(|| lease(&self.state().held, account))
    }

    /// Claims an account that is not held yet. `None` while it is another host's.
    pub(crate) async fn claim(&self, account: &str) -> Kept<Option<Held>> {
        if let Some(tenure) = self.state().held.get(account) {
            return Ok(Some(tenure.held.clone()));
        }
        let (who, named, asked_ms) = (self.who.clone(), account.to_owned(), uptime_ms());
        let alone = who.is_alone() || account == self.webchat();
        let claimed = self.desk.write(move |store| {
            if alone {
                return Ok(store.claim_account(&who, &named)?.map(|held| (held, true)));
            }
            let mine =
                |record: &LeaseRecord| record.what == Lost::Account(named.clone()) && record.host == who.host;
            let before = store.leases()?.into_iter().find(mine).map(|record| record.epoch);
            let held = store.claim_account(&who, &named)?;
            Ok(held.map(|held| {
                let continues = before.is_some_and(|epoch| epoch + 1 == held.epoch());
                (held, continues)
            }))
        });
        let Some((held, continues)) = claimed.await? else { return Ok(None) };
        let tenure = Tenure { continues, ..Tenure::new(held, asked_ms, alone) };
        if tenure.is_over(uptime_ms()) {
            // The store took so long that nothing of it is left to act on.
            return Ok(None);
        }
        Ok(Some(self.state().held.entry(account.to_owned()).or_insert(tenure).held.clone()))
    }
}

/// Whether it says that another host is there: each holds the account of its own port.
fn is_others_port(record: &LeaseRecord, own: &str) -> bool {
    let port = matches!(&record.what, Lost::Account(account) if is_webchat(account));
    port && record.left_ms > 0 && record.host != own
}

/// Takes over accounts that are free, looks after lanes that others have left, and hears what others have decided.
async fn look(core: &Arc<Core>, (leases, lanes, allowed): Seen) {
    core.note_others(leases.iter().any(|record| is_others_port(record, &core.who.host)));
    let wanted: Vec<String> = {
        let mut state = core.state();
        state.paired = allowed.into_iter().collect();
        let channels =
            state.workers.iter().filter(|(_, worker)| worker.role == Role::Channel && worker.ready);
        let accounts = channels.filter_map(|(unit, _)| unit.strip_prefix("channel:"));
        accounts.filter(|account| !state.held.contains_key(*account)).map(str::to_owned).collect()
    };
    for account in wanted {
        let what = Lost::Account(account.clone());
        let taken = |record: &&LeaseRecord| record.what == what && record.left_ms > 0;
        if leases.iter().find(taken).is_some_and(|record| record.host != core.who.host) {
            continue;
        }
        match core.claim(&account).await {
            Ok(Some(_)) => {
                tracing::info!("This host has taken over the account {account}.");
                begin(core, &account).await;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!("The account {account} cannot be taken over: {error}"),
        }
    }
    let mut state = core.state();
    let now = Instant::now();
    for open in lanes {
        if !state.lanes.knows(&open.lane) && state.workers.contains_key(&agent_unit(&open.agent)) {
            state.lanes.arrived(&open.lane, &open.agent, now, Duration::ZERO);
        }
    }
    // What another host's turn has to say goes out here, where the account is.
    for account in state.held.keys() {
        if let Some(worker) = state.workers.get(&channel_unit(account)) {
            worker.outbound.notify_one();
        }
    }
    drop(state);
    core.wake.notify_one();
}

/// Has an account's worker begin: what may be in doubt is settled, then messages come and go.
async fn begin(core: &Arc<Core>, account: &str) {
    let link = {
        let state = core.state();
        let Some(worker) = state.workers.get(&channel_unit(account)) else { return };
        (worker.link.clone(), lease(&state.held, account))
    };
    links::begin(core, account).await;
    let (link, lease) = link;
    if let Err(error) = link.notify::<Lease>(&lease).await {
        tracing::warn!("The worker of {account} was not told that the account is its again: {error}");
    }
}
