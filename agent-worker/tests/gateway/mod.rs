//! A gateway for tests: the other end of a real socket, with a journal in memory.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use creel_agent::link::{Introduction, Worker};
use creel_agent::model::http::Http;
use creel_agent::turn::drive::Desk;
use creel_agent::turn::tool_call::Runs;
use creel_ipc::hello::{Ready, WorkerConfig};
use creel_ipc::msg::Empty;
use creel_ipc::msg::agent::{
    AgentConfig, ContextPage, Decided, Decision, InputMessage, JournalPage, JournalStep, Model, Provider,
    SessionRef, StepBegin, StepBeginParams, StepBegun, StepEnd, StepEndParams, ToolPolicy, TurnAbort,
    TurnAsk, TurnContext, TurnDelta, TurnDone, TurnDoneParams, TurnJournal, TurnModel, TurnRef, TurnStart,
    TurnStartParams, TurnTool,
};
use creel_ipc::msg::tool::{
    ToolCause, ToolExit, ToolKill, ToolKillParams, ToolRefused, ToolRun, ToolRunParams,
};
use creel_ipc::msg::transcript::{Block, Entry};
use creel_ipc::{ErrorClass, Hello, Limits, Notify, PROTOCOL, Request, RpcError, Secret, Welcome};
use creel_link::{Event, Incoming, Link, Vitals};
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

/// What a command does: its exit, or nothing at all for as long as nobody kills it.
pub(crate) type Exec = Box<dyn FnMut(&ToolRunParams) -> Option<ToolExit> + Send + Sync>;

/// What the gateway saw and keeps.
pub(crate) struct Gateway {
    pub(crate) link: Link,
    incoming: Incoming,
    kept: OwnedFd,
    pub(crate) worker: JoinHandle<u8>,
    pub(crate) history: Vec<Entry>,
    /// By step: whether it was begun, and its result.
    pub(crate) journal: BTreeMap<u32, Option<Entry>>,
    pub(crate) exec: Exec,
    pub(crate) runs: Vec<ToolRunParams>,
    /// Whether the supervisor knows the runs that it is asked after.
    pub(crate) knows_runs: bool,
    pub(crate) kills: Vec<String>,
    /// How often it was asked what people want done.
    pub(crate) asked: u32,
    pub(crate) refused: Vec<ToolRefused>,
    pub(crate) hellos: Vec<Hello>,
    pub(crate) ready: usize,
    pub(crate) text: String,
    pub(crate) deltas: usize,
    pub(crate) tools: Vec<TurnTool>,
    pub(crate) models: Vec<String>,
    pub(crate) done: Option<TurnDoneParams>,
    /// Requests that are read but not answered.
    pub(crate) mute: Vec<&'static str>,
    pub(crate) muted: Vec<(u64, String)>,
}

/// A command that ended well.
pub(crate) fn printed(stdout: &str) -> ToolExit {
    ToolExit { code: Some(0), stdout: stdout.to_owned(), wall_ms: 1, ..ToolExit::of(ToolCause::Exited) }
}

pub(crate) fn provider(api: &str, base_url: &str) -> Provider {
    Provider {
        base_url: base_url.to_owned(),
        api: api.to_owned(),
        api_key: Some(Secret::new("sk-test-not-a-secret")),
        headers: BTreeMap::new(),
    }
}

pub(crate) fn model(provider: &str, id: &str) -> Model {
    Model {
        provider: provider.to_owned(),
        id: id.to_owned(),
        context_window: 100_000,
        max_tokens: 4096,
        reasoning: false,
        images: false,
    }
}

/// A configuration with one provider that is also its id and its api's model.
pub(crate) fn config(workspace: &Path, provider: Provider, models: Vec<Model>) -> AgentConfig {
    AgentConfig {
        agent: "main".to_owned(),
        name: None,
        workspace: workspace.to_str().unwrap().to_owned(),
        providers: models.iter().map(|model| (model.provider.clone(), provider.clone())).collect(),
        models,
        max_iterations: 20,
        turn_timeout_ms: 60_000,
        first_byte_ms: 20_000,
        inactivity_ms: 20_000,
        tools: ToolPolicy::default(),
        thinking: None,
        log_level: None,
    }
}

pub(crate) fn demo(workspace: &Path) -> AgentConfig {
    config(workspace, provider("demo", ""), vec![model("demo", "demo")])
}

