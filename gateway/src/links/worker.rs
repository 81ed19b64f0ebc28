//! One worker's link, from the handshake to its end.

use std::sync::Arc;
use std::time::Duration;

use creel_ipc::hello::{Ready, Reconfigure, WorkerConfig};
use creel_ipc::limits::{HANDSHAKE_MS, STRAY_WINDOW_MS, STRAYS};
use creel_ipc::msg::supervisor::{UnitFault, UnitReady};
use creel_ipc::msg::unit::{ExitCause, SelfTested, UnitState};
use creel_ipc::{ExitCode, Hello, Limits, Notify as _, PROTOCOL, Reject, Role, Welcome};
use creel_link::{Event, Incoming, Link};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::refusals::Budget;
use super::{agent, channel, watchdog};
use crate::core::{Core, Worker};
use crate::lane::Signal;
use crate::store::{Kept, StoreError};

/// How long a worker may live on after it closed its link.
const CLOSED_GRACE: Duration = Duration::from_secs(2);
/// A worker that is asked to introduce itself again may be stopped at the moment; it gets more time than a new one.
const RENEWAL: Duration = Duration::from_secs(60);
/// How long a welcome waits for a store that finds no room; the supervisor gives a unit 30 s to be ready.
const WELCOME_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks at it.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The gateway's end of a worker's link.
#[derive(Debug, Clone)]
pub(crate) struct Attached {
    pub core: Arc<Core>,
    pub unit: String,
    pub role: Role,
    pub incarnation: u64,
    /// Whether no gateway had it before.
    pub fresh: bool,
    pub link: Link,
    pub gone: CancellationToken,
}

/// Serves the link until it ends.
pub(crate) async fn serve(this: Attached, mut incoming: Incoming) {
    this.enter();
    if !this.fresh && this.link.renew(&this.core.who.life).await.is_err() {
        return this.leave();
    }
    let (faults, mut faulty) = mpsc::channel(1);
    let patience = if this.fresh { Duration::from_millis(HANDSHAKE_MS) } else { RENEWAL };
    let deadline = Instant::now() + patience;
    let mut welcomed = false;
    let mut strays: (u32, Instant) = (0, Instant::now());
    let (mut closed, mut flooded) = (false, false);
    loop {
        tokio::select! {
            event = incoming.recv() => match event {
                None => {
                    closed = true;
                    break;
                }
                Some(Event::Stray { reason }) => {
                    tracing::warn!("{} wrote a line that is no message: {reason}", this.unit);
                    if this.too_many_strays(&mut strays) {
                        this.fault(ExitCause::Protocol, "It wrote too many lines that are no messages.").await;
                    }
                }
                Some(Event::Notification { method, params, .. }) if method == Hello::METHOD => {
                    match this.greet(params).await {
                        Greeting::Welcomed => {
                            if !welcomed {
                                tokio::spawn(watchdog::watch(this.clone(), faults.clone()));
                            }
                            welcomed = true;
                            // A worker that was up before goes on; a new one says when it is.
                            if !this.fresh {
                                this.ready().await;
                            }
                        }
                        Greeting::Stale => {}
                        Greeting::Refused => break,
                    }
                }
                // Each request that is answered costs memory until its answer can be written.
                Some(Event::Request { .. }) if this.floods() => {
                    if !std::mem::replace(&mut flooded, true) {
                        let most = Limits::default().inflight;
                        let detail = format!("It floods its link: more than {most} requests wait for an answer.");
                        this.fault(ExitCause::Protocol, &detail).await;
                    }
                }
                // What was written for an earlier gateway is written again after the welcome.
                Some(_) if !welcomed => {}
                Some(Event::Notification { method, .. }) if method == Ready::METHOD => this.ready().await,
                Some(event) => this.take(event).await,
            },
            () = tokio::time::sleep_until(deadline), if !welcomed => {
                this.fault(ExitCause::Protocol, "It did not say hello in time.").await;
                break;
            }
            Some(detail) = faulty.recv() => {
                let detail: String = detail;
                this.fault(ExitCause::Watchdog, &detail).await;
            }
            () = this.gone.cancelled() => break,
            () = this.core.stopping.cancelled() => return,
        }
    }
    this.leave();
    if closed {
        this.replace_if_it_lives().await;
    }
}

enum Greeting {
    Welcomed,
    /// An answer to another gateway.
    Stale,
    Refused,
}

impl Attached {
    /// The agent's or account's name without the unit's kind.
    pub(super) fn name(&self) -> &str {
        self.unit.split_once(':').map_or(self.unit.as_str(), |(_, name)| name)
    }

