//! The gateway as a process, with this test as its supervisor.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use creel_ipc::hello::{Ready, Reject, Renew, SelfTest, WorkerConfig};
use creel_ipc::msg::supervisor::{
    ConfigApplied, ConfigReload, GatewayConfig, GatewayListen, Shutdown, UnitAttached, UnitChanged, UnitFault,
};
use creel_ipc::msg::tool::{ToolCause, ToolExit, ToolRun, ToolRunParams};
use creel_ipc::msg::unit::UnitState;
use creel_ipc::{Hello, Limits, Notify, PROTOCOL, Protocol, Request, Role, Welcome};
use creel_link::{Event, Incoming, Link, Vitals};

struct Gateway {
    child: Child,
    link: Link,
    incoming: Incoming,
}

impl Gateway {
    fn start() -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let theirs: OwnedFd = theirs.into();
        let child = Command::new(env!("CARGO_BIN_EXE_creel-gateway"))
            .stdin(Stdio::from(theirs.try_clone().unwrap()))
            .stdout(Stdio::from(theirs))
            .stderr(Stdio::piped())
            .env_clear()
            .spawn()
            .unwrap();
        let (link, incoming) = Link::from_fd(ours.into(), 0, Vitals::default()).unwrap();
        Self { child, link, incoming }
    }

    async fn heard(&mut self, wanted: &str) -> serde_json::Value {
        heard(&mut self.incoming, wanted).await
    }

    /// A request of the gateway.
    async fn asked(&mut self, wanted: &str) -> (u64, serde_json::Value) {
        loop {
            let event = tokio::time::timeout(PATIENCE, self.incoming.recv()).await;
            match event.expect("a word of the gateway").expect("a living gateway") {
                Event::Request { id, method, params } if method == wanted => return (id, params),
                _ => {}
            }
        }
    }

    async fn attach(&self, worker: &Worker, fresh: bool) {
        let attached =
            UnitAttached { fds: 1, unit: worker.unit.clone(), kind: Role::Agent, incarnation: 1, fresh };
        let socket = worker.gateway_end.try_clone().unwrap();
        self.link.notify_with_fds::<UnitAttached>(&attached, vec![socket]).await.unwrap();
    }

    async fn welcome(&mut self, home: &Path) {
        let hello: Hello = serde_json::from_value(self.heard(Hello::METHOD).await).unwrap();
        assert_eq!(hello.unit, "gateway");
        let text = |path: &Path| path.display().to_string();
        let config = GatewayConfig {
            home: text(home),
            config_file: text(&home.join("creel.json")),
            state_dir: text(&home.join("state")),
            generation: 1,
            host: None,
            env: Default::default(),
        };
        let welcome = Welcome {
            protocol: PROTOCOL,
            session: "s".to_owned(),
            epoch: 1,
            limits: Limits::default(),
            config: WorkerConfig::Gateway(config),
            cursor: None,
            lease: None,
        };
        self.link.notify::<Welcome>(&welcome).await.unwrap();
    }

    /// Its exit code and its log.
    fn end(mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

async fn heard(incoming: &mut Incoming, wanted: &str) -> serde_json::Value {
    loop {
        let event = tokio::time::timeout(PATIENCE, incoming.recv()).await;
        match event.expect("a word").expect("a living peer") {
            Event::Notification { method, params, .. } if method == wanted => return params,
            _ => {}
        }
    }
}

/// An agent's worker, played by the test.
struct Worker {
    unit: String,
    link: Link,
    incoming: Incoming,
    gateway_end: OwnedFd,
}

impl Worker {
    fn start(unit: &str) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (link, incoming) = Link::from_fd(ours.into(), 0, Vitals::default()).unwrap();
        Self { unit: unit.to_owned(), link, incoming, gateway_end: theirs.into() }
    }

    async fn hello(&self, session: Option<String>, protocol: Protocol) {
        self.introduce(session, protocol, None).await;
    }

    async fn tested(&self, selftest: SelfTest) {
        self.introduce(None, PROTOCOL, Some(selftest)).await;
    }

    async fn introduce(&self, session: Option<String>, protocol: Protocol, selftest: Option<SelfTest>) {
        let hello = Hello {
            protocol,
            role: Role::Agent,
            unit: self.unit.clone(),
            pid: 1,
            build: "test".to_owned(),
            caps: Vec::new(),
            session,
            running: Vec::new(),
            selftest,
        };
        self.link.notify::<Hello>(&hello).await.unwrap();
    }
}

