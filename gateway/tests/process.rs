//! The gateway as a process, with this test as its supervisor.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use creel_ipc::hello::WorkerConfig;
use creel_ipc::msg::supervisor::{GatewayConfig, GatewayListen, Shutdown};
use creel_ipc::{Hello, Limits, Notify, PROTOCOL, Welcome};
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
        loop {
            let event = tokio::time::timeout(Duration::from_secs(20), self.incoming.recv()).await;
            match event.expect("a word of the gateway").expect("a living gateway") {
                Event::Notification { method, params, .. } if method == wanted => return params,
                _ => {}
            }
        }
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
            env: Default::default(),
        };
        let welcome = Welcome {
            protocol: PROTOCOL,
            session: "s".to_owned(),
            epoch: 1,
            limits: Limits::default(),
            config: WorkerConfig::Gateway(config),
            cursor: None,
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
