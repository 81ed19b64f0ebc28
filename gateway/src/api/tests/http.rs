use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::hub::CoreEvent;

struct Door {
    core: Arc<Core>,
    address: SocketAddr,
    serving: tokio::task::JoinHandle<()>,
}

async fn door() -> Door {
    let core = core().await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(crate::api::serve(listener, Hub::new(core.clone())));
    Door { core, address, serving }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Door {
    async fn ask(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    async fn get(&self, path: &str, headers: &str) -> Answer {
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}\r\n",
            self.address
        ))
        .await
    }

    async fn rpc(&self, headers: &str, body: &str) -> Answer {
        let head = format!("host: {}\r\nconnection: close\r\ncontent-length: {}", self.address, body.len());
        self.ask(&format!("POST /rpc HTTP/1.1\r\n{head}\r\n{headers}\r\n{body}")).await
    }

    async fn rpc_value(&self, body: &str) -> Value {
        let answer = self.rpc(&bearer(), body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    async fn client(&self, scopes: &[&str]) -> Socket {
        let url = format!("ws://{}/any/path", self.address);
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        socket.next().await.unwrap().unwrap();
        socket.send(Message::text(connect(4, scopes, TOKEN).to_string())).await.unwrap();
        let mut socket = Socket(socket);
        assert_eq!(socket.response("c").await["ok"], true);
        socket
    }
}

struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn response(&mut self, id: &str) -> Value {
        loop {
            let message = timeout(Duration::from_secs(20), self.0.next()).await.unwrap().unwrap().unwrap();
            if let Message::Text(text) = message {
                let frame: Value = serde_json::from_str(&text).unwrap();
                if frame["id"] == id {
                    return frame;
                }
            }
        }
    }

    async fn call(&mut self, method: &str, params: &Value) -> Value {
        let frame = json!({"type": "req", "id": "q", "method": method, "params": params});
        self.0.send(Message::text(frame.to_string())).await.unwrap();
        self.response("q").await
    }
}

fn bearer() -> String {
    format!("authorization: Bearer {TOKEN}\r\n")
}

