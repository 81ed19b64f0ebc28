//! A whole run: a client, the core, and an agent at the other end of a real link.

use creel_ipc::hello::Ready;
use creel_ipc::msg::Empty;
use creel_ipc::msg::agent::{
    DeltaKind, Reply, StepEnd, StepEndParams, TurnAbort, TurnDelta, TurnDone, TurnDoneParams, TurnModel,
    TurnOutcome, TurnRef, TurnStart, TurnStartParams,
};
use creel_ipc::msg::supervisor::UnitAttached;
use creel_ipc::msg::transcript::{Block, Entry, StopReason, Usage};
use creel_ipc::{Hello, Notify, PROTOCOL, Request, Role as UnitRole, Welcome, rpc};
use creel_link::{Event, Link};
use tokio::sync::Notify as Bell;

use super::*;
use crate::{lane, links};

const USAGE: Usage = Usage { input: 3, output: 2, cache_read: 0, cache_write: 0 };

/// Says three words, or waits to be stopped when it is asked to.
async fn turn(link: Link, start: TurnStartParams, stopped: Arc<Bell>) {
    let turn: TurnRef = start.turn.clone();
    let id = turn.turn.clone();
    let model = TurnModel { turn: id.clone(), provider: "fake".into(), model: "fake-1".into(), again: false };
    link.notify::<TurnModel>(&model).await.unwrap();
    for text in ["one ", "two ", "three"] {
        let delta = TurnDelta { turn: id.clone(), kind: DeltaKind::Text, text: text.to_owned() };
        link.notify::<TurnDelta>(&delta).await.unwrap();
    }
    let waits = start.input.iter().any(|input| input.text == "wait");
    if waits {
        stopped.notified().await;
    }
    let (outcome, stop_reason) = if waits {
        (TurnOutcome::Aborted, StopReason::Aborted)
    } else {
        (TurnOutcome::Done, StopReason::Stop)
    };
    let entry = Entry::Assistant {
        content: vec![Block::text("one two three")],
        api: "openai-completions".into(),
        provider: "fake".into(),
        model: "fake-1".into(),
        usage: USAGE,
        stop_reason,
        error_message: None,
        timestamp: 1,
    };
    link.call::<StepEnd>(&StepEndParams { turn: turn.clone(), step: 0, entry }).await.unwrap();
    let replies = vec![Reply { text: "one two three".to_owned(), attachments: Vec::new() }];
    let done = TurnDoneParams { turn, outcome, error: None, replies, usage: USAGE };
    link.call::<TurnDone>(&done).await.unwrap();
}

/// Attaches an agent to a core that runs.
async fn attach_agent(core: &Arc<Core>) {
    let (worker_end, gateway_end) = tokio::net::UnixStream::pair().unwrap();
    let (link, mut incoming) = Link::new(worker_end, 0, Vitals::default());
    tokio::spawn(lane::schedule(Arc::clone(core)));
    let unit = "agent:main".to_owned();
    let attached =
        UnitAttached { fds: 1, unit: unit.clone(), kind: UnitRole::Agent, incarnation: 1, fresh: true };
    links::attach(core, attached, gateway_end.into_std().unwrap().into());
    let hello = Hello {
        protocol: PROTOCOL,
        role: UnitRole::Agent,
        unit,
        pid: 1,
        build: "test".to_owned(),
        caps: Vec::new(),
        session: None,
        running: Vec::new(),
        selftest: None,
    };
    link.notify::<Hello>(&hello).await.unwrap();
    tokio::spawn(async move {
        let stopped = Arc::new(Bell::new());
        while let Some(event) = incoming.recv().await {
            match event {
                Event::Notification { method, .. } if method == Welcome::METHOD => {
                    link.notify::<Ready>(&Ready {}).await.unwrap();
                }
                Event::Request { id, method, params } if method == TurnStart::METHOD => {
                    let start: TurnStartParams = rpc::params(&method, params).unwrap();
                    link.answer::<TurnStart>(id, Ok(Empty {})).await;
                    tokio::spawn(turn(link.clone(), start, stopped.clone()));
                }
                Event::Request { id, method, .. } => {
                    if method == TurnAbort::METHOD {
                        stopped.notify_one();
                    }
                    link.respond(id, Ok(json!({}))).await;
                }
                Event::Notification { .. } | Event::Stray { .. } => {}
            }
        }
    });
}

