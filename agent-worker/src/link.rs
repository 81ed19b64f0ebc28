//! The worker's end of the link: handshake, turns, and the end.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use creel_ipc::hello::{Ready, Reconfigure, Renew, SelfTest, WorkerConfig};
use creel_ipc::msg::Empty;
use creel_ipc::msg::agent::{AgentConfig, TurnAbort, TurnRef, TurnStart, TurnStartParams, TurnTool};
use creel_ipc::msg::tool::ToolOutput;
use creel_ipc::rpc::params;
use creel_ipc::{ErrorClass, ExitCode, Hello, Notify, PROTOCOL, Reject, Request, Role, RpcError, Welcome};
use creel_link::{Event, Incoming};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::turn::drive::{self, Desk};

/// Turns that may run at the same time; more are asked to come back.
const MAX_TURNS: usize = 64;
/// Milliseconds after which to ask again for a turn that is being stopped.
const STOPPED_WITHIN_MS: u64 = 200;

/// What the worker says about itself.
#[derive(Debug, Clone)]
pub struct Introduction {
    /// The unit's name.
    pub unit: String,
    /// What it found when it tried what must be forbidden.
    pub selftest: Option<SelfTest>,
    /// Takes a new log filter.
    pub set_log_level: fn(&str),
}

struct Running {
    epoch: Arc<AtomicU64>,
    abort: watch::Sender<bool>,
}

/// A worker on its link.
pub struct Worker {
    desk: Desk,
    introduction: Introduction,
    config: Option<Arc<AgentConfig>>,
    running: HashMap<String, Running>,
    turns: JoinSet<String>,
}

impl Worker {
    /// A worker that has not said hello.
    pub fn new(desk: Desk, introduction: Introduction) -> Self {
        Self { desk, introduction, config: None, running: HashMap::new(), turns: JoinSet::new() }
    }

    /// Serves the link until it ends or the worker is not taken in. Gives the exit code.
    pub async fn serve(mut self, mut incoming: Incoming) -> u8 {
        self.hello(None).await;
        loop {
            tokio::select! {
                event = incoming.recv() => match event {
                    Some(event) => {
                        if let Some(code) = self.take(event).await {
                            return code;
                        }
                    }
                    None => {
                        tracing::info!("the gateway closed the link");
                        return ExitCode::Ok.code();
                    }
                },
                Some(ended) = self.turns.join_next() => {
                    if let Ok(turn) = ended {
                        self.running.remove(&turn);
                    }
                }
            }
        }
    }

