//! The program itself: its standard input is the link, its end has a code, its log is one line each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use creel_ipc::hello::{Reject, WorkerConfig};
use creel_ipc::msg::channel::{ChannelConfig, ChannelStatus, SendMessage};
use creel_ipc::{Hello, Limits, Notify, PROTOCOL, Role, SecretJson, Welcome};
use creel_link::{Event, Incoming, Link, Vitals};
use fake_telegram::{Fake, Fault, TOKEN};
use serde_json::{Value, json};
use tokio::net::UnixStream;

struct Program {
    child: Child,
    link: Link,
    incoming: Incoming,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn start() -> Program {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let theirs: OwnedFd = theirs.into_std().unwrap().into();
    let mut command = Command::new(env!("CARGO_BIN_EXE_creel-channel"));
    command.args(["--unit", "channel:telegram:default"]).env_clear();
    command
        .stdin(Stdio::from(theirs.try_clone().unwrap()))
        .stdout(Stdio::from(theirs))
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    drop(command);
    let (link, incoming) = Link::new(ours, 0, Vitals::default());
    Program { child, link, incoming }
}

impl Program {
    async fn hear(&mut self, name: &str) -> Value {
        loop {
            let event =
                tokio::time::timeout(Duration::from_secs(30), self.incoming.recv()).await.unwrap().unwrap();
            match event {
                Event::Notification { method, params, .. } if method == name => return params,
                Event::Stray { reason } => panic!("{reason}"),
                _ => {}
            }
        }
    }

    async fn welcome(&mut self, fake: &Fake) {
        let hello: Hello = serde_json::from_value(self.hear(Hello::METHOD).await).unwrap();
        assert_eq!((hello.role, hello.unit.as_str()), (Role::Channel, "channel:telegram:default"));
        let settings = json!({"botToken": TOKEN, "apiRoot": fake.api_root()});
        let config = ChannelConfig {
            channel: "telegram".to_owned(),
            account: "default".to_owned(),
            settings: SecretJson::new(settings),
            streaming: false,
            text_limit: None,
            log_level: Some("info".to_owned()),
        };
        let welcome = Welcome {
            protocol: PROTOCOL,
            session: "s".to_owned(),
            epoch: 1,
            limits: Limits::default(),
            config: WorkerConfig::Channel(config),
            cursor: None,
            lease: None,
        };
        self.link.notify::<Welcome>(&welcome).await.unwrap();
        self.hear("ready").await;
        while self.hear(ChannelStatus::METHOD).await["state"] != "connected" {}
    }

    async fn exit(mut self, before: impl FnOnce(&mut Self)) -> (Option<i32>, String) {
        before(&mut self);
        let mut log = self.child.stderr.take().unwrap();
        let read = tokio::task::spawn_blocking(move || std::io::read_to_string(&mut log).unwrap());
        let log = tokio::time::timeout(Duration::from_secs(30), read).await.unwrap().unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

#[tokio::test]
async fn it_connects_is_sealed_and_ends_with_its_link() {
    let fake = Fake::start().await.unwrap();
    let mut program = start();
    program.welcome(&fake).await;
    if cfg!(target_os = "linux") {
        let status = std::fs::read_to_string(format!("/proc/{}/status", program.child.id())).unwrap();
        assert!(status.lines().any(|line| line.replace('\t', "") == "Seccomp:2"), "{status}");
    }
    let (code, log) = program
        .exit(|program| {
            // The gateway's last descriptor goes.
            let (elsewhere, _other) = UnixStream::pair().unwrap();
            let (link, incoming) = Link::new(elsewhere, 0, Vitals::default());
            program.link = link;
            program.incoming = incoming;
        })
        .await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains(TOKEN), "{log}");
}

#[tokio::test]
async fn a_request_to_end_is_followed() {
    let fake = Fake::start().await.unwrap();
    let mut program = start();
    program.welcome(&fake).await;
    let (code, log) = program
        .exit(|program| {
            let id = program.child.id().to_string();
            assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        })
        .await;
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test]
async fn what_is_being_delivered_is_finished_before_the_end() {
    let fake = Fake::start().await.unwrap();
    fake.chat(501, &json!({})).unwrap();
    let mut program = start();
    program.welcome(&fake).await;
    fake.fault_next("sendMessage", Fault::Slow(300));
    let route = json!({"chatId": "501", "kind": "direct"});
    let order = serde_json::from_value(json!({"key": "k", "route": route, "text": "last words"})).unwrap();
    let (link, id) = (program.link.clone(), program.child.id().to_string());
    let (sent, ()) = tokio::join!(link.call::<SendMessage>(&order), async {
        fake.called("sendMessage", 1).await;
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    });
    assert_eq!(sent.unwrap().message_ids.len(), 1);
    let (code, log) = program.exit(|_| {}).await;
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test]
async fn a_rejected_worker_ends_with_the_code_it_was_told() {
    let mut program = start();
    program.hear(Hello::METHOD).await;
    let reject = Reject { reason: "No such account.".to_owned(), exit_code: 78 };
    program.link.notify::<Reject>(&reject).await.unwrap();
    let (code, log) = program.exit(|_| {}).await;
    assert_eq!(code, Some(78));
    assert!(log.contains("No such account."), "{log}");
}