fn ask(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_the_socket_it_is_handed_and_ends_when_told() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("state")).unwrap();
    let mut gateway = Gateway::start();
    gateway.welcome(home.path()).await;
    gateway.heard("ready").await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listen = GatewayListen { fds: 1, address: address.to_string() };
    let socket = listener.as_fd().try_clone_to_owned().unwrap();
    gateway.link.notify_with_fds::<GatewayListen>(&listen, vec![socket]).await.unwrap();
    // The socket listens already, so the request waits in its backlog until the gateway takes it.
    let answer = tokio::task::spawn_blocking(move || ask(address, "/health")).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let shutdown = Shutdown { reason: "The test is over.".to_owned(), deadline_ms: 5_000 };
    gateway.link.notify::<Shutdown>(&shutdown).await.unwrap();
    let (code, log) = gateway.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("The test is over."), "{log}");
    assert!(home.path().join("state/creel.db").exists());
    assert!(home.path().join("state/gateway.token").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_configuration_is_an_exit_that_no_restart_cures() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("creel.json"), "{ gatway: {} }").unwrap();
    let mut gateway = Gateway::start();
    gateway.welcome(home.path()).await;
    let (code, log) = gateway.end();
    assert_eq!(code, Some(78), "{log}");
    assert!(log.contains("gatway"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_supervisor_it_ends() {
    let mut gateway = Gateway::start();
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("state")).unwrap();
    gateway.welcome(home.path()).await;
    gateway.heard("ready").await;
    let Gateway { mut child, link, incoming } = gateway;
    drop((link, incoming));
    let code = tokio::task::spawn_blocking(move || child.wait().unwrap().code()).await.unwrap();
    assert_eq!(code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_are_welcomed_relayed_and_outlive_their_gateway() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("state")).unwrap();
    let mut first = Gateway::start();
    first.welcome(home.path()).await;
    first.heard("ready").await;

    let mut old = Worker::start("agent:main");
    first.attach(&old, true).await;
    old.hello(None, Protocol { major: 9, minor: 0 }).await;
    let reject: Reject = serde_json::from_value(heard(&mut old.incoming, Reject::METHOD).await).unwrap();
    assert_eq!(reject.exit_code, 76, "{}", reject.reason);
    drop(old);

    let mut agent = Worker::start("agent:main");
    first.attach(&agent, true).await;
    agent.hello(None, PROTOCOL).await;
    let welcome: Welcome = serde_json::from_value(heard(&mut agent.incoming, Welcome::METHOD).await).unwrap();
    let WorkerConfig::Agent(config) = &welcome.config else { panic!("{welcome:?}") };
    assert_eq!((config.agent.as_str(), config.models[0].provider.as_str()), ("main", "demo"));
    agent.link.notify::<Ready>(&Ready {}).await.unwrap();
    assert_eq!(first.heard("unit.ready").await["unit"], "agent:main");

    let run = ToolRunParams {
        run: "t/0".to_owned(),
        agent: "somebody-else".to_owned(),
        argv: vec!["true".to_owned()],
        cwd: None,
        env: Default::default(),
        wall_ms: None,
        session: None,
        main: false,
        known_only: false,
        elevated: false,
        elevated_for: Vec::new(),
    };
    let link = agent.link.clone();
    let calling = tokio::spawn(async move { link.call::<ToolRun>(&run).await });
    let (id, params) = first.asked(ToolRun::METHOD).await;
    assert_eq!(params["agent"], "main", "an agent cannot choose whose sandbox applies");
    let exit =
        ToolExit { code: Some(0), stdout: "ok".to_owned(), wall_ms: 1, ..ToolExit::of(ToolCause::Exited) };
    first.link.answer::<ToolRun>(id, Ok(exit.clone())).await;
    assert_eq!(calling.await.unwrap().unwrap(), exit);

    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let mut second = Gateway::start();
    second.welcome(home.path()).await;
    second.heard("ready").await;
    second.attach(&agent, false).await;
    let renew: Renew = serde_json::from_value(heard(&mut agent.incoming, Renew::METHOD).await).unwrap();
    assert_ne!(renew.session, welcome.session);
    agent.hello(Some(renew.session.clone()), PROTOCOL).await;
    let again: Welcome = serde_json::from_value(heard(&mut agent.incoming, Welcome::METHOD).await).unwrap();
    assert_eq!(again.session, renew.session);
    assert_eq!(second.heard("unit.ready").await["unit"], "agent:main", "it was ready all the time");

    // A changed file is noticed, applied by the supervisor, and reaches the worker without a restart.
    std::fs::write(home.path().join("creel.json"), "{ logging: { level: \"debug\" } }").unwrap();
    let (id, _) = second.asked(ConfigReload::METHOD).await;
    let reloaded = creel_ipc::msg::supervisor::Reloaded { generation: 2, changes: Vec::new() };
    second.link.answer::<ConfigReload>(id, Ok(reloaded)).await;
    second.link.notify::<ConfigApplied>(&ConfigApplied { generation: 2 }).await.unwrap();
    let told = heard(&mut agent.incoming, "reconfigure").await;
    assert_eq!(told["config"]["logLevel"], "debug", "{told}");
    second.child.kill().unwrap();
    second.child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_got_past_its_sandbox_learns_nothing_and_is_reported() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("state")).unwrap();
    let mut gateway = Gateway::start();
    gateway.welcome(home.path()).await;
    gateway.heard("ready").await;
    let agent = Worker::start("agent:main");
    gateway.attach(&agent, true).await;
    let tested = SelfTest { denied: vec!["fork".into()], escaped: vec!["read /etc/hostname".into()] };
    agent.tested(tested).await;
    let fault = gateway.heard(UnitFault::METHOD).await;
    assert_eq!((&fault["unit"], &fault["cause"]), (&"agent:main".into(), &"sandbox".into()), "{fault}");
    assert!(fault["detail"].as_str().unwrap().contains("read /etc/hostname"), "{fault}");
    // The link ends without a word: no welcome, in which the secrets would be.
    let Worker { mut incoming, gateway_end, .. } = agent;
    drop(gateway_end);
    assert!(incoming.recv().await.is_none());
    gateway.link.notify::<Shutdown>(&Shutdown { reason: "test".into(), deadline_ms: 1000 }).await.unwrap();
    assert_eq!(gateway.end().0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_closed_its_link_and_lives_on_is_reported() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("state")).unwrap();
    let mut gateway = Gateway::start();
    gateway.welcome(home.path()).await;
    gateway.heard("ready").await;
    for (unit, state) in [("agent:gone", UnitState::Backoff), ("agent:deaf", UnitState::Running)] {
        let status = serde_json::json!({"status": {
            "name": unit, "kind": "agent", "state": state, "incarnation": 1, "restarts": 0
        }});
        let changed: UnitChanged = serde_json::from_value(status).unwrap();
        gateway.link.notify::<UnitChanged>(&changed).await.unwrap();
        let worker = Worker::start(unit);
        gateway.attach(&worker, true).await;
        // Both ends of the worker's side: its own and ours of the gateway's end.
        drop(worker);
    }
    // The one that has ended closed first, and nobody is told of it.
    let fault = gateway.heard(UnitFault::METHOD).await;
    assert_eq!((&fault["unit"], &fault["cause"]), (&"agent:deaf".into(), &"protocol".into()), "{fault}");
    gateway.link.notify::<Shutdown>(&Shutdown { reason: "test".into(), deadline_ms: 1000 }).await.unwrap();
    assert_eq!(gateway.end().0, Some(0));
}
