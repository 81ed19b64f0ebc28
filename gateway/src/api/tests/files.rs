//! Conversations as files, and what an operator decides about.

use super::*;

fn session_file(id: &str, text: &str) -> String {
    let header = json!({"type": "session", "version": 3, "id": id, "timestamp": "2026-11-21T08:00:00.000Z", "cwd": "/"});
    let message = json!({"role": "user", "content": text});
    let record = json!({"type": "message", "id": "a", "parentId": null, "timestamp": "2026-11-21T08:00:01.000Z", "message": message});
    format!("{header}\n{record}\n")
}

async fn exported(client: &mut Client, key: &str) -> (usize, String) {
    let (mut pieces, mut text) = (0, String::new());
    let mut params = json!({"key": key});
    loop {
        let piece = client.call("sessions.export", params.clone()).await["payload"].clone();
        pieces += 1;
        text.push_str(piece["text"].as_str().unwrap());
        if piece["next"].is_null() {
            return (pieces, text);
        }
        params = json!({"key": key, "offset": piece["next"], "sessionId": piece["sessionId"]});
    }
}

#[tokio::test]
async fn a_session_file_comes_in_once_and_goes_out_as_it_came() {
    let (_core, desk) = counter().await;
    let (mut client, _) = Client::hello(&desk, 4, &["operator.admin"]).await;
    // Two bytes a letter, and more than a piece of them.
    let file = session_file("s-1", &"ä".repeat(700_000));
    let tried =
        client.call("sessions.import", json!({"text": file, "dryRun": true})).await["payload"].clone();
    assert_eq!((&tried["known"], &tried["entries"]), (&json!(false), &json!(1)));
    let absent = client.call("sessions.export", json!({"key": tried["key"]})).await;
    assert_eq!(absent["ok"], false, "nothing was changed: {absent}");
    let taken = client.call("sessions.import", json!({"text": file})).await["payload"].clone();
    assert_eq!(taken["key"], "agent:main:import:s-1");
    let again = client.call("sessions.import", json!({"text": file})).await["payload"].clone();
    assert_eq!((&again["known"], &again["key"]), (&json!(true), &taken["key"]));
    let (pieces, text) = exported(&mut client, "agent:main:import:s-1").await;
    assert!(pieces > 1);
    assert!(text == file, "{} bytes came back of {}", text.len(), file.len());
    let listed = client.call("sessions.list", json!({})).await["payload"].clone();
    assert_eq!(listed["sessions"][0]["sessionId"], "s-1", "{listed}");
    let broken = format!("{}torn", session_file("s-2", "hi"));
    let told =
        client.call("sessions.import", json!({"text": broken, "key": "main"})).await["payload"].clone();
    assert_eq!((&told["key"], &told["faults"][0]["line"]), (&json!("agent:main:main"), &json!(3)), "{told}");
    let stale = client.call("sessions.export", json!({"key": "main", "sessionId": "another"})).await;
    assert!(stale["error"]["message"].as_str().unwrap().contains("began afresh"), "{stale}");
}

#[tokio::test]
async fn what_was_said_is_found_in_the_words_of_the_protocol() {
    let (_core, desk) = counter().await;
    let (mut client, _) = Client::hello(&desk, 4, &["operator.admin"]).await;
    for (id, text) in [("s-1", "Where is the ferry?"), ("s-2", "東京都のフェリー, the ferry")] {
        let taken = client.call("sessions.import", json!({"text": session_file(id, text)})).await;
        assert_eq!(taken["ok"], true, "{taken}");
    }
    let mut found = async |params: Value| client.call("sessions.search", params).await["payload"].clone();
    let all = found(json!({"query": "FERRY", "limit": 1})).await;
    assert_eq!(all["truncated"], true, "{all}");
    let hit = &all["results"][0];
    assert_eq!((&hit["sessionKey"], &hit["role"]), (&json!("agent:main:import:s-2"), &json!("user")));
    assert_eq!((&hit["sessionId"], &hit["messageId"]), (&json!("s-2"), &json!("1")));
    assert_eq!((&hit["snippet"], &hit["score"]), (&json!("東京都のフェリー, the ferry"), &json!(1.0)));
    assert!(hit["timestamp"].is_i64() && all.get("indexing").is_none(), "{all}");
    let one =
        found(json!({"query": "ferry", "sessionKeys": ["agent:main:import:s-1"], "agentId": "main"})).await;
    assert_eq!(one["results"].as_array().unwrap().len(), 1, "{one}");
    assert_eq!(found(json!({"query": "京都"})).await["results"][0]["sessionId"], "s-2");
    assert_eq!(found(json!({"query": "agent", "agentId": "nobody"})).await["results"], json!([]));
}

#[tokio::test]
async fn what_cannot_be_done_is_a_sentence() {
    let (_core, desk) = counter().await;
    let (mut client, _) = Client::hello(&desk, 4, &["operator.admin"]).await;
    let calls = [
        ("sessions.import", json!({"text": "hello"})),
        ("sessions.import", json!({"text": session_file("s", "hi"), "agentId": "nobody"})),
        ("sessions.import", json!({"text": session_file("s", "hi"), "key": "agent:nobody:main"})),
        ("sessions.export", json!({"key": "main"})),
        ("inbox.retry", json!({"id": 7})),
        ("inbox.drop", json!({"id": 7})),
        ("outbox.retry", json!({"key": "t/0"})),
        ("outbox.drop", json!({"key": "t/0"})),
    ];
    let mut told = Vec::new();
    for (method, params) in &calls {
        let answer = client.call(method, params.clone()).await;
        told.push(format!("{method}: {}", answer["error"]["message"].as_str().unwrap()));
    }
    insta::assert_snapshot!(told.join("\n"), @r#"
    sessions.import: Line 1 is no header of a session: it is no JSON: expected value at column 1. A session file begins with a line such as {"type":"session","id":…}.
    sessions.import: There is no agent "nobody" in the configuration.
    sessions.import: "agent:nobody:main" is no session; write `main`, or `agent:<id>:<name>` with an agent that is configured.
    sessions.export: There is no session agent:main:main; `creel sessions` lists them.
    inbox.retry: No message 7 is set aside; `creel inbox` lists those that are.
    inbox.drop: No message 7 is set aside; `creel inbox` lists those that are.
    outbox.retry: There is no message t/0 in the outbox; `creel outbox list` shows the newest.
    outbox.drop: There is no message t/0 in the outbox; `creel outbox list` shows the newest.
    "#);
    let (mut reader, _) = Client::hello(&desk, 4, &["operator.read"]).await;
    for (method, params) in &calls {
        let allowed = reader.call(method, params.clone()).await["error"]["message"].clone();
        let refused = allowed.as_str().unwrap().contains("scope");
        assert_eq!(refused, *method != "sessions.export", "{method}: {allowed}");
    }
}