#[tokio::test]
async fn life_is_told_to_everybody_and_reasons_only_to_who_knows_the_token() {
    let door = door().await;
    let live = door.get("/health", "").await;
    assert_eq!((live.status, live.body.as_str()), (200, r#"{"ok":true,"status":"live"}"#));
    let ready = door.get("/ready", "").await;
    // There is no supervisor in this test.
    assert_eq!(ready.status, 503);
    assert!(!ready.body.contains("reasons"), "{}", ready.body);
    let ready = door.get("/ready", &bearer()).await;
    assert_eq!(ready.status, 503);
    let body: Value = serde_json::from_str(&ready.body).unwrap();
    assert!(!body["reasons"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn every_answer_is_safe_in_a_browser() {
    let door = door().await;
    for path in ["/", "/health", "/nope", "/rpc"] {
        let answer = door.get(path, "").await;
        for header in [
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "x-frame-options: deny",
            "frame-ancestors 'none'",
        ] {
            assert!(answer.head.contains(header), "{path} has no {header}");
        }
    }
    assert_eq!(door.get("/", "").await.status, 200);
    assert_eq!(door.get("/nope", "").await.status, 404);
    assert_eq!(door.get("/rpc", "").await.status, 405);
    let outdated =
        door.get("/", "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 8\r\n").await;
    assert_eq!(outdated.status, 426);
}

#[tokio::test]
async fn rpc_needs_the_token_and_no_foreign_page() {
    let door = door().await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"health"}"#;
    assert_eq!(door.rpc("", call).await.status, 401);
    let foreign = format!("{}origin: http://evil.example\r\n", bearer());
    assert_eq!(door.rpc(&foreign, call).await.status, 403);
    for guess in 0..10 {
        let wrong = format!("authorization: Bearer guess{guess}\r\n");
        assert_eq!(door.rpc(&wrong, call).await.status, 401);
    }
    let locked = door.rpc(&bearer(), call).await;
    assert_eq!(locked.status, 429);
    assert!(locked.head.contains("retry-after: "), "{}", locked.head);
}

#[tokio::test]
async fn batches_follow_json_rpc() {
    let door = door().await;
    let batch = r#"[{"jsonrpc":"2.0","id":"a","method":"nope"},{"jsonrpc":"2.0","method":"health"},
        {"jsonrpc":"2.0","id":2,"method":"system-presence","params":{}},7,
        {"jsonrpc":"2.0","id":3,"method":"system-presence","params":[1]}]"#;
    let answers = door.rpc_value(batch).await;
    let answers = answers.as_array().unwrap();
    let ids: Vec<_> = answers.iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(ids, [json!("a"), json!(2), Value::Null, json!(3)]);
    let codes: Vec<_> = answers.iter().map(|answer| answer["error"]["code"].as_i64()).collect();
    assert_eq!(codes, [Some(-32601), None, Some(-32600), Some(-32602)]);

    assert_eq!(door.rpc_value("[]").await["error"]["code"], -32600);
    assert_eq!(door.rpc_value("{").await["error"]["code"], -32700);
    assert_eq!(door.rpc_value(r#"{"id":1,"method":"health"}"#).await["error"]["code"], -32600);
    let silent = door.rpc(&bearer(), r#"{"jsonrpc":"2.0","method":"health"}"#).await;
    assert_eq!((silent.status, silent.body.as_str()), (204, ""));
}

#[tokio::test]
async fn both_interfaces_give_the_same_answer_to_the_same_call() {
    let door = door().await;
    let calls = [
        ("agents.list", json!({})),
        ("methods.list", json!({})),
        ("sessions.describe", json!({"key": "main"})),
        ("models.list", json!({"bogus": true})),
        ("sessions.list", json!({"limit": 0})),
        ("sessions.search", json!({"query": "nobody said this"})),
        ("sessions.search", json!({"query": " … "})),
        ("sessions.search", json!({"query": "a", "limit": 26})),
        ("chat.send", json!({"sessionKey": "main", "message": "hi", "idempotencyKey": "same"})),
        ("chat.send", json!({"sessionKey": "main"})),
        ("chat.history", json!({"sessionKey": "agent:nobody:main"})),
        ("agent.wait", json!({"runId": "never"})),
        ("channels.pairing.approve", json!({"channel": "telegram", "code": "X"})),
        ("unit.restart", json!({"unit": "agent:main"})),
        ("config.reload", json!({})),
        ("send", json!({"to": "1", "idempotencyKey": "k"})),
        ("outbox.list", json!({})),
        ("no.such.method", json!({})),
    ];
    for scopes in [&["operator.admin"][..], &["operator.read"], &[]] {
        let mut client = door.client(scopes).await;
        let header = format!("{}x-openclaw-scopes: {}\r\n", bearer(), scopes.join(","));
        for (method, params) in &calls {
            let framed = client.call(method, params).await;
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
            let answer = door.rpc(&header, &body).await;
            let rpc: Value = serde_json::from_str(&answer.body).unwrap();
            let shown = format!("{method} {params} with {scopes:?}");
            if framed["ok"] == true {
                let is_send = *method == "chat.send";
                let mut expected = framed["payload"].clone();
                if is_send && expected["status"] == "started" {
                    // The same message again.
                    expected["status"] = "in_flight".into();
                }
                assert_eq!(rpc["result"], expected, "{shown}");
            } else {
                let error = &framed["error"];
                assert_eq!(rpc["error"]["message"], error["message"], "{shown}");
                assert_eq!(rpc["error"]["data"]["code"], error["code"], "{shown}");
                assert_eq!(rpc["error"]["data"].get("details"), error.get("details"), "{shown}");
            }
        }
    }
}

#[tokio::test]
async fn it_ends_when_the_core_does() {
    let door = door().await;
    let mut client = door.client(&["operator.read"]).await;
    door.core.tell(CoreEvent::ShuttingDown { reason: "stop".into() });
    let close = loop {
        match timeout(Duration::from_secs(20), client.0.next()).await.unwrap() {
            Some(Ok(Message::Close(frame))) => break frame.unwrap(),
            Some(Ok(_)) => {}
            other => panic!("{other:?} instead of a close frame"),
        }
    };
    assert_eq!(u16::from(close.code), 1012);
    drop(client);
    timeout(Duration::from_secs(20), door.serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn metrics_are_for_whoever_has_a_token_and_from_nowhere_else() {
    let door = door().await;
    for headers in ["", "authorization: Bearer wrong\r\n", "x-forwarded-for: 127.0.0.1\r\n"] {
        assert_eq!(door.get("/metrics", headers).await.status, 401, "{headers}");
    }
    let answer = door.get("/metrics", &bearer()).await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    assert!(answer.body.contains("\ncreel_supervisor_up 0\n"), "{}", answer.body);
}

#[tokio::test]
async fn the_token_for_metrics_opens_nothing_else() {
    let door = door().await;
    let config = "{gateway: {metrics: {token: 'only-for-numbers-0123456789'}}}";
    let settings = Settings::of_text(config, Path::new("/nonexistent/creel-api-tests"));
    door.core.replace_settings(settings, Secret::new(TOKEN));
    let scrape = "authorization: Bearer only-for-numbers-0123456789\r\n";
    assert_eq!(door.get("/metrics", scrape).await.status, 200);
    assert_eq!(door.rpc(scrape, "{}").await.status, 401);
    assert!(!door.get("/ready", scrape).await.body.contains("reasons"));
}
