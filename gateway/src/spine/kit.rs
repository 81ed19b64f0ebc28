use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use creel_ipc::hello::{Ready, Renew};
use creel_ipc::msg::Empty;
use creel_ipc::msg::agent::{
    Reply, StepBegin, StepBeginParams, StepBegun, StepEnd, StepEndParams, TurnDone, TurnDoneParams,
    TurnOutcome, TurnRef, TurnStart, TurnStartParams,
};
use creel_ipc::msg::channel::{
    Chat, ChatKind, Inbound, InboundMessage, SendMessage, SendParams, Sender, Sent, Stored,
};
use creel_ipc::msg::supervisor::UnitAttached;
use creel_ipc::msg::transcript::{Block, Entry, Usage};
use creel_ipc::{Hello, Notify, PROTOCOL, Request, Role, RpcError, Secret, Welcome, rpc};
use creel_link::{CallError, Event, Incoming, Link, Vitals};
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::sync::{Notify as Bell, mpsc};

use crate::core::Core;
use crate::hub::Hub;
use crate::settings::Settings;
use crate::store::{Desk, Rules, Sqlite};
use crate::{lane, links};

/// Anybody may write, every message is a turn of its own.
pub(super) const OPEN: &str = r#"{
    channels: { telegram: { botToken: "1:x", dmPolicy: "open", allowFrom: ["*"], groupPolicy: "open" } },
    messages: { queue: { mode: "followup" } },
}"#;

/// Long enough for a loaded machine; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A home that outlives its gateways.
pub(super) struct Home {
    folder: tempfile::TempDir,
    text: String,
    rules: Rules,
}

impl Home {
    pub(super) fn new(text: &str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), text: text.to_owned(), rules: Rules::KEPT }
    }

    pub(super) fn without_rules(text: &str) -> Self {
        Self { rules: Rules::BROKEN, ..Self::new(text) }
    }

    pub(super) fn database(&self) -> PathBuf {
        self.folder.path().join("creel.db")
    }

    /// Starts a gateway on this home's database.
    pub(super) async fn gateway(&self) -> Gateway {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let settings = Settings::of_text(&self.text, self.folder.path());
        let desk = Desk::over_sqlite(Sqlite::open(&self.database(), self.rules).unwrap()).unwrap();
        let core = runtime
            .spawn(Core::open(desk, settings, Secret::new("token"), None, Vitals::default()))
            .await
            .unwrap()
            .unwrap();
        runtime.spawn(lane::schedule(Arc::clone(&core)));
        Gateway { hub: Hub::new(Arc::clone(&core)), core, runtime: Some(runtime) }
    }
}

