//! One life of a channel worker on its link.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use creel_ipc::hello::{Ready, Reconfigure, Renew, SelfTest, WorkerConfig};
use creel_ipc::msg::channel::{ChannelConfig, Draft, Lease, SendMessage, SendParams, Typing};
use creel_ipc::{
    ErrorClass, ExitCode, Hello, Notify, PROTOCOL, Reject, Request, Role, RpcError, Welcome, rpc,
};
use creel_link::{Event, Incoming, Link, Vitals};
use serde_json::Value;
use tokio::task::AbortHandle;

use crate::dispatch::Dispatcher;
use crate::inbound::{IN_FLIGHT, Inlet};
use crate::lease::Tenure;
use crate::status::Board;
use crate::typing::Indicators;
use crate::{Account, Ports, Refusing};

/// A worker that was asked to end waits this long for what it is delivering.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Turns of the other tasks before the end.
const LAST_TURNS: usize = 64;

/// Opens the account that a configuration describes, without connecting yet.
pub type Open = dyn Fn(&ChannelConfig) -> Result<Arc<dyn Account>, RpcError> + Send + Sync;
/// Is told of each configuration (for the log level).
pub type Configured = dyn Fn(&ChannelConfig) + Send + Sync;

/// What a channel worker is made of.
pub struct Worker {
    /// The unit's name, such as `channel:telegram:default`.
    pub unit: String,
    /// The build, such as `0.1.0`.
    pub build: String,
    /// What it found when it tried what must be forbidden.
    pub selftest: Option<SelfTest>,
    /// Opens an account.
    pub open: Box<Open>,
    /// Is told of each configuration.
    pub configured: Box<Configured>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("unit", &self.unit).field("build", &self.build).finish_non_exhaustive()
    }
}

/// What runs between the first welcome and the end.
#[derive(Debug)]
struct Life {
    config: ChannelConfig,
    dispatcher: Dispatcher,
    ports: Ports,
    indicators: Indicators,
    tenure: Tenure,
    receiving: AbortHandle,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.receiving.abort();
    }
}

impl Worker {
    /// Lives until the link ends, the gateway rejects it, or `stop` resolves.
    pub async fn run(
        self,
        link: Link,
        mut incoming: Incoming,
        vitals: Vitals,
        stop: impl Future<Output = ()>,
    ) -> ExitCode {
        if self.hello(&link, None).await.is_err() {
            return ExitCode::Ok;
        }
        let mut life = None;
        let mut stop = std::pin::pin!(stop);
        loop {
            let event = tokio::select! {
                event = incoming.recv() => event,
                () = &mut stop => {
                    if let Some(Life { dispatcher, .. }) = &life {
                        dispatcher.quiet(LAST_WORDS).await;
                    }
                    // The writer has its turns, so that the last answers leave with us.
                    for _ in 0..LAST_TURNS {
                        tokio::task::yield_now().await;
                    }
                    return ExitCode::Ok;
                }
            };
            let taken = match event {
                None => return ExitCode::Ok,
                Some(Event::Stray { reason }) => {
                    tracing::warn!(?reason, "A line from the gateway is no message.");
                    Ok(())
                }
                Some(Event::Request { id, method, params }) => {
                    request(&link, life.as_ref(), id, &method, params).await;
                    Ok(())
                }
                Some(Event::Notification { method, params, .. }) => {
                    self.notification(&link, &vitals, &mut life, &method, params).await
                }
            };
            if let Err(code) = taken {
                return code;
            }
        }
    }

    async fn hello(&self, link: &Link, session: Option<String>) -> Result<(), ()> {
        let hello = Hello {
            protocol: PROTOCOL,
            role: Role::Channel,
            unit: self.unit.clone(),
            pid: std::process::id(),
            build: self.build.clone(),
            caps: Vec::new(),
            session,
            running: Vec::new(),
            selftest: self.selftest.clone(),
        };
        link.notify::<Hello>(&hello).await.map_err(|_closed| ())
    }

    async fn notification(
        &self,
        link: &Link,
        vitals: &Vitals,
        life: &mut Option<Life>,
        method: &str,
        params: Value,
    ) -> Result<(), ExitCode> {
        match method {
            Welcome::METHOD => {
                let Some(welcome) = read::<Welcome>(params) else { return Err(ExitCode::Protocol) };
                if !PROTOCOL.accepts(welcome.protocol) {
                    let theirs = welcome.protocol;
                    tracing::error!(?theirs, ours = ?PROTOCOL, "The gateway speaks another major version of the contract.");
                    return Err(ExitCode::Protocol);
                }
                // Reading the certificates of the system takes a while; work that comes meanwhile waits in the link.
                let _closed = link.notify::<Ready>(&Ready {}).await;
                tokio::task::yield_now().await;
                let inflight = usize::try_from(welcome.limits.inflight).unwrap_or(IN_FLIGHT);
                self.configure(link, vitals, life, (welcome.config, welcome.lease.clone()), inflight)?;
                if let Some(life) = life {
                    self.hold(life, welcome.lease);
                }
                link.resend().await;
                if let Some(life) = life {
                    life.ports.board.tell();
                }
            }
            Reconfigure::METHOD => {
                if let Some(new) = read::<Reconfigure>(params) {
                    let lease = life.as_ref().and_then(|life| life.tenure.lease());
                    self.configure(link, vitals, life, (new.config, lease), IN_FLIGHT)?;
                }
            }
            Lease::METHOD => {
                if let (Some(lease), Some(life)) = (read::<Lease>(params), life) {
                    self.hold(life, Some(lease));
                }
            }
            Renew::METHOD => {
                let session = read::<Renew>(params).map(|renew| renew.session);
                let _closed = self.hello(link, session).await;
            }
            Reject::METHOD => {
                let code = read::<Reject>(params).map_or(ExitCode::Protocol, |reject| {
                    tracing::error!(reason = ?reject.reason, code = reject.exit_code, "The gateway does not take this worker in.");
                    exit_code(reject.exit_code)
                });
                return Err(code);
            }
            Typing::METHOD => {
                if let (Some(typing), Some(life)) = (read::<Typing>(params), life) {
                    life.indicators.set(life.dispatcher.account(), typing);
                }
            }
            Draft::METHOD => {
                if let (Some(draft), Some(life)) = (read::<Draft>(params), life)
                    && life.config.streaming
                {
                    life.dispatcher.draft(draft).await;
                }
            }
            other => tracing::debug!(method = ?other, "A notification is not known here."),
        }
        Ok(())
    }