#[tokio::test]
async fn a_message_becomes_a_run_and_a_history() {
    let (core, desk) = counter().await;
    attach_agent(&core).await;
    let (mut client, _) = Client::hello(&desk, 4, &["operator.write"]).await;
    client.call("sessions.subscribe", json!({})).await;
    let send = json!({"sessionKey": "main", "message": "hello", "idempotencyKey": "run-1"});
    let (mut status, mut states, mut streams, mut text) = (None, Vec::new(), Vec::new(), String::new());
    client.say(&json!({"type": "req", "id": "s", "method": "chat.send", "params": send})).await;
    while states.last().is_none_or(|state| state != "final") {
        let frame = client.frame().await;
        let payload = &frame["payload"];
        if frame["id"] == "s" {
            status = Some(payload["status"].clone());
        } else if frame["event"] == "chat" {
            assert_eq!(
                (&payload["runId"], &payload["sessionKey"]),
                (&json!("run-1"), &json!("agent:main:main"))
            );
            text.push_str(payload["deltaText"].as_str().unwrap_or_default());
            states.push(payload["state"].as_str().unwrap().to_owned());
            if payload["state"] == "final" {
                assert_eq!(payload["message"]["content"][0]["text"], "one two three");
                assert_eq!(payload["usage"]["output"], 2);
            }
        } else if frame["event"] == "agent" {
            let (stream, data) = (&payload["stream"], &payload["data"]);
            streams.push(format!(
                "{}:{}",
                stream.as_str().unwrap(),
                data["phase"].as_str().unwrap_or_default()
            ));
        }
    }
    assert_eq!(status, Some(json!("started")));
    assert_eq!(text, "one two three");
    assert_eq!(streams[..3], ["lifecycle:start", "run_status:starting_model", "lifecycle:model"]);
    assert_eq!(streams.last().map(String::as_str), Some("lifecycle:end"));
    let changed = client.event("sessions.changed").await;
    assert_eq!(changed["payload"]["session"]["key"], "agent:main:main");

    let history = client.call("chat.history", json!({"sessionKey": "main"})).await["payload"].clone();
    let messages = history["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 2, "{history}");
    assert_eq!(
        (&messages[0]["content"], &messages[0]["idempotencyKey"]),
        (&json!("hello"), &json!("run-1:user"))
    );
    assert_eq!(
        (&messages[1]["stopReason"], &messages[1]["__openclaw"]["runId"]),
        (&json!("stop"), &json!("run-1"))
    );
    assert!(history.get("inFlightRun").is_none());
    let again = client.call("chat.send", send).await;
    assert_eq!(again["payload"], json!({"runId": "run-1", "status": "ok"}));
    let waited = client.call("agent.wait", json!({"runId": "run-1"})).await["payload"].clone();
    assert_eq!(waited["status"], "ok");
    assert_eq!(waited["terminalReply"], json!({"disposition": "visible", "text": "one two three"}));
}

#[tokio::test]
async fn agent_gives_the_answer_in_its_second_response() {
    let (core, desk) = counter().await;
    attach_agent(&core).await;
    for version in [4, 3] {
        let (mut client, _) = Client::hello(&desk, version, &["operator.write"]).await;
        let run = format!("run-{version}");
        let params = json!({"message": "hi", "idempotencyKey": run});
        client.say(&json!({"type": "req", "id": "a", "method": "agent", "params": params})).await;
        let first = client.response("a").await["payload"].clone();
        assert_eq!((&first["runId"], &first["status"]), (&json!(run), &json!("accepted")));
        assert_eq!(first.get("sessionKey").is_some(), version == 4);
        let second = client.response("a").await["payload"].clone();
        assert_eq!((&second["status"], &second["summary"]), (&json!("ok"), &json!("completed")));
        assert_eq!(second["result"]["payloads"], json!([{"text": "one two three", "mediaUrl": null}]));
        assert!(second["result"]["meta"]["durationMs"].is_i64());
    }
}

#[tokio::test]
async fn a_run_can_be_stopped() {
    let (core, desk) = counter().await;
    attach_agent(&core).await;
    let (mut client, _) = Client::hello(&desk, 3, &["operator.write"]).await;
    let send = json!({"sessionKey": "main", "message": "wait", "idempotencyKey": "run-1"});
    client.call("chat.send", send.clone()).await;
    while client.event("chat").await["payload"]["state"] != "delta" {}
    let again = client.call("chat.send", send).await;
    assert_eq!(again["payload"]["status"], "in_flight");
    let (mut reader, _) = Client::hello(&desk, 4, &["operator.read"]).await;
    let history = reader.call("chat.history", json!({"sessionKey": "agent:main:main"})).await;
    assert_eq!(history["payload"]["inFlightRun"]["runId"], "run-1");
    let elsewhere = json!({"sessionKey": "agent:main:other", "runId": "run-1"});
    let refused = client.call("chat.abort", elsewhere).await;
    assert_eq!(refused["error"]["message"], "runId does not match sessionKey");

    client.say(&json!({"type": "req", "id": "x", "method": "chat.abort", "params": {"sessionKey": "main", "runId": "run-1"}})).await;
    let (mut stopped, mut aborted) = (None, None);
    while stopped.is_none() || aborted.is_none() {
        let frame = client.frame().await;
        if frame["id"] == "x" {
            stopped = Some(frame["payload"].clone());
        } else if frame["payload"]["state"] == "aborted" {
            aborted = Some(frame["payload"]["sessionKey"].clone());
        }
    }
    assert_eq!(stopped, Some(json!({"ok": true, "aborted": true, "runIds": ["run-1"]})));
    // Protocol 3 says the key as it was asked.
    assert_eq!(aborted, Some(json!("main")));
}