/// A gateway that can be killed at any point of its work.
pub(super) struct Gateway {
    pub(super) hub: Hub,
    pub(super) core: Arc<Core>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Gateway {
    pub(super) fn attach(&self, worker: &Worker, fresh: bool) {
        let attached = UnitAttached {
            fds: 1,
            unit: worker.unit.clone(),
            kind: worker.role,
            incarnation: worker.incarnation,
            fresh,
        };
        let socket = worker.gateway_end.try_clone().unwrap();
        let _inside = self.runtime.as_ref().unwrap().enter();
        links::attach(&self.core, attached, socket);
    }

    /// As `kill -9` does: every task ends where it stands, no destructor says goodbye.
    pub(super) fn crash(mut self) {
        let runtime = self.runtime.take().unwrap();
        // A dead process reads no more from the sockets that its successor has; a runtime that is only told to end
        // may. Waiting for it is not allowed on a thread that runs tasks.
        std::thread::spawn(move || runtime.shutdown_timeout(PATIENCE)).join().unwrap();
    }

    /// Waits until the hub shows what is wanted.
    pub(super) async fn until<T, A: Future<Output = Option<T>>>(
        &self,
        what: &str,
        mut look: impl FnMut(Hub) -> A,
    ) -> T {
        let wait = async {
            loop {
                if let Some(seen) = look(self.hub.clone()).await {
                    return seen;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never seen: {what}"))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits for a condition of the peers.
pub(super) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "never seen: {what}");
}

/// One process at the other end of a link, with the supervisor's duplicate of the gateway's end.
pub(super) struct Worker {
    pub(super) unit: String,
    pub(super) role: Role,
    pub(super) incarnation: u64,
    pub(super) link: Link,
    gateway_end: OwnedFd,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

type Asked = (u64, String, Value);

impl Worker {
    fn start(
        unit: &str,
        role: Role,
        incarnation: u64,
        running: Arc<Mutex<Vec<TurnRef>>>,
    ) -> (Self, mpsc::Receiver<Asked>) {
        let (worker_end, gateway_end) = UnixStream::pair().unwrap();
        let (link, incoming) = Link::new(worker_end, 0, Vitals::default());
        let (asked, requests) = mpsc::channel(256);
        let task = tokio::spawn(introduce(unit.to_owned(), role, link.clone(), incoming, running, asked));
        let worker = Self {
            unit: unit.to_owned(),
            role,
            incarnation,
            link,
            gateway_end: gateway_end.into_std().unwrap().into(),
            tasks: vec![task],
        };
        (worker, requests)
    }

    /// As `kill -9` does; the supervisor closes its duplicate, too.
    pub(super) async fn kill(self) {
        let Self { link, gateway_end, tasks, .. } = self;
        for task in &tasks {
            task.abort();
        }
        for task in tasks {
            let _aborted = task.await;
        }
        drop((link, gateway_end));
    }
}

async fn introduce(
    unit: String,
    role: Role,
    link: Link,
    mut incoming: Incoming,
    running: Arc<Mutex<Vec<TurnRef>>>,
    asked: mpsc::Sender<Asked>,
) {
    let hello = |session: Option<String>| Hello {
        protocol: PROTOCOL,
        role,
        unit: unit.clone(),
        pid: 1,
        build: "test".to_owned(),
        caps: Vec::new(),
        session,
        running: running.lock().unwrap().clone(),
        selftest: None,
    };
    link.notify::<Hello>(&hello(None)).await.unwrap();
    while let Some(event) = incoming.recv().await {
        match event {
            Event::Notification { method, params, .. } if method == Renew::METHOD => {
                let renew: Renew = serde_json::from_value(params).unwrap();
                link.notify::<Hello>(&hello(Some(renew.session))).await.unwrap();
            }
            Event::Notification { method, .. } if method == Welcome::METHOD => {
                link.resend().await;
                link.notify::<Ready>(&Ready {}).await.unwrap();
            }
            Event::Request { id, method, params } => asked.send((id, method, params)).await.unwrap(),
            Event::Notification { .. } | Event::Stray { .. } => {}
        }
    }
}

/// What all lives of an agent have in common: the outer world that its tools change.
#[derive(Default)]
pub(super) struct World {
    /// Times that the tool really ran, by the text that it ran for.
    pub(super) effects: Mutex<HashMap<String, usize>>,
    /// Turns that were begun, in order.
    pub(super) begun: Mutex<Vec<TurnStartParams>>,
    /// Turns under way at this moment.
    pub(super) at_once: AtomicUsize,
    pub(super) most_at_once: AtomicUsize,
    /// While set, turns stop after their tool step.
    pub(super) hold: AtomicBool,
    pub(super) released: Bell,
    /// Turns that stand where they are held.
    pub(super) held: AtomicUsize,
    /// What ends of turns were answered.
    pub(super) endings: Mutex<Vec<Result<(), String>>>,
}

impl World {
    pub(super) fn release(&self) {
        self.hold.store(false, Ordering::SeqCst);
        self.released.notify_waiters();
    }

    pub(super) fn effects_of(&self, text: &str) -> usize {
        self.effects.lock().unwrap().get(text).copied().unwrap_or(0)
    }
}

/// One life of an agent that runs one tool and then echoes.
pub(super) fn agent(incarnation: u64, world: &Arc<World>) -> Worker {
    let running: Arc<Mutex<Vec<TurnRef>>> = Arc::default();
    let (mut worker, mut requests) =
        Worker::start("agent:main", Role::Agent, incarnation, Arc::clone(&running));
    let (link, world) = (worker.link.clone(), Arc::clone(world));
    worker.tasks.push(tokio::spawn(async move {
        let mut turns = tokio::task::JoinSet::new();
        let mut known: Vec<TurnRef> = Vec::new();
        while let Some((id, method, params)) = requests.recv().await {
            if method != TurnStart::METHOD {
                link.respond(id, Ok(serde_json::json!({}))).await;
                continue;
            }
            let start: TurnStartParams = rpc::params(&method, params).unwrap();
            link.answer::<TurnStart>(id, Ok(Empty {})).await;
            // Repeating a start is harmless.
            if known.contains(&start.turn) {
                continue;
            }
            known.push(start.turn.clone());
            world.begun.lock().unwrap().push(start.clone());
            running.lock().unwrap().push(start.turn.clone());
            turns.spawn(echo(link.clone(), Arc::clone(&world), start, Arc::clone(&running)));
        }
    }));
    worker
}

async fn echo(link: Link, world: Arc<World>, start: TurnStartParams, running: Arc<Mutex<Vec<TurnRef>>>) {
    let now = world.at_once.fetch_add(1, Ordering::SeqCst) + 1;
    world.most_at_once.fetch_max(now, Ordering::SeqCst);
    let outcome = echo_steps(&link, &world, &start).await;
    world.at_once.fetch_sub(1, Ordering::SeqCst);
    running.lock().unwrap().retain(|turn| *turn != start.turn);
    world.endings.lock().unwrap().push(outcome.map_err(|error| error.to_string()));
}

async fn echo_steps(link: &Link, world: &World, start: &TurnStartParams) -> Result<(), CallError> {
    let said: Vec<&str> = start.input.iter().map(|input| input.text.as_str()).collect();
    let said = said.join(" | ");
    let turn = &start.turn;
    let begin = StepBeginParams {
        turn: turn.clone(),
        step: 0,
        name: "exec".to_owned(),
        call_id: "c0".to_owned(),
        arguments: serde_json::json!({"command": said}),
    };
    match link.call::<StepBegin>(&begin).await? {
        StepBegun::New => {
            *world.effects.lock().unwrap().entry(said.clone()).or_default() += 1;
            let entry = result_entry(&said);
            link.call::<StepEnd>(&StepEndParams { turn: turn.clone(), step: 0, entry }).await?;
        }
        StepBegun::Done { .. } | StepBegun::Uncertain => {}
    }
    if world.hold.load(Ordering::SeqCst) {
        let released = world.released.notified();
        world.held.fetch_add(1, Ordering::SeqCst);
        if world.hold.load(Ordering::SeqCst) {
            released.await;
        }
        world.held.fetch_sub(1, Ordering::SeqCst);
    }
    let done = TurnDoneParams {
        turn: turn.clone(),
        outcome: TurnOutcome::Done,
        error: None,
        replies: vec![Reply { text: format!("echo: {said}"), attachments: Vec::new() }],
        usage: Usage { input: 3, output: 2, cache_read: 0, cache_write: 0 },
    };
    link.call::<TurnDone>(&done).await.map(|_| ())
}

fn result_entry(said: &str) -> Entry {
    Entry::ToolResult {
        tool_call_id: "c0".to_owned(),
        tool_name: "exec".to_owned(),
        content: vec![Block::text(format!("ran {said}"))],
        is_error: false,
        timestamp: 1,
    }
}

/// The platform behind an account, which outlives its workers.
#[derive(Default)]
pub(super) struct Platform {
    /// What it was given, in order: key, chat, text.
    pub(super) said: Mutex<Vec<(String, String, String)>>,
    /// While set, sends are taken and not answered.
    pub(super) mute: AtomicBool,
    /// Sends that were taken and not answered.
    pub(super) taken: AtomicUsize,
    /// Errors to answer the next sends with.
    pub(super) errors: Mutex<Vec<RpcError>>,
}

impl Platform {
    pub(super) fn texts(&self) -> Vec<String> {
        self.said.lock().unwrap().iter().map(|(_, _, text)| text.clone()).collect()
    }

    pub(super) fn in_chat(&self, chat: &str) -> Vec<String> {
        let said = self.said.lock().unwrap();
        said.iter().filter(|(_, to, _)| to == chat).map(|(_, _, text)| text.clone()).collect()
    }
}

/// One life of a channel worker. Within it a key is sent once, as the contract says.
pub(super) fn channel(incarnation: u64, platform: &Arc<Platform>) -> Worker {
    let (mut worker, mut requests) =
        Worker::start("channel:telegram:default", Role::Channel, incarnation, Arc::default());
    let (link, platform) = (worker.link.clone(), Arc::clone(platform));
    worker.tasks.push(tokio::spawn(async move {
        let mut sent: HashMap<String, Sent> = HashMap::new();
        while let Some((id, method, params)) = requests.recv().await {
            assert_eq!(method, SendMessage::METHOD);
            let send: SendParams = rpc::params(&method, params).unwrap();
            if let Some(known) = sent.get(&send.key) {
                link.answer::<SendMessage>(id, Ok(known.clone())).await;
                continue;
            }
            let error = platform.errors.lock().unwrap().pop();
            if let Some(error) = error {
                link.answer::<SendMessage>(id, Err(error)).await;
                continue;
            }
            platform.said.lock().unwrap().push((send.key.clone(), send.route.chat_id, send.text));
            let done = Sent { message_ids: vec![format!("m{}", sent.len())] };
            sent.insert(send.key, done.clone());
            if platform.mute.load(Ordering::SeqCst) {
                platform.taken.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            link.answer::<SendMessage>(id, Ok(done)).await;
        }
    }));
    worker
}

pub(super) fn direct(ext_id: &str, from: &str, text: &str) -> Inbound {
    Inbound {
        ext_id: ext_id.to_owned(),
        message_id: ext_id.to_owned(),
        chat: Chat {
            id: from.to_owned(),
            kind: ChatKind::Direct,
            title: None,
            thread: None,
            parent: None,
            guild: None,
            team: None,
        },
        sender: Sender {
            id: from.to_owned(),
            name: Some(format!("Person {from}")),
            username: None,
            roles: Vec::new(),
            is_bot: false,
        },
        text: text.to_owned(),
        mentioned: false,
        quote: None,
        attachments: Vec::new(),
        at_ms: 1_000,
        cursor: Some(ext_id.to_owned()),
    }
}

pub(super) async fn say(worker: &Worker, message: &Inbound) -> Result<Stored, CallError> {
    tokio::time::timeout(PATIENCE, worker.link.call::<InboundMessage>(message)).await.expect("an answer")
}