pub(crate) fn start(turn: &str, text: &str) -> TurnStartParams {
    TurnStartParams {
        turn: TurnRef { turn: turn.to_owned(), epoch: 1 },
        session: SessionRef {
            key: "agent:main:main".to_owned(),
            id: "s".to_owned(),
            main: true,
            chat_kind: "direct".to_owned(),
            channel: None,
        },
        input: vec![InputMessage {
            text: text.to_owned(),
            sender: None,
            author: None,
            context_only: false,
            quoted: None,
            attachments: Vec::new(),
            at_ms: 1,
        }],
        history: 0,
        journal: 0,
        model: None,
        thinking: None,
    }
}

/// A worker on one end of a new socket; its exit code comes from the handle.
pub(crate) fn worker(socket: UnixStream, demo_pace: Duration, proxy: Option<String>) -> JoinHandle<u8> {
    let vitals = Vitals::default();
    let (link, incoming) = Link::new(socket, 0, vitals.clone());
    let desk = Desk {
        link,
        vitals,
        http: Arc::new(Http::new(proxy)),
        runs: Runs::default(),
        blobs: None,
        demo_pace,
    };
    let introduction = Introduction { unit: "agent:main".to_owned(), selftest: None, set_log_level: |_| {} };
    tokio::spawn(Worker::new(desk, introduction).serve(incoming))
}

impl Gateway {
    /// A gateway with a worker that said hello and was welcomed.
    pub(crate) async fn with(config: AgentConfig) -> Self {
        let mut gateway = Self::greeting(Duration::ZERO).await;
        gateway.welcome(config).await;
        gateway.until(|gateway| gateway.ready > 0).await;
        gateway
    }

    /// A gateway with a worker that said hello.
    pub(crate) async fn greeting(demo_pace: Duration) -> Self {
        Self::make(demo_pace, None).await
    }

    /// The same with a worker that has a proxy.
    pub(crate) async fn behind(proxy: Option<String>) -> Self {
        Self::make(Duration::ZERO, proxy).await
    }

    async fn make(demo_pace: Duration, proxy: Option<String>) -> Self {
        let (worker_end, gateway_end) = UnixStream::pair().unwrap();
        let handle = worker(worker_end, demo_pace, proxy);
        let kept: OwnedFd = gateway_end.into_std().unwrap().into();
        let (link, incoming) = Link::from_fd(kept.try_clone().unwrap(), 1 << 20, Vitals::default()).unwrap();
        let mut gateway = Self {
            link,
            incoming,
            kept,
            worker: handle,
            history: Vec::new(),
            journal: BTreeMap::new(),
            exec: Box::new(|_| Some(printed("ran\n"))),
            runs: Vec::new(),
            knows_runs: true,
            kills: Vec::new(),
            asked: 0,
            refused: Vec::new(),
            hellos: Vec::new(),
            ready: 0,
            text: String::new(),
            deltas: 0,
            tools: Vec::new(),
            models: Vec::new(),
            done: None,
            mute: Vec::new(),
            muted: Vec::new(),
        };
        gateway.until(|gateway| !gateway.hellos.is_empty()).await;
        gateway
    }

    pub(crate) async fn welcome(&self, config: AgentConfig) {
        let welcome = Welcome {
            protocol: PROTOCOL,
            session: "one".to_owned(),
            epoch: 1,
            limits: Limits::default(),
            config: WorkerConfig::Agent(Box::new(config)),
            cursor: None,
            lease: None,
        };
        self.link.notify::<Welcome>(&welcome).await.unwrap();
    }

    pub(crate) async fn begin(&mut self, turn: TurnStartParams) {
        let link = self.link.clone();
        let call = tokio::spawn(async move { link.call::<TurnStart>(&turn).await });
        self.until(|_| call.is_finished()).await;
        call.await.unwrap().unwrap();
    }

    pub(crate) async fn abort(&mut self, turn: &str) {
        let link = self.link.clone();
        let turn = TurnRef { turn: turn.to_owned(), epoch: 1 };
        tokio::spawn(async move { link.call::<TurnAbort>(&turn).await });
    }

    /// Runs a turn to its end.
    pub(crate) async fn turn(&mut self, turn: TurnStartParams) -> TurnDoneParams {
        self.done = None;
        self.begin(turn).await;
        self.until_done().await
    }

    pub(crate) async fn until_done(&mut self) -> TurnDoneParams {
        self.until(|gateway| gateway.done.is_some()).await;
        self.done.clone().unwrap()
    }

