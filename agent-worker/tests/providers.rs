//! Real HTTP to providers that behave badly.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests count as tests")]

mod gateway;
mod server;

use creel_ipc::msg::agent::{AgentConfig, TurnDoneParams, TurnOutcome};
use gateway::{Gateway, config, model, provider, start};
use serde_json::json;
use server::{Script, Server, answer, chunk, says, stream, whole};

/// Two models of two providers, the second of which answers.
fn cascade(first: &Server, second: &Server) -> AgentConfig {
    let api = "openai-completions";
    let home = std::env::temp_dir();
    let mut config =
        config(&home, provider(api, &first.url()), vec![model("first", "a"), model("second", "b")]);
    config.providers.insert("second".to_owned(), provider(api, &second.url()));
    config.first_byte_ms = 300;
    config.inactivity_ms = 300;
    config
}

async fn turn(scripts: Vec<Script>, backup: Vec<Script>) -> (TurnDoneParams, Gateway, Server) {
    let (first, second) = (Server::with(scripts).await, Server::with(backup).await);
    let mut gateway = Gateway::with(cascade(&first, &second)).await;
    let done = gateway.turn(start("t1", "hello")).await;
    (done, gateway, first)
}

fn texts(done: &TurnDoneParams) -> Vec<&str> {
    done.replies.iter().map(|reply| reply.text.as_str()).collect()
}

