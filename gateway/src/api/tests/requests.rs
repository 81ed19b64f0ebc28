use serde_json::json;

use super::super::method::{Caller, permitted};
use super::super::scope::asked;
use super::super::{admission, fault, methods};
use super::*;

#[tokio::test]
async fn a_message_is_taken_once_and_stands_in_the_history() {
    let (_core, desk) = counter().await;
    let (mut client, _) = Client::hello(&desk, 4, &["operator.write"]).await;
    let send = json!({"sessionKey": "main", "message": "hello there", "idempotencyKey": "run-1"});
    let first = client.call("chat.send", send.clone()).await;
    assert_eq!(first["payload"], json!({"runId": "run-1", "status": "started"}));
    let again = client.call("chat.send", send).await;
    assert_eq!(again["payload"], json!({"runId": "run-1", "status": "in_flight"}));
    let waited = client.call("agent.wait", json!({"runId": "run-1", "timeoutMs": 1})).await;
    assert_eq!(waited["payload"], json!({"runId": "run-1", "status": "timeout"}));
    let history = client.call("chat.history", json!({"sessionKey": "main", "limit": 5})).await;
    for key in
        ["sessionKey", "messages", "pendingInputs", "hasMore", "totalMessages", "defaults", "sessionInfo"]
    {
        assert!(history["payload"].get(key).is_some(), "{key} is missing");
    }
    let (mut old, _) = Client::hello(&desk, 3, &["operator.read"]).await;
    let history = old.call("chat.history", json!({"sessionKey": "main"})).await;
    assert_eq!(history["payload"]["sessionKey"], "main");
    assert!(history["payload"].get("pendingInputs").is_none());
}

#[tokio::test]
async fn agent_answers_twice_with_one_id() {
    let (_core, desk) = counter().await;
    let (mut client, _) = Client::hello(&desk, 4, &["operator.write"]).await;
    let params = json!({"message": "hi", "sessionKey": "main", "timeout": 1, "idempotencyKey": "run-2"});
    client.say(&json!({"type": "req", "id": "a", "method": "agent", "params": params})).await;
    let first = client.response("a").await;
    assert_eq!(first["payload"]["status"], "accepted");
    assert_eq!(first["payload"]["sessionKey"], "agent:main:main");
    // Other requests are answered in between.
    assert_eq!(client.call("system-presence", json!({})).await["ok"], true);
    let second = client.response("a").await;
    assert_eq!(
        (&second["payload"]["status"], &second["payload"]["runId"]),
        (&json!("timeout"), &json!("run-2"))
    );
}

#[tokio::test]
async fn errors_have_the_recorded_words() {
    let (_core, desk) = counter().await;
    let (mut client, _) = Client::hello(&desk, 4, &["operator.read"]).await;
    let error = client.call("no.such.method", json!({})).await["error"].clone();
    assert_eq!(error, json!({"code": "INVALID_REQUEST", "message": "unknown method: no.such.method"}));
    let error = client.call("chat.send", json!({})).await["error"].clone();
    assert_eq!(
        error,
        json!({
            "code": "FORBIDDEN", "message": "missing scope: operator.write",
            "details": {"code": "MISSING_SCOPE", "missingScope": "operator.write", "requiredScopes": ["operator.write"]},
        })
    );
    let (mut old, _) = Client::hello(&desk, 3, &["operator.read"]).await;
    let error = old.call("config.reload", json!({})).await["error"].clone();
    assert_eq!(error, json!({"code": "INVALID_REQUEST", "message": "missing scope: operator.admin"}));
    let error = old.call("no.such.method", json!({})).await["error"].clone();
    assert_eq!(error["message"], "missing scope: operator.admin");
    let error = old.call("chat.history", json!({"sessionKey": "main", "bogus": 1})).await["error"].clone();
    assert_eq!(error["message"], "invalid chat.history params: at root: unexpected property 'bogus'");
}

