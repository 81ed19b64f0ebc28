use serde_json::json;

use super::*;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn the_hello_has_what_recorded_clients_read() {
    let (_core, desk) = counter().await;
    for version in [4, 3] {
        let (_client, hello) = Client::hello(&desk, version, &["operator.read"]).await;
        for key in ["type", "protocol", "server", "features", "snapshot", "auth", "policy"] {
            assert!(hello.get(key).is_some(), "{key} is missing");
        }
        assert_eq!((&hello["type"], &hello["protocol"]), (&json!("hello-ok"), &json!(version)));
        assert_eq!(keys(&hello["policy"]), ["maxPayload", "maxBufferedBytes", "tickIntervalMs"]);
        assert_eq!(hello["policy"]["tickIntervalMs"], 30_000);
        assert_eq!(hello["policy"]["maxPayload"], 26_214_400);
        let snapshot = &hello["snapshot"];
        for key in ["presence", "health", "stateVersion", "uptimeMs", "sessionDefaults"] {
            assert!(snapshot.get(key).is_some(), "{key} is missing");
        }
        assert_eq!(snapshot["sessionDefaults"]["mainSessionKey"], "agent:main:main");
        assert_eq!(keys(&snapshot["stateVersion"]), ["presence", "health"]);
        let methods = hello["features"]["methods"].as_array().unwrap();
        assert!(methods.contains(&json!("chat.send")) && methods.contains(&json!("methods.list")));
        let events = hello["features"]["events"].as_array().unwrap();
        assert_eq!(events.contains(&json!("sessions.changed")), version == 4);
        assert_eq!(hello["auth"]["scopes"], json!(["operator.read"]));
    }
}

#[tokio::test]
async fn the_hello_names_the_main_session_and_the_way_in_as_they_are_configured() {
    let text = "{ session: { mainKey: 'home' }, agents: { list: [{ id: 'ada' }] },
                  gateway: { auth: { mode: 'password', password: 'p' } } }";
    let (_core, desk) = counter_over(core_of(text).await);
    let (mut client, hello) = Client::hello(&desk, 4, &["operator.read"]).await;
    let defaults = json!({"defaultAgentId": "ada", "mainKey": "home", "mainSessionKey": "agent:ada:home"});
    for (key, value) in defaults.as_object().unwrap() {
        assert_eq!(hello["snapshot"]["sessionDefaults"][key], *value, "{key}");
    }
    assert_eq!(hello["snapshot"]["authMode"], "password");
    assert_eq!(client.call("agents.list", json!({})).await["payload"]["mainKey"], "home");
}

#[tokio::test]
async fn refusals_say_why_and_close() {
    let (_core, desk) = counter().await;
    let range = |low: u32, high: u32| {
        let mut frame = connect(4, &[], TOKEN);
        frame["params"]["minProtocol"] = low.into();
        frame["params"]["maxProtocol"] = high.into();
        frame
    };
    let mut unknown = connect(4, &[], TOKEN);
    unknown["params"]["client"]["id"] = "my-client".into();
    let mut nobody = connect(4, &[], TOKEN);
    nobody["params"]["auth"] = json!({});
    let table = [
        (range(5, 7), "INVALID_REQUEST", "protocol mismatch", 1002),
        (range(1, 2), "INVALID_REQUEST", "protocol mismatch", 1002),
        (
            unknown,
            "INVALID_REQUEST",
            "invalid connect params: at /client/id: must be equal to one of the allowed values",
            1008,
        ),
        (nobody, "NOT_PAIRED", "device identity required", 1008),
        (
            connect(4, &[], "short"),
            "INVALID_REQUEST",
            "unauthorized: gateway token mismatch (provide gateway auth token)",
            1008,
        ),
        (
            connect(3, &[], &TOKEN.repeat(3)),
            "INVALID_REQUEST",
            "unauthorized: gateway token mismatch (provide gateway auth token)",
            1008,
        ),
        (
            json!({"type": "req", "id": "c", "method": "health"}),
            "INVALID_REQUEST",
            "invalid handshake: first request must be connect",
            1008,
        ),
    ];
    for (frame, code, message, close) in table {
        let mut client = Client::open(&desk, here(true)).await;
        client.say(&frame).await;
        let answer = client.frame().await;
        assert_eq!(
            (&answer["type"], &answer["id"], &answer["ok"]),
            (&json!("res"), &json!("c"), &json!(false))
        );
        assert_eq!((&answer["error"]["code"], &answer["error"]["message"]), (&json!(code), &json!(message)));
        let (closed, reason) = client.close().await;
        assert_eq!(closed, close, "{message}");
        assert!(message.starts_with(&reason), "{reason}");
    }
}

#[tokio::test]
async fn a_foreign_page_is_refused_even_with_the_token() {
    let (_core, desk) = counter().await;
    let mut client = Client::open(&desk, here(false)).await;
    client.say(&connect(4, &[], TOKEN)).await;
    assert_eq!(client.frame().await["error"]["details"]["code"], "CONTROL_UI_ORIGIN_NOT_ALLOWED");
    assert_eq!(client.close().await.0, 1008);
}

#[tokio::test]
async fn guessing_the_token_is_slowed_down() {
    let (_core, desk) = counter().await;
    for guess in 0..10 {
        let mut client = Client::open(&desk, here(true)).await;
        client.say(&connect(4, &[], &format!("guess-{guess}"))).await;
        assert_eq!(client.frame().await["error"]["details"]["code"], "AUTH_TOKEN_MISMATCH");
    }
    let mut client = Client::open(&desk, here(true)).await;
    client.say(&connect(4, &[], TOKEN)).await;
    let error = client.frame().await["error"].clone();
    assert_eq!(error["details"]["code"], "AUTH_RATE_LIMITED");
    assert_eq!(error["retryable"], true);
    assert!((1..=60_000).contains(&error["retryAfterMs"].as_u64().unwrap()));
    let elsewhere = Arrival { peer: "192.0.2.1".parse().unwrap(), origin_allowed: true };
    let mut client = Client::open(&desk, elsewhere).await;
    client.say(&connect(4, &[], TOKEN)).await;
    assert_eq!(client.frame().await["ok"], true);
}

#[tokio::test]
async fn a_second_connect_is_no_way_to_more_rights() {
    let (_core, desk) = counter().await;
    let (mut client, _) = Client::hello(&desk, 4, &["operator.read"]).await;
    client.say(&connect(4, &["operator.admin"], TOKEN)).await;
    assert_eq!(client.response("c").await["error"]["message"], "connect is only valid as the first request");
    assert_eq!(client.call("config.reload", json!({})).await["error"]["code"], "FORBIDDEN");
}

#[tokio::test]
async fn who_says_nothing_is_closed_after_ten_seconds() {
    let (_core, desk) = counter().await;
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let mut client = Client::open(&desk, here(true)).await;
    assert_eq!(client.close().await, (1008, "handshake timeout".to_owned()));
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_large_frame_before_the_hello_ends_it_and_is_fine_after_it() {
    let (_core, desk) = counter().await;
    let mut client = Client::open(&desk, here(true)).await;
    client.text(&"x".repeat(70_000)).await;
    assert_eq!(client.close().await.0, 1009);
    let (mut client, _) = Client::hello(&desk, 4, &["operator.admin"]).await;
    let answer =
        client.call("chat.send", json!({"sessionKey": "main", "message": "x".repeat(100_000)})).await;
    assert!(answer["error"]["message"].as_str().unwrap().contains("'idempotencyKey'"));
}