    fn configure(
        &self,
        link: &Link,
        vitals: &Vitals,
        life: &mut Option<Life>,
        (config, lease): (WorkerConfig, Option<Lease>),
        inflight: usize,
    ) -> Result<(), ExitCode> {
        let WorkerConfig::Channel(config) = config else {
            tracing::error!("The gateway sent the configuration of another role.");
            return Err(ExitCode::Protocol);
        };
        (self.configured)(&config);
        match life {
            None => {
                let board = Board::default();
                let inlet = Inlet::new(link.clone(), board.clone(), vitals.clone(), inflight);
                let ports = Ports { inlet, board, vitals: vitals.clone() };
                let account = self.open(&config);
                let tenure = Tenure::new(lease);
                let dispatcher =
                    Dispatcher::new(link.clone(), vitals.clone(), Arc::clone(&account), tenure.clone());
                let receiving = receive(account, dispatcher.clone(), ports.clone(), tenure.clone());
                tokio::spawn(ports.board.clone().report(link.clone()));
                let indicators = Indicators::default();
                *life = Some(Life { config, dispatcher, ports, indicators, tenure, receiving });
            }
            Some(life) => {
                let same = life.config.settings == config.settings && life.config.channel == config.channel;
                if same {
                    life.dispatcher.account().retune(&config);
                } else {
                    self.begin(life, &config);
                }
                life.config = config;
            }
        }
        Ok(())
    }

    /// Receives and sends anew.
    fn begin(&self, life: &mut Life, config: &ChannelConfig) {
        life.receiving.abort();
        life.ports.board.connecting(None);
        let account = self.open(config);
        life.dispatcher.use_account(Arc::clone(&account));
        life.receiving = receive(account, life.dispatcher.clone(), life.ports.clone(), life.tenure.clone());
    }

    /// Takes a lease over; goes on where an earlier one had ended. An account that gave up waits for a human still.
    fn hold(&self, life: &mut Life, lease: Option<Lease>) {
        let rested = life.tenure.rested();
        life.tenure.set(lease);
        if rested && life.tenure.holds() {
            tracing::info!("The account is this worker's again.");
            let config = life.config.clone();
            self.begin(life, &config);
        }
    }

    fn open(&self, config: &ChannelConfig) -> Arc<dyn Account> {
        (self.open)(config).unwrap_or_else(|error| Arc::new(Refusing(error)))
    }
}

/// Receives until the account gives up; from then on it refuses every send with the reason. When the account is not this
/// worker's any more, it waits for the next lease in the same way.
fn receive(account: Arc<dyn Account>, dispatcher: Dispatcher, ports: Ports, tenure: Tenure) -> AbortHandle {
    tenure.go_on();
    let task = tokio::spawn(async move {
        let board = ports.board.clone();
        let Some(error) = tenure.within(account.run(ports)).await else {
            let reason = tenure.rest();
            tracing::warn!("Nothing is received or sent: {reason}");
            board.connecting(Some(reason.clone()));
            return dispatcher.use_account(Arc::new(Refusing(reason)));
        };
        tracing::error!(class = ?error.class(), "The account stopped: {error}");
        board.stopped(error.clone());
        dispatcher.use_account(Arc::new(Refusing(error)));
    });
    task.abort_handle()
}

async fn request(link: &Link, life: Option<&Life>, id: u64, method: &str, params: Value) {
    if method != SendMessage::METHOD {
        return link.respond(id, Err(RpcError::no_method(method))).await;
    }
    let error = match (rpc::params::<SendParams>(method, params), life) {
        (Ok(params), Some(life)) => return life.dispatcher.submit(id, params).await,
        (Ok(_), None) => {
            RpcError::new(ErrorClass::Transient, "The worker has no configuration yet; send it again.")
        }
        (Err(error), _) => error,
    };
    link.respond(id, Err(error)).await;
}

fn read<T: serde::de::DeserializeOwned + Notify>(params: Value) -> Option<T> {
    match rpc::params(T::METHOD, params) {
        Ok(params) => Some(params),
        Err(error) => {
            tracing::error!("{error}");
            None
        }
    }
}

fn exit_code(code: u8) -> ExitCode {
    [ExitCode::Ok, ExitCode::Usage, ExitCode::Busy, ExitCode::Config, ExitCode::Failure]
        .into_iter()
        .find(|known| known.code() == code)
        .unwrap_or(ExitCode::Protocol)
}