    /// Serves until something is true. Half a minute is for ever.
    pub(crate) async fn until(&mut self, mut fact: impl FnMut(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        while !fact(self) {
            // A short wait, so that facts outside of the link are noticed too.
            match tokio::time::timeout(Duration::from_millis(5), self.incoming.recv()).await {
                Ok(Some(event)) => self.serve(event).await,
                Ok(None) => panic!("the worker closed the link"),
                Err(_) => assert!(tokio::time::Instant::now() < deadline, "it never came true"),
            }
        }
    }

    /// Dies and comes back as another process would: on the kept end of the same socket.
    pub(crate) fn reborn(&mut self) {
        let socket = self.kept.try_clone().unwrap();
        let (link, incoming) = Link::from_fd(socket, 1 << 30, Vitals::default()).unwrap();
        self.link = link;
        self.incoming = incoming;
    }

    async fn serve(&mut self, event: Event) {
        match event {
            Event::Notification { method, params, .. } => self.notified(&method, params),
            Event::Request { id, method, params } => {
                if self.mute.contains(&method.as_str()) {
                    self.muted.push((id, method));
                    return;
                }
                if let Some(answer) = self.answer(&method, params) {
                    let unknown = method == ToolRun::METHOD && !self.knows_runs;
                    let unknown =
                        unknown.then(|| RpcError::new(ErrorClass::UnknownOutcome, "Nothing is known."));
                    self.link.respond(id, unknown.map_or(Ok(answer), Err)).await;
                }
            }
            Event::Stray { .. } => {}
        }
    }

    fn notified(&mut self, method: &str, params: Value) {
        match method {
            Hello::METHOD => self.hellos.push(serde_json::from_value(params).unwrap()),
            Ready::METHOD => self.ready += 1,
            TurnDelta::METHOD => {
                let delta: TurnDelta = serde_json::from_value(params).unwrap();
                self.text.push_str(&delta.text);
                self.deltas += 1;
            }
            TurnTool::METHOD => self.tools.push(serde_json::from_value(params).unwrap()),
            TurnModel::METHOD => {
                let model: TurnModel = serde_json::from_value(params).unwrap();
                self.models.push(format!("{}/{}", model.provider, model.model));
            }
            ToolRefused::METHOD => self.refused.push(serde_json::from_value(params).unwrap()),
            other => panic!("a notification `{other}`"),
        }
    }

    fn answer(&mut self, method: &str, params: Value) -> Option<Value> {
        Some(match method {
            TurnContext::METHOD => {
                // Two pages, the newer one first.
                let middle = self.history.len() / 2;
                let page = match params.get("cursor") {
                    Some(_) => ContextPage { entries: self.history[..middle].to_vec(), next: None },
                    None => ContextPage { entries: self.history[middle..].to_vec(), next: Some(1) },
                };
                json!(page)
            }
            TurnJournal::METHOD => {
                let step =
                    |(step, entry): (&u32, &Option<Entry>)| JournalStep { step: *step, entry: entry.clone() };
                json!(JournalPage { steps: self.journal.iter().map(step).collect(), next: None })
            }
            StepBegin::METHOD => {
                let begin: StepBeginParams = serde_json::from_value(params).unwrap();
                let known = match self.journal.get(&begin.step) {
                    None => StepBegun::New,
                    Some(None) => StepBegun::Uncertain,
                    Some(Some(entry)) => StepBegun::Done { entry: entry.clone() },
                };
                self.journal.entry(begin.step).or_insert(None);
                json!(known)
            }
            TurnAsk::METHOD => {
                self.asked += 1;
                json!(Decided { decision: Decision::Unasked })
            }
            StepEnd::METHOD => {
                let end: StepEndParams = serde_json::from_value(params).unwrap();
                self.journal.insert(end.step, Some(end.entry));
                json!(Empty {})
            }
            TurnDone::METHOD => {
                self.done = Some(serde_json::from_value(params).unwrap());
                json!(Empty {})
            }
            ToolRun::METHOD => {
                let run: ToolRunParams = serde_json::from_value(params).unwrap();
                let exit = (self.exec)(&run);
                self.runs.push(run);
                json!(exit?)
            }
            ToolKill::METHOD => {
                let kill: ToolKillParams = serde_json::from_value(params).unwrap();
                self.kills.push(kill.run);
                json!(Empty {})
            }
            other => panic!("a request `{other}`"),
        })
    }

    /// The entries that the turn journalled, in order.
    pub(crate) fn entries(&self) -> Vec<&Entry> {
        self.journal.values().flatten().collect()
    }

    /// The texts of the turn's tool results.
    pub(crate) fn results(&self) -> Vec<String> {
        let results = self.entries().into_iter().filter_map(|entry| match entry {
            Entry::ToolResult { content, .. } => Some(text(content)),
            _ => None,
        });
        results.collect()
    }
}

pub(crate) fn text(content: &[Block]) -> String {
    let texts = content.iter().filter_map(|block| match block {
        Block::Text { text } => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

impl Gateway {
    /// Closes the gateway's end for good; gives the worker's handle.
    pub(crate) fn hang_up(self) -> JoinHandle<u8> {
        self.worker
    }
}