/// Each first answer is a passing failure; the same model answers after two seconds.
#[tokio::test]
async fn passing_failures_are_tried_again() {
    let failures: Vec<(&str, Script)> = vec![
        ("429", Script::Answer(answer(429, "retry-after: 1\r\n", r#"{"error":{"message":"slow down"}}"#))),
        ("529", Script::Answer(answer(529, "", r#"{"type":"error","error":{"type":"overloaded_error"}}"#))),
        ("500", Script::Close(answer(500, "", ""))),
        ("no first byte", Script::Hang(Vec::new())),
        ("no body", Script::Hang(stream(""))),
        (
            "only thinking, then silence",
            Script::Hang(stream(&chunk(json!({"reasoning_content": "hm"}), None))),
        ),
        ("a cut before any text", Script::Close(stream(&chunk(json!({"role": "assistant"}), None)))),
        ("a malformed chunk", Script::Close(stream("data: {\"choices\":\n\n"))),
    ];
    let turns = failures.into_iter().map(|(name, failure)| {
        tokio::spawn(async move {
            let scripts = vec![failure, Script::Close(stream(&says("Hello.")))];
            let (done, gateway, server) = turn(scripts, Vec::new()).await;
            assert_eq!((done.outcome, texts(&done)), (TurnOutcome::Done, vec!["Hello."]), "{name}: {done:?}");
            assert_eq!(gateway.models, ["first/a", "first/a"], "{name}");
            assert_eq!(server.seen().len(), 2, "{name}");
        })
    });
    for turn in turns.collect::<Vec<_>>() {
        turn.await.unwrap();
    }
}

/// Each first answer is one that waiting does not mend; the next model answers at once.
#[tokio::test]
async fn lasting_failures_go_to_the_next_model() {
    let failures = [
        answer(401, "", r#"{"error":{"message":"Incorrect API key provided"}}"#),
        answer(402, "", ""),
        answer(404, "", "<html>not found</html>"),
        answer(429, "retry-after: 3600\r\n", ""),
        answer(200, "content-type: text/html\r\n", "<h1>Welcome</h1>"),
        answer(
            200,
            "content-type: application/json\r\n",
            r#"{"error":{"message":"model not loaded","code":404}}"#,
        ),
        answer(302, "location: http://127.0.0.1:1/\r\n", ""),
    ];
    for failure in failures {
        let shown = String::from_utf8_lossy(&failure).into_owned();
        let (done, gateway, _) =
            turn(vec![Script::Answer(failure)], vec![Script::Close(stream(&says("Hi.")))]).await;
        assert_eq!((done.outcome, texts(&done)), (TurnOutcome::Done, vec!["Hi."]), "{shown}: {done:?}");
        assert_eq!(gateway.models, ["first/a", "second/b"], "{shown}");
    }
}

#[tokio::test]
async fn when_nobody_answers_one_sentence_says_why() {
    let refused =
        || vec![Script::Answer(answer(401, "", r#"{"error":{"message":"Incorrect API key provided."}}"#))];
    let (done, _, _) =
        turn(refused(), vec![Script::Answer(answer(404, "", r#"{"error":"model not found"}"#))]).await;
    assert_eq!(done.outcome, TurnOutcome::Failed);
    insta::assert_snapshot!(done.error.unwrap(), @"No model could answer. first/a: HTTP 401: Incorrect API key provided. Check the provider's `apiKey`. second/b: HTTP 404: model not found.");
}

#[tokio::test]
async fn an_answer_that_breaks_off_after_text_is_begun_again() {
    let half = chunk(json!({"content": "Once upon a"}), None);
    for broken in [Script::Close(stream(&half)), Script::Hang(stream(&half))] {
        let whole = Script::Close(stream(&says("Once upon a time.")));
        let (done, gateway, server) = turn(vec![broken, whole], Vec::new()).await;
        assert_eq!((done.outcome, server.seen().len()), (TurnOutcome::Done, 2), "{done:?}");
        assert_eq!((texts(&done), gateway.journal.len()), (vec!["Once upon a time."], 1));
    }
}

#[tokio::test]
async fn a_kept_connection_that_the_provider_closes_is_opened_again() {
    let call = chunk(
        json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "exec", "arguments": "{\"command\":\"ls\"}"}}]}),
        Some("tool_calls"),
    );
    let scripts = vec![
        Script::Answer(whole(&format!("{call}data: [DONE]\n\n"))),
        // The second request arrives on the kept connection, which is closed in that moment.
        Script::Close(Vec::new()),
        Script::Close(stream(&says("Done."))),
    ];
    let (done, gateway, server) = turn(scripts, Vec::new()).await;
    assert_eq!((done.outcome, texts(&done)), (TurnOutcome::Done, vec!["Done."]), "{done:?}");
    assert_eq!((server.seen().len(), gateway.models.len()), (3, 2));
}

#[tokio::test]
async fn the_key_goes_where_it_belongs_and_nowhere_else() {
    let (done, gateway, server) = turn(vec![Script::Close(stream(&says("Hi.")))], Vec::new()).await;
    let request = server.seen().remove(0).to_lowercase();
    assert!(request.starts_with("post /chat/completions http/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nauthorization: bearer sk-test-not-a-secret\r\n"), "{request}");
    let told = format!("{done:?}{:?}{:?}", gateway.journal, gateway.hellos);
    assert!(!told.contains("sk-test"), "{told}");
}

const EGRESS: &str = "content-type: text/plain; charset=utf-8\r\nx-creel-egress: denied\r\n";

#[tokio::test]
async fn everything_goes_through_the_proxy_when_there_is_one() {
    let refused =
        || Script::Close(answer(403, EGRESS, "creel: no rule of agent:main allows api.example:443\n"));
    let proxy = Server::with(vec![
        Script::Close(stream(&says("By way of the proxy."))),
        refused(),
        // What it says is only seen by asking again.
        refused(),
        Script::Close(answer(403, EGRESS, "creel: no rule of agent:main allows model.example:80\n")),
    ])
    .await;
    let api = "openai-completions";
    let mut said = Vec::new();
    for url in ["http://model.example/v1", "https://api.example/v1", "http://model.example/v1"] {
        let config = config(&std::env::temp_dir(), provider(api, url), vec![model("plain", "a")]);
        let mut gateway = Gateway::behind(Some(proxy.url())).await;
        gateway.welcome(config).await;
        let done = gateway.turn(start("t1", "hello")).await;
        said.extend(done.error.or_else(|| Some(texts(&TurnDoneParams { error: None, ..done }).join("\n"))));
    }
    let lines = |request: &String| request.lines().next().unwrap_or_default().to_owned();
    let requests: Vec<String> = proxy.seen().iter().map(lines).collect();
    let post = "POST http://model.example/v1/chat/completions HTTP/1.1";
    let connect = "CONNECT api.example:443 HTTP/1.1";
    assert_eq!(requests, [post, connect, connect, post]);
    insta::assert_snapshot!(said.join("\n"), @r"
    By way of the proxy.
    The model plain/a failed. Creel's egress: no rule of agent:main allows api.example:443.
    The model plain/a failed. Creel's egress: no rule of agent:main allows model.example:80.
    ");
}

#[tokio::test]
async fn a_session_may_want_more_thought_than_its_agent() {
    let says = || Script::Answer(whole(&says("Hello.")));
    let server = Server::with(vec![says(), says()]).await;
    let mut thinks = model("first", "a");
    thinks.reasoning = true;
    let home = tempfile::tempdir().unwrap();
    let mut config = config(home.path(), provider("openai-completions", &server.url()), vec![thinks]);
    config.thinking = Some("low".to_owned());
    let mut gateway = Gateway::with(config).await;
    for (turn, thinking) in [("t1", None), ("t2", Some("high"))] {
        let mut start = start(turn, "hello");
        start.thinking = thinking.map(str::to_owned);
        gateway.journal.clear();
        gateway.done = None;
        assert_eq!(gateway.turn(start).await.outcome, TurnOutcome::Done);
    }
    let asked: Vec<bool> = ["low", "high"]
        .iter()
        .zip(server.seen())
        .map(|(level, request)| request.contains(&format!("\"reasoning_effort\":\"{level}\"")))
        .collect();
    assert_eq!(asked, [true, true], "{:?}", server.seen());
}