#[tokio::test]
async fn health_and_status_have_what_recorded_clients_print() {
    let (_core, desk) = counter().await;
    let (mut client, _) = Client::hello(&desk, 4, &["operator.read"]).await;
    let health = client.call("health", json!({"probe": true})).await["payload"].clone();
    for key in [
        "ok",
        "ts",
        "durationMs",
        "channels",
        "channelOrder",
        "channelLabels",
        "heartbeatSeconds",
        "defaultAgentId",
        "agents",
        "sessions",
    ] {
        assert!(health.get(key).is_some(), "{key} is missing");
    }
    let status = client.call("status", Value::Null).await["payload"].clone();
    for key in
        ["heartbeat", "channelSummary", "queuedSystemEvents", "sessions", "units", "version", "uptimeMs"]
    {
        assert!(status.get(key).is_some(), "{key} is missing");
    }
    for key in ["paths", "count", "defaults", "recent", "byAgent"] {
        assert!(status["sessions"].get(key).is_some(), "{key} is missing");
    }
    let channels = client.call("channels.status", json!({"probe": false})).await["payload"].clone();
    for key in [
        "ts",
        "channelOrder",
        "channelLabels",
        "channelDetailLabels",
        "channelSystemImages",
        "channelMeta",
        "channels",
        "channelAccounts",
        "channelDefaultAccountId",
    ] {
        assert!(channels.get(key).is_some(), "{key} is missing");
    }
    let sessions = client.call("sessions.list", json!({"limit": 20})).await["payload"].clone();
    for key in [
        "ts",
        "path",
        "count",
        "totalCount",
        "limitApplied",
        "nextOffset",
        "hasMore",
        "owners",
        "defaults",
        "sessions",
    ] {
        assert!(sessions.get(key).is_some(), "{key} is missing");
    }
}

#[tokio::test]
async fn models_are_those_that_the_agents_ask() {
    let (_core, desk) = counter().await;
    let (mut client, _) = Client::hello(&desk, 4, &["operator.read"]).await;
    // Nothing is configured, so the built-in demo answers.
    let models = client.call("models.list", json!({})).await["payload"]["models"].clone();
    assert_eq!((&models[0]["provider"], &models[0]["tags"]), (&json!("demo"), &json!(["default"])));
    let agents = client.call("agents.list", json!({})).await["payload"].clone();
    assert_eq!(agents["agents"][0]["model"]["primary"], "demo/demo");
    let sessions = client.call("sessions.list", json!({})).await["payload"].clone();
    assert_eq!(sessions["defaults"]["model"], "demo");
    let params = json!({"view": "default", "includeDetails": true});
    assert_eq!(client.call("models.list", params).await["payload"]["models"], models);
    let startup =
        client.call("chat.startup", json!({"sessionKey": "main", "limit": 80, "maxBytes": 262_144})).await;
    assert_eq!(startup["payload"]["metadata"]["models"], models);
    assert_eq!(startup["payload"]["messages"], json!([]));
    let params = json!({"agentId": "main", "scope": "text", "includeArgs": false});
    assert_eq!(client.call("commands.list", params).await["payload"]["commands"][0]["name"], "stop");
}

/// The scope of every method, by name: a new row has to be thought about here.
#[test]
fn every_method_needs_its_scope() {
    let expected = |name: &str| match name {
        "chat.send" | "chat.abort" | "agent" | "agent.wait" | "send" | "sessions.patch" => "operator.write",
        "sessions.reset" | "sessions.delete" | "sessions.cleanup" => "operator.admin",
        "config.reload" | "unit.restart" | "gateway.unit.restart" => "operator.admin",
        "inbox.retry" | "inbox.drop" | "outbox.retry" | "outbox.drop" | "sessions.import" => "operator.admin",
        "channels.pairing.list"
        | "channels.pairing.approve"
        | "channels.pairing.dismiss"
        | "pairing.list"
        | "pairing.approve" => "operator.pairing",
        "inbox.answer" | "exec.approval.list" | "exec.approval.resolve" => "operator.approvals",
        _ => "operator.read",
    };
    let all: Vec<_> = methods::ALL.iter().copied().flatten().collect();
    for row in &all {
        assert_eq!(row.scope.as_str(), expected(row.name), "{}", row.name);
    }
    let mut names: Vec<_> = all.iter().map(|row| row.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len(), "a name is in the table twice");

    let caller = |scopes: &[&str], role| Caller {
        protocol: fault::Protocol::V4,
        role,
        scopes: asked(scopes.iter().copied()),
        name: "test".to_owned(),
        client: None,
    };
    let operator = admission::Role::Operator;
    for row in &all {
        let scope = row.scope.as_str();
        let table = [
            (caller(&["operator.admin"], operator), true),
            (caller(&["operator.read"], operator), scope == "operator.read"),
            (caller(&["operator.write"], operator), matches!(scope, "operator.read" | "operator.write")),
            (caller(&["operator.pairing"], operator), scope == "operator.pairing"),
            (caller(&["operator.approvals"], operator), scope == "operator.approvals"),
            (caller(&[], operator), false),
            (caller(&["operator.admin"], admission::Role::Node), false),
        ];
        for (caller, expected) in table {
            let given = caller.scopes.names();
            assert_eq!(permitted(&caller, row.name).is_ok(), expected, "{} with {given:?}", row.name);
        }
    }
}