    fn enter(&self) {
        let worker = Worker {
            role: self.role,
            incarnation: self.incarnation,
            link: self.link.clone(),
            ready: false,
            selftest: None,
            status: None,
            refusals: Budget::default(),
            fresh: self.fresh,
            sending: Arc::new(()),
            outbound: Arc::new(Notify::new()),
            gone: self.gone.clone(),
        };
        if let Some(before) = self.core.state().workers.insert(self.unit.clone(), worker) {
            before.gone.cancel();
        }
        self.lose_turns(|incarnation| incarnation != self.incarnation);
    }

    fn leave(&self) {
        self.gone.cancel();
        {
            let mut state = self.core.state();
            let mine = |worker: &Worker| worker.incarnation == self.incarnation;
            if state.workers.get(&self.unit).is_some_and(mine) {
                state.workers.remove(&self.unit);
            }
        }
        self.lose_turns(|incarnation| incarnation == self.incarnation);
        tracing::info!("The link of {} has ended.", self.unit);
    }

    /// Turns of lives of this agent that are over.
    fn lose_turns(&self, over: impl Fn(u64) -> bool) {
        if self.role != Role::Agent {
            return;
        }
        for running in self.core.state().turns.values() {
            if running.agent == self.name() && over(running.incarnation) {
                // A full queue holds an ending already.
                let _full = running.signal.try_send(Signal::Lost);
            }
        }
    }

    async fn greet(&self, params: serde_json::Value) -> Greeting {
        let hello: Hello = match creel_ipc::rpc::params(Hello::METHOD, params) {
            Ok(hello) => hello,
            Err(error) => return self.refuse(error.message).await,
        };
        if !self.fresh && hello.session.as_deref() != Some(&self.core.who.life) {
            return Greeting::Stale;
        }
        if !PROTOCOL.accepts(hello.protocol) {
            return self
                .refuse(format!(
                    "{} speaks protocol {}.{}, and this gateway speaks {}.{}. Install both from one release.",
                    self.unit, hello.protocol.major, hello.protocol.minor, PROTOCOL.major, PROTOCOL.minor
                ))
                .await;
        }
        if hello.role != self.role || hello.unit != self.unit {
            return self
                .refuse(format!("This link belongs to {}, and {} spoke on it.", self.unit, hello.unit))
                .await;
        }
        if let Some(escaped) =
            hello.selftest.as_ref().map(|test| &test.escaped).filter(|list| !list.is_empty())
        {
            // Without a welcome it learns no secret.
            let detail = format!(
                "Its self-test got past its sandbox: {}. It is not used; `creel sandbox test` shows what this machine denies.",
                escaped.join(", ")
            );
            self.fault(ExitCause::Sandbox, &detail).await;
            return Greeting::Refused;
        }
        {
            let mut state = self.core.state();
            if let Some(worker) =
                state.workers.get_mut(&self.unit).filter(|w| w.incarnation == self.incarnation)
            {
                worker.selftest = hello.selftest.as_ref().map(SelfTested::from);
            }
        }
        let welcome = match self.welcome_when_there_is_room().await {
            Ok(Some(welcome)) => welcome,
            Ok(None) => return self.refuse(format!("{} is not configured.", self.unit)).await,
            Err(error @ (StoreError::Full(_) | StoreError::Away(_))) => {
                // Nothing is wrong with the worker: it is started again for as long as it takes.
                self.fault(ExitCause::Busy, &error.to_string()).await;
                return Greeting::Refused;
            }
            Err(error) => {
                tracing::error!("{} cannot be welcomed: {error}", self.unit);
                return Greeting::Refused;
            }
        };
        if self.role == Role::Agent {
            agent::adopt(self, &hello.running).await;
        }
        if self.link.notify::<Welcome>(&welcome).await.is_err() {
            return Greeting::Refused;
        }
        self.link.resend().await;
        Greeting::Welcomed
    }

    async fn refuse(&self, reason: String) -> Greeting {
        tracing::error!("{} is turned away: {reason}", self.unit);
        let reject = Reject { reason: reason.clone(), exit_code: ExitCode::Protocol.code() };
        // The link may be gone already.
        let _gone = self.link.notify::<Reject>(&reject).await;
        Greeting::Refused
    }

    /// Waits a while for a store that cannot be written.
    async fn welcome_when_there_is_room(&self) -> Kept<Option<Welcome>> {
        let begun = Instant::now();
        loop {
            match self.welcome().await {
                Err(error @ (StoreError::Full(_) | StoreError::Away(_)))
                    if begun.elapsed() < WELCOME_WITHIN =>
                {
                    self.core.note_store::<()>(&Err(error));
                }
                welcome => return welcome,
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = self.gone.cancelled() => return Err(StoreError::Closed),
                () = self.core.stopping.cancelled() => return Err(StoreError::Closed),
            }
        }
    }

