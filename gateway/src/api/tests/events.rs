use creel_ipc::msg::agent::{DeltaKind, ToolPhase, TurnOutcome, TurnTool};
use creel_ipc::msg::transcript::Usage;
use serde_json::json;

use super::*;
use crate::hub::CoreEvent;

const KEY: &str = "agent:main:main";

fn started(run: &str) -> CoreEvent {
    CoreEvent::RunStarted {
        run: run.to_owned(),
        session_key: KEY.to_owned(),
        agent: "main".to_owned(),
        channel: None,
        at_ms: 1,
    }
}

fn delta(run: &str, text: &str) -> CoreEvent {
    let (run, session_key) = (run.to_owned(), KEY.to_owned());
    CoreEvent::Delta { run, session_key, kind: DeltaKind::Text, text: text.to_owned() }
}

fn ended(run: &str, text: &str) -> CoreEvent {
    CoreEvent::RunEnded {
        run: run.to_owned(),
        session_key: KEY.to_owned(),
        outcome: TurnOutcome::Done,
        error: None,
        text: text.to_owned(),
        usage: Usage::default(),
    }
}

#[tokio::test]
async fn a_run_reaches_who_may_read_numbered_by_connection() {
    let (core, desk) = counter().await;
    let (mut reader, _) = Client::hello(&desk, 4, &["operator.read"]).await;
    let (mut old, _) = Client::hello(&desk, 3, &["operator.read"]).await;
    let (mut stranger, _) = Client::hello(&desk, 4, &["operator.pairing"]).await;
    core.tell(started("r"));
    core.tell(delta("r", "Hel"));
    core.tell(delta("r", "lo"));
    core.tell(ended("r", "Hello"));

    let mut last = 0;
    let mut states = Vec::new();
    loop {
        let frame = reader.frame().await;
        let seq = frame["seq"].as_u64().unwrap();
        assert_eq!(seq, last + 1, "{frame}");
        last = seq;
        if frame["event"] == "chat" {
            states.push(frame["payload"]["state"].as_str().unwrap().to_owned());
            if frame["payload"]["state"] == "final" {
                assert_eq!(frame["payload"]["message"]["content"][0]["text"], "Hello");
                break;
            }
        }
    }
    assert_eq!(states.first().map(String::as_str), Some("status"));

    let mut seqs = Vec::new();
    loop {
        let frame = old.frame().await;
        seqs.push(frame["seq"].as_u64().unwrap());
        assert!(frame["payload"]["state"] != "status");
        if frame["payload"]["state"] == "final" {
            break;
        }
    }
    assert!(seqs.is_sorted(), "{seqs:?}");

    assert_eq!(stranger.call("channels.pairing.list", json!({})).await["ok"], true);
    core.tell(CoreEvent::PairingChanged { channel: "telegram".into(), account: "default".into() });
    loop {
        let frame = stranger.frame().await;
        assert!(frame["event"] != "chat" && frame["event"] != "agent", "{frame}");
        if frame["event"] == "channels.pairing.changed" {
            break;
        }
    }
}

#[tokio::test]
async fn tools_are_shown_to_who_asked_for_them() {
    let (core, desk) = counter().await;
    let (mut watcher, _) = Client::hello(&desk, 4, &["operator.read"]).await;
    let mut plain = Client::open(&desk, here(true)).await;
    let mut frame = connect(4, &["operator.read"], TOKEN);
    frame["params"]["caps"] = json!([]);
    plain.say(&frame).await;
    assert_eq!(plain.frame().await["ok"], true);

    core.tell(started("r"));
    let phase = ToolPhase::Start { arguments: json!({"command": "ls"}) };
    let tool = TurnTool { turn: "t".into(), call_id: "c".into(), name: "exec".into(), phase };
    core.tell(CoreEvent::Tool { run: "r".into(), session_key: KEY.into(), tool });
    core.tell(ended("r", "done"));
    loop {
        let frame = watcher.event("agent").await;
        if frame["payload"]["stream"] == "tool" {
            assert_eq!(frame["payload"]["data"]["toolCallId"], "c");
            break;
        }
    }
    loop {
        let frame = plain.frame().await;
        assert!(frame["payload"]["stream"] != "tool", "{frame}");
        if frame["payload"]["state"] == "final" {
            break;
        }
    }
}