#[tokio::test]
async fn a_session_keeps_what_was_set_for_it_and_what_has_no_effect_is_refused() {
    let (_core, desk) = counter().await;
    let (mut client, _) = Client::hello(&desk, 4, &["operator.write"]).await;
    let wish = json!({"key": "main", "label": "Ann", "thinkingLevel": "high", "model": "anthropic/claude-x"});
    let refused = client.call("sessions.patch", wish.clone()).await["error"]["message"].to_string();
    assert!(refused.contains("no provider that is configured"), "{refused}");
    let wish = json!({"key": "main", "label": "Ann", "thinkingLevel": "high", "model": "demo/demo"});
    let set = client.call("sessions.patch", wish).await["payload"].clone();
    assert_eq!((&set["ok"], &set["key"]), (&json!(true), &json!("agent:main:main")), "{set}");
    assert_eq!(
        set["resolved"],
        json!({"modelProvider": "demo", "model": "demo", "thinkingLevel": "high"}),
        "{set}"
    );
    let row = client.call("sessions.describe", json!({"key": "main"})).await["payload"]["session"].clone();
    assert_eq!(
        (&row["label"], &row["thinkingLevel"], &row["sendPolicy"]),
        (&json!("Ann"), &json!("high"), &json!(null))
    );
    let back = client.call("sessions.patch", json!({"key": "main", "model": null, "label": null})).await;
    assert_eq!(
        (&back["payload"]["entry"]["label"], &back["payload"]["entry"]["thinkingLevel"]),
        (&json!(null), &json!("high"))
    );
    for (params, complaint) in [
        (json!({"key": "main", "thinkingLevel": "very"}), "There is no thinking level"),
        (json!({"key": "main", "verboseLevel": "on"}), "unexpected property 'verboseLevel'"),
        (json!({"key": "main", "expectedSessionId": "another", "label": "x"}), "began afresh meanwhile"),
        (json!({"key": "main", "sendPolicy": "deny"}), "operator.admin"),
        (json!({"key": "agent:nobody:x", "label": "x"}), "no session"),
    ] {
        let refused = client.call("sessions.patch", params.clone()).await["error"]["message"].to_string();
        assert!(refused.contains(complaint), "{params}: {refused}");
    }
    let (mut admin, _) = Client::hello(&desk, 3, &["operator.admin"]).await;
    let silent = admin.call("sessions.patch", json!({"key": "main", "sendPolicy": "deny"})).await;
    assert_eq!(silent["payload"]["entry"]["sendPolicy"], "deny");
}

#[tokio::test]
async fn sessions_begin_afresh_end_and_are_forgotten() {
    let (_core, desk) = counter().await;
    let (mut client, _) = Client::hello(&desk, 4, &["operator.admin"]).await;
    for key in ["main", "agent:main:one", "agent:main:two", "agent:main:busy"] {
        client.call("sessions.patch", json!({"key": key, "label": key})).await;
    }
    let send = json!({"sessionKey": "agent:main:busy", "message": "hi", "idempotencyKey": "r1"});
    client.call("chat.send", send).await;
    let reset = client.call("sessions.reset", json!({"key": "main"})).await["payload"].clone();
    assert_eq!((&reset["ok"], &reset["key"]), (&json!(true), &json!("agent:main:main")));
    for (method, key, complaint) in [
        ("sessions.reset", "agent:main:never", "There is no session"),
        ("sessions.reset", "agent:main:busy", "Something goes on"),
        ("sessions.delete", "agent:main:busy", "Something goes on"),
        ("sessions.delete", "main", "is a main session"),
    ] {
        let refused = client.call(method, json!({"key": key})).await["error"]["message"].to_string();
        assert!(refused.contains(complaint), "{method} {key}: {refused}");
    }
    let gone = client.call("sessions.delete", json!({"key": "agent:main:one"})).await["payload"].clone();
    assert_eq!(gone, json!({"ok": true, "key": "agent:main:one", "deleted": true, "archived": []}));
    let again = client.call("sessions.delete", json!({"key": "agent:main:one"})).await["payload"].clone();
    assert_eq!(again["deleted"], false);
    let dry =
        client.call("sessions.cleanup", json!({"dryRun": true, "maxEntries": 0})).await["payload"].clone();
    let keys = |answer: &Value| -> Vec<String> {
        answer["sessions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["key"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(keys(&dry), ["agent:main:two"], "neither the main session nor the busy one: {dry}");
    let none = client.call("sessions.cleanup", json!({})).await["payload"].clone();
    assert_eq!(none["count"], 0, "nothing is as old as the configuration wants");
    let done = client.call("sessions.cleanup", json!({"maxEntries": 0})).await["payload"].clone();
    assert_eq!((keys(&done), &done["dryRun"]), (vec!["agent:main:two".to_owned()], &json!(false)));
    let left = client.call("sessions.list", json!({})).await["payload"]["count"].clone();
    assert_eq!(left, 2);
}
