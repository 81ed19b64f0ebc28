//! Both wire formats against aimock, a mock of the providers that is not ours.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests count as tests")]

mod gateway;

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use creel_ipc::msg::agent::TurnOutcome;
use creel_ipc::msg::transcript::{Block, Entry};
use gateway::{Gateway, config, model, printed, provider, start};
use serde_json::Value;

/// A running aimock; ends with the test.
struct Aimock {
    child: Child,
    url: String,
    /// Held open: a mock that cannot print its log would end.
    _log: Lines<BufReader<ChildStdout>>,
}

impl Drop for Aimock {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

impl Aimock {
    fn start() -> Self {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peers");
        let program = peers.join("node_modules/.bin/llmock");
        assert!(program.exists(), "aimock is not installed: run `npm ci` in tests/peers and try again.");
        let mut child = Command::new(program)
            .args(["-p", "0", "--strict", "-f"])
            .arg(peers.join("aimock/fixtures.json"))
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("listening on ").map(|(_, url)| url.trim().to_owned()));
        Self { child, url: url.unwrap(), _log: lines }
    }

    async fn requests(&self) -> Vec<Value> {
        let journal = reqwest::get(format!("{}/__aimock/journal", self.url)).await.unwrap();
        let entries: Vec<Value> = serde_json::from_slice(&journal.bytes().await.unwrap()).unwrap();
        entries.into_iter().map(|entry| entry["body"].clone()).filter(|body| !body.is_null()).collect()
    }
}

async fn worker(aimock: &Aimock, api: &str, home: &Path) -> Gateway {
    let (base, id) = match api {
        "anthropic-messages" => (aimock.url.clone(), "claude-sonnet-4-5"),
        _ => (format!("{}/v1", aimock.url), "gpt-5"),
    };
    let mut model = model("mock", id);
    model.reasoning = true;
    let mut config = config(home, provider(api, &base), vec![model]);
    config.thinking = Some("low".to_owned());
    Gateway::with(config).await
}

async fn tools(api: &str) {
    let aimock = Aimock::start();
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("notes")).unwrap();
    std::fs::write(home.path().join("notes/a.txt"), "remember the milk\n").unwrap();
    let mut gateway = worker(&aimock, api, home.path()).await;
    gateway.exec = Box::new(|_| Some(printed("notes\n")));
    let done = gateway.turn(start("t1", "please look around")).await;

    assert_eq!(done.outcome, TurnOutcome::Done, "{done:?}");
    let replies: Vec<&str> = done.replies.iter().map(|reply| reply.text.as_str()).collect();
    assert_eq!(replies, ["I look.", "There is one note: 网关系统 works."]);
    assert_eq!(gateway.runs[0].argv[2], "ls -la");
    assert_eq!(gateway.runs[0].wall_ms, Some(5000));
    assert_eq!(gateway.results(), ["notes\n[exit code 0]", "remember the milk\n"]);
    let Entry::Assistant { content, .. } = gateway.entries()[0].clone() else { panic!("no answer") };
    assert!(
        matches!(&content[0], Block::Thinking { thinking, .. } if thinking == "The person wants to know what is here."),
        "{content:?}"
    );
    // What the provider saw of the tools' results.
    let requests = aimock.requests().await;
    assert_eq!(requests.len(), 2);
    let second = requests[1].to_string();
    assert!(second.contains("remember the milk") && second.contains("[exit code 0]"), "{second}");
    assert_eq!(requests[0]["tools"].as_array().map(Vec::len), Some(5), "{}", requests[0]);
}

#[tokio::test]
async fn anthropic_messages_with_tools() {
    tools("anthropic-messages").await;
}

#[tokio::test]
async fn openai_completions_with_tools() {
    tools("openai-completions").await;
}

#[tokio::test]
async fn the_text_is_streamed_and_whole() {
    let aimock = Aimock::start();
    let home = tempfile::tempdir().unwrap();
    for api in ["anthropic-messages", "openai-completions"] {
        let mut gateway = worker(&aimock, api, home.path()).await;
        let done = gateway.turn(start("t1", "say much")).await;
        assert!(done.replies[0].text.ends_with("fifteen sixteen."), "{api}: {done:?}");
        assert_eq!(gateway.text, done.replies[0].text, "{api}");
    }
}

#[tokio::test]
async fn a_rate_limit_is_waited_out_until_somebody_stops_it() {
    let aimock = Aimock::start();
    let home = tempfile::tempdir().unwrap();
    let mut gateway = worker(&aimock, "anthropic-messages", home.path()).await;
    gateway.begin(start("t1", "be overloaded")).await;
    gateway.until(|gateway| gateway.models.len() > 1).await;
    gateway.abort("t1").await;
    assert_eq!(gateway.until_done().await.outcome, TurnOutcome::Aborted);
    assert_eq!(gateway.journal.len(), 0);
}