    async fn welcome(&self) -> Kept<Option<Welcome>> {
        let Some(config) = self.config() else { return Ok(None) };
        let (mut epoch, mut cursor) = (1, None);
        if self.role == Role::Channel {
            let held = self.core.claim(self.name()).await?;
            epoch = held.map_or(0, |held| held.epoch());
            let account = self.name().to_owned();
            cursor = self.core.desk.read(move |store| store.cursor(&account)).await?;
        }
        Ok(Some(Welcome {
            protocol: PROTOCOL,
            session: self.core.who.life.clone(),
            epoch,
            limits: Limits::default(),
            config,
            cursor,
            lease: self.core.lease_of(self.name()).filter(|_| self.role == Role::Channel),
        }))
    }

    /// What the worker is told, by the configuration of this moment.
    pub(super) fn config(&self) -> Option<WorkerConfig> {
        config_of(&self.core, self.role, self.name())
    }

    async fn ready(&self) {
        let (first, selftest) = {
            let mut state = self.core.state();
            let worker = state.workers.get_mut(&self.unit).filter(|w| w.incarnation == self.incarnation);
            worker.map_or((false, None), |worker| {
                (!std::mem::replace(&mut worker.ready, true), worker.selftest.clone())
            })
        };
        if let Some(supervisor) = &self.core.supervisor {
            let ready = UnitReady { unit: self.unit.clone(), incarnation: self.incarnation, selftest };
            // Without its supervisor the gateway ends anyway.
            let _closed = supervisor.notify::<UnitReady>(&ready).await;
        }
        if !first {
            return;
        }
        tracing::info!("{} is ready.", self.unit);
        match self.role {
            Role::Channel => channel::begin(&self.core, self.name()).await,
            _ => self.core.wake.notify_one(),
        }
    }

    /// Whether more requests wait than a worker may send without an answer, as it was told in its welcome.
    fn floods(&self) -> bool {
        u32::try_from(self.link.asked()).unwrap_or(u32::MAX) > Limits::default().inflight
    }

    async fn take(&self, event: Event) {
        match self.role {
            Role::Agent => agent::take(self, event).await,
            _ => channel::take(self, event).await,
        }
    }

    /// A worker that closed its link is of no use to anybody: it has a moment to end by itself.
    async fn replace_if_it_lives(&self) {
        tokio::select! {
            () = tokio::time::sleep(CLOSED_GRACE) => {}
            () = self.core.stopping.cancelled() => return,
        }
        let lives = self.core.state().units.get(&self.unit).is_some_and(|status| {
            status.incarnation == self.incarnation
                && matches!(status.state, UnitState::Starting | UnitState::Running)
        });
        if lives {
            self.fault(ExitCause::Protocol, "It closed its link and did not end.").await;
        }
    }

    async fn fault(&self, cause: ExitCause, detail: &str) {
        tracing::error!("{} must be replaced: {detail}", self.unit);
        if let Some(supervisor) = &self.core.supervisor {
            let fault = UnitFault {
                unit: self.unit.clone(),
                incarnation: self.incarnation,
                cause,
                detail: detail.to_owned(),
            };
            // Without its supervisor the gateway ends anyway.
            let _closed = supervisor.notify::<UnitFault>(&fault).await;
        }
    }

    fn too_many_strays(&self, (count, since): &mut (u32, Instant)) -> bool {
        if since.elapsed() > Duration::from_millis(STRAY_WINDOW_MS) {
            (*count, *since) = (0, Instant::now());
        }
        *count += 1;
        *count == STRAYS + 1
    }
}

/// What a worker is told, secrets included.
fn config_of(core: &Core, role: Role, name: &str) -> Option<WorkerConfig> {
    let settings = core.settings();
    match role {
        Role::Agent => {
            let config = settings.config.agent_config(name, &settings.paths, &settings.found)?;
            Some(WorkerConfig::Agent(Box::new(config)))
        }
        Role::Channel => {
            let (channel, account) = name.split_once(':')?;
            settings.config.channel_config(channel, account).map(WorkerConfig::Channel)
        }
        Role::Gateway | Role::Egress | Role::Tool => None,
    }
}

/// Tells every worker its new configuration.
pub(super) fn reconfigure(core: &Arc<Core>) {
    let workers: Vec<(String, Role, Link)> = {
        let state = core.state();
        let ready = state.workers.iter().filter(|(_, worker)| worker.ready);
        ready.map(|(unit, worker)| (unit.clone(), worker.role, worker.link.clone())).collect()
    };
    for (unit, role, link) in workers {
        let name = unit.split_once(':').map_or("", |(_, name)| name);
        // A unit that is not configured any more is stopped by the supervisor.
        let Some(config) = config_of(core, role, name) else { continue };
        tokio::spawn(async move {
            if let Err(error) = link.notify::<Reconfigure>(&Reconfigure { config }).await {
                tracing::warn!("{unit} was not told its new configuration: {error}");
            }
        });
    }
}