#[tokio::test]
async fn sessions_are_told_to_who_subscribed() {
    let (core, desk) = counter().await;
    let (mut watcher, _) = Client::hello(&desk, 4, &["operator.read"]).await;
    let (mut other, _) = Client::hello(&desk, 4, &["operator.read"]).await;
    let answer = watcher.call("sessions.subscribe", json!({})).await;
    assert_eq!(answer["payload"], json!({"subscribed": true}));
    core.tell(CoreEvent::SessionChanged { key: KEY.into() });
    core.tell(ended("r", "x"));
    assert_eq!(watcher.event("sessions.changed").await["payload"]["sessionKey"], KEY);
    loop {
        let frame = other.frame().await;
        assert!(frame["event"] != "sessions.changed");
        if frame["payload"]["state"] == "final" {
            break;
        }
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_loses_deltas_then_the_connection_and_never_holds_up_others() {
    let (core, desk) = counter().await;
    let mut stuck = Client::open_silently(&desk, here(true), 8 * 1024).await;
    assert_eq!(stuck.frame().await["event"], "connect.challenge");
    stuck.say(&connect(3, &["operator.read"], TOKEN)).await;
    assert_eq!(stuck.frame().await["ok"], true);
    let (mut good, _) = Client::hello(&desk, 4, &["operator.read"]).await;

    // Ends cannot be missed; 40 of 64 KiB are more than a client of protocol 3 may leave unread.
    let text = "x".repeat(64 * 1024);
    for run in 0..40 {
        core.tell(ended(&format!("r{run}"), &text));
        loop {
            let frame = good.event("chat").await;
            if frame["payload"]["state"] == "final" {
                assert_eq!(frame["payload"]["runId"], format!("r{run}"));
                break;
            }
        }
    }
    assert_eq!(stuck.close().await, (1008, "slow consumer".to_owned()));
}

#[tokio::test]
async fn the_end_of_the_gateway_is_announced() {
    let (core, desk) = counter().await;
    let (mut client, _) = Client::hello(&desk, 4, &["operator.read"]).await;
    core.tell(CoreEvent::ShuttingDown { reason: "restart".into() });
    assert_eq!(client.event("shutdown").await["payload"]["reason"], "restart");
    desk.clients.close_all(1012, "service restart");
    assert_eq!(client.close().await, (1012, "service restart".to_owned()));
    desk.clients.empty().await;
}

#[tokio::test]
async fn clients_hear_a_tick_and_a_silent_one_is_let_go() {
    let (_core, desk) = counter().await;
    let (mut client, _) = Client::hello(&desk, 4, &[]).await;
    // Not before: the store's own thread keeps no paused time.
    tokio::time::pause();
    tokio::spawn(feed::tick(desk.clone()));
    let began = tokio::time::Instant::now();
    assert!(client.event("tick").await["payload"]["ts"].is_i64());
    assert_eq!(began.elapsed().as_secs(), 30);
    // From here on it does not answer pings: its messages are not read, so no pong is written.
    desk.clients.empty().await;
    assert!(began.elapsed().as_secs() <= 30 + 2 * 25);
}

#[tokio::test]
async fn who_missed_events_sees_a_gap_and_still_gets_the_end() {
    let (core, desk) = counter().await;
    let (mut client, _) = Client::hello(&desk, 4, &["operator.read"]).await;
    core.tell(started("r"));
    client.event("chat").await;
    let before = client.event("agent").await["seq"].as_u64().unwrap();
    // More than the core keeps for a slow listener; nothing else runs in between.
    for _ in 0..6000 {
        core.tell(delta("r", "x"));
    }
    core.tell(ended("r", "the whole answer"));
    let frame = client.event("chat").await;
    assert_eq!(frame["payload"]["state"], "final", "a torn text is not shown");
    assert_eq!(frame["payload"]["message"]["content"][0]["text"], "the whole answer");
    // Lifecycle and chat, and one number that was left out.
    assert_eq!(frame["seq"].as_u64().unwrap(), before + 3);
}
