//! The binary itself: sealed, on its standard input, with the exit codes of the contract.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests count as tests")]

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::process::{Child, Command, Stdio};

use creel_ipc::hello::WorkerConfig;
use creel_ipc::msg::agent::{AgentConfig, Model, Provider, ToolPolicy};
use creel_ipc::{Hello, Limits, Notify, PROTOCOL, Reject, Role, Welcome};
use creel_link::{Event, Incoming, Link, Vitals};
use rustix::process::{Pid, Signal, kill_process};

struct Process {
    child: Child,
    link: Link,
    incoming: Incoming,
}

impl Process {
    fn start() -> Self {
        let (ours, theirs) = StdStream::pair().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_creel-agent"))
            .env_clear()
            .env("CREEL_UNIT", "agent:main")
            .stdin(Stdio::from(OwnedFd::from(theirs.try_clone().unwrap())))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (link, incoming) = Link::from_fd(ours.into(), 1 << 20, Vitals::default()).unwrap();
        Self { child, link, incoming }
    }

    async fn hello(&mut self) -> Hello {
        loop {
            match self.incoming.recv().await {
                Some(Event::Notification { method, params, .. }) if method == Hello::METHOD => {
                    return serde_json::from_value(params).unwrap();
                }
                Some(_) => {}
                None => panic!("it ended without a hello"),
            }
        }
    }

    /// Waits for its end; the link stays open until then.
    async fn exit(self) -> Option<i32> {
        let Self { mut child, link, incoming } = self;
        let code = tokio::task::spawn_blocking(move || child.wait().unwrap().code()).await.unwrap();
        drop((link, incoming));
        code
    }
}

fn welcome() -> Welcome {
    let provider = Provider {
        base_url: String::new(),
        api: "demo".to_owned(),
        api_key: None,
        headers: Default::default(),
    };
    let model = Model {
        provider: "demo".to_owned(),
        id: "demo".to_owned(),
        context_window: 1000,
        max_tokens: 100,
        reasoning: false,
        images: false,
    };
    let config = AgentConfig {
        agent: "main".to_owned(),
        name: None,
        workspace: "/nonexistent".to_owned(),
        providers: [("demo".to_owned(), provider)].into(),
        models: vec![model],
        max_iterations: 5,
        turn_timeout_ms: 1000,
        first_byte_ms: 1000,
        inactivity_ms: 1000,
        tools: ToolPolicy::default(),
        thinking: None,
        log_level: Some("debug".to_owned()),
    };
    Welcome {
        protocol: PROTOCOL,
        session: "one".to_owned(),
        epoch: 1,
        limits: Limits::default(),
        config: WorkerConfig::Agent(Box::new(config)),
        cursor: None,
        lease: None,
    }
}

#[tokio::test]
async fn it_says_hello_sealed_and_ends_on_sigterm() {
    let mut process = Process::start();
    let hello = process.hello().await;
    assert_eq!((hello.role, hello.unit.as_str(), hello.pid), (Role::Agent, "agent:main", process.child.id()));
    if cfg!(target_os = "linux") {
        let selftest = hello.selftest.unwrap();
        assert!(selftest.escaped.is_empty() && !selftest.denied.is_empty(), "{selftest:?}");
    }
    process.link.notify::<Welcome>(&welcome()).await.unwrap();
    kill_process(Pid::from_child(&process.child), Signal::TERM).unwrap();
    assert_eq!(process.exit().await, Some(0));
}

#[tokio::test]
async fn the_end_of_the_link_is_its_end() {
    let mut process = Process::start();
    process.hello().await;
    let Process { mut child, link, incoming } = process;
    drop((link, incoming));
    let code = tokio::task::spawn_blocking(move || child.wait().unwrap().code()).await.unwrap();
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn a_rejected_worker_exits_with_the_given_code() {
    let mut process = Process::start();
    process.hello().await;
    let reject = Reject { reason: "No.".to_owned(), exit_code: 78 };
    process.link.notify::<Reject>(&reject).await.unwrap();
    assert_eq!(process.exit().await, Some(78));
}