    async fn hello(&self, session: Option<String>) {
        let running = self.running.iter().map(|(turn, running)| TurnRef {
            turn: turn.clone(),
            epoch: running.epoch.load(Ordering::Acquire),
        });
        let hello = Hello {
            protocol: PROTOCOL,
            role: Role::Agent,
            unit: self.introduction.unit.clone(),
            pid: std::process::id(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            caps: Vec::new(),
            session,
            running: running.collect(),
            selftest: self.introduction.selftest.clone(),
        };
        // A closed link is seen by the loop.
        let _closed = self.desk.link.notify::<Hello>(&hello).await;
    }

    async fn take(&mut self, event: Event) -> Option<u8> {
        match event {
            Event::Notification { method, params: given, .. } => return self.notified(&method, given).await,
            Event::Request { id, method, params: given } => {
                let outcome = match method.as_str() {
                    TurnStart::METHOD => params(&method, given).and_then(|start| self.start(start)),
                    TurnAbort::METHOD => params(&method, given).map(|turn| self.abort(&turn)),
                    _ => Err(RpcError::no_method(&method)),
                };
                let outcome = outcome.map(|Empty {}| Value::Object(serde_json::Map::new()));
                self.desk.link.respond(id, outcome).await;
            }
            Event::Stray { reason } => tracing::warn!(reason, "a line was skipped"),
        }
        None
    }

    async fn notified(&mut self, method: &str, given: Value) -> Option<u8> {
        match method {
            Welcome::METHOD => match params::<Welcome>(method, given) {
                Ok(welcome) => return self.welcome(welcome).await,
                Err(error) => {
                    tracing::error!(%error, "the welcome cannot be read");
                    return Some(ExitCode::Protocol.code());
                }
            },
            Reject::METHOD => {
                let reject = params::<Reject>(method, given);
                let reject = reject.unwrap_or_else(|error| Reject {
                    reason: error.message,
                    exit_code: ExitCode::Protocol.code(),
                });
                tracing::error!(reason = reject.reason, "the gateway does not take this worker in");
                return Some(reject.exit_code);
            }
            Renew::METHOD => {
                if let Ok(renew) = params::<Renew>(method, given) {
                    self.hello(Some(renew.session)).await;
                }
            }
            Reconfigure::METHOD => match params::<Reconfigure>(method, given) {
                Ok(Reconfigure { config: WorkerConfig::Agent(config) }) => self.configure(*config),
                Ok(_) => tracing::error!("the new configuration is not an agent's; the old one stays"),
                Err(error) => {
                    tracing::error!(%error, "the new configuration cannot be read; the old one stays");
                }
            },
            ToolOutput::METHOD => {
                if let Ok(output) = params::<ToolOutput>(method, given)
                    && let Some(update) = self.desk.runs.update(output)
                {
                    self.desk.link.offer::<TurnTool>(&update);
                }
            }
            other => tracing::debug!(method = other, "a notification is not known here"),
        }
        None
    }

    async fn welcome(&mut self, welcome: Welcome) -> Option<u8> {
        if !PROTOCOL.accepts(welcome.protocol) {
            let Welcome { protocol, .. } = welcome;
            tracing::error!(
                major = protocol.major,
                "the gateway speaks another major version of the protocol"
            );
            return Some(ExitCode::Protocol.code());
        }
        let WorkerConfig::Agent(config) = welcome.config else {
            tracing::error!("the welcome holds no configuration of an agent");
            return Some(ExitCode::Config.code());
        };
        self.configure(*config);
        // At the start nothing is unanswered, and this sends nothing but a blank line.
        self.desk.link.resend().await;
        let _closed = self.desk.link.notify::<Ready>(&Ready {}).await;
        None
    }

    fn configure(&mut self, config: AgentConfig) {
        if let Some(level) = &config.log_level {
            (self.introduction.set_log_level)(level);
        }
        self.config = Some(Arc::new(config));
    }

    fn start(&mut self, start: TurnStartParams) -> Result<Empty, RpcError> {
        let Some(config) = &self.config else {
            return Err(RpcError::new(ErrorClass::Transient, "The agent has no configuration yet."));
        };
        if let Some(running) = self.running.get(&start.turn.turn) {
            if *running.abort.borrow() {
                // What is being stopped must not end under the epoch of who wants it done.
                let message = format!("The turn {} is just being stopped.", start.turn.turn);
                return Err(RpcError::retry_after(message, STOPPED_WITHIN_MS));
            }
            // Asked again, maybe by a new gateway with a new epoch: the turn goes on under it.
            running.epoch.fetch_max(start.turn.epoch, Ordering::AcqRel);
            return Ok(Empty {});
        }
        if self.running.len() >= MAX_TURNS {
            let message = format!("The agent is busy with {MAX_TURNS} turns.");
            return Err(RpcError::retry_after(message, 1000));
        }
        let epoch = Arc::new(AtomicU64::new(start.turn.epoch));
        let (abort, aborted) = watch::channel(false);
        let turn = start.turn.turn.clone();
        self.running.insert(turn.clone(), Running { epoch: Arc::clone(&epoch), abort });
        let (desk, config) = (self.desk.clone(), Arc::clone(config));
        self.turns.spawn(async move {
            drive::run(desk, config, start, epoch, aborted).await;
            turn
        });
        Ok(Empty {})
    }

    fn abort(&mut self, turn: &TurnRef) -> Empty {
        // A turn that was claimed anew since goes on: that was said of an earlier claim.
        let meant = |running: &&Running| running.epoch.load(Ordering::Acquire) <= turn.epoch;
        if let Some(running) = self.running.get(&turn.turn).filter(meant) {
            running.abort.send_replace(true);
        }
        Empty {}
    }
}
