//! The whole service over a real link and real sockets on loopback.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use creel_ipc::Notify;
use creel_ipc::hello::{PROTOCOL, Welcome, WorkerConfig};
use creel_ipc::msg::egress::{
    EgressAttach, EgressBudget, EgressConfig, EgressDenied, EgressDetach, EgressRecord, EgressTerms,
    EgressTest, EgressTestParams, EgressTestResult, EgressVerdict, HostRule,
};
use creel_link::{Event, Incoming, Link, Vitals};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::names::Names;
use crate::server_name::tests::{client_hello, with_extension};
use crate::service::Service;

/// A running service with one unit, and the address that the unit would use as its proxy.
struct Running {
    link: Link,
    events: Incoming,
    proxy: SocketAddr,
    dir: tempfile::TempDir,
    asked: Arc<AtomicUsize>,
}

const ESTABLISHED: &str = "HTTP/1.1 200 Connection established";

async fn running(allow: Vec<HostRule>) -> Running {
    begin(allow, EgressBudget::default(), &[]).await
}

/// `names`: what the resolver says, one answer after the other.
async fn begin(allow: Vec<HostRule>, budget: EgressBudget, names: &[(&str, &[&[&str]])]) -> Running {
    let addresses = |list: &&[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
    let table: HashMap<_, Vec<Vec<_>>> = names
        .iter()
        .map(|(name, answers)| ((*name).to_owned(), answers.iter().map(addresses).collect()))
        .collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (service_link, service_events) = Link::new(theirs, 0, Vitals::default());
    let service = Service::new(service_link, Names::Table(table, Arc::clone(&asked)));
    tokio::spawn(service.run(service_events));
    let (link, mut events) = Link::new(ours, 0, Vitals::default());
    assert!(matches!(events.recv().await, Some(Event::Notification { method, .. }) if method == "hello"));
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.ndjson").to_string_lossy().into_owned();
    let config = EgressConfig { access_log: Some(log), ..EgressConfig::default() };
    let welcome = Welcome {
        protocol: PROTOCOL,
        session: "s".into(),
        epoch: 1,
        limits: creel_ipc::Limits::default(),
        config: WorkerConfig::Egress(config),
        cursor: None,
        lease: None,
    };
    link.notify::<Welcome>(&welcome).await.unwrap();
    assert!(matches!(events.recv().await, Some(Event::Notification { method, .. }) if method == "ready"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap();
    let terms = EgressTerms { key: "egress.allow".into(), account: None, budget };
    let attach = EgressAttach { fds: 1, unit: "agent:main".into(), incarnation: 1, allow, terms };
    link.notify_with_fds::<EgressAttach>(&attach, vec![OwnedFd::from(listener)]).await.unwrap();
    Running { link, events, proxy, dir, asked }
}

impl Running {
    async fn denied(&mut self) -> EgressDenied {
        match self.events.recv().await {
            Some(Event::Notification { method, params, .. }) if method == EgressDenied::METHOD => {
                serde_json::from_value(params).unwrap()
            }
            other => panic!("no report: {other:?}"),
        }
    }

    /// The first `count` lines of the access log.
    async fn lines(&self, count: usize) -> Vec<EgressRecord> {
        let path: &Path = &self.dir.path().join("access.ndjson");
        for _ in 0..500 {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<_> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            if lines.len() >= count {
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the access log has too few lines")
    }

    async fn test(&self, host: &str, port: u16, connect: bool) -> EgressTestResult {
        let asked = EgressTestParams { unit: "agent:main".into(), host: host.into(), port, connect };
        self.link.call::<EgressTest>(&asked).await.unwrap()
    }
}

fn rule_of(host: &str, port: u16, private: bool, tls: bool) -> HostRule {
    HostRule { host: host.into(), port, private, tls, source: "models.providers.local".into() }
}

fn rule(port: u16, private: bool, tls: bool) -> HostRule {
    rule_of("127.0.0.1", port, private, tls)
}

async fn target() -> (TcpListener, u16) {
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = target.local_addr().unwrap().port();
    (target, port)
}

/// Sends `request` through the proxy and returns the first line of what comes back.
async fn ask(proxy: SocketAddr, request: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(stream.read_u8().await.unwrap());
    }
    (stream, String::from_utf8(line).unwrap().trim_end().to_owned())
}

/// A tunnel whose answer was read to its end.
async fn tunnel(proxy: SocketAddr, to: &str) -> TcpStream {
    let (mut stream, status) = ask(proxy, &format!("CONNECT {to} HTTP/1.1\r\n\r\n")).await;
    assert_eq!(status, ESTABLISHED, "{to}");
    stream.read_u16().await.unwrap();
    stream
}

async fn rest_of(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    String::from_utf8_lossy(&rest).into_owned()
}

#[tokio::test]
async fn a_tunnel_reaches_an_allowed_host_and_carries_both_ways() {
    let (target, port) = target().await;
    let running = running(vec![rule(port, true, false)]).await;
    let mut stream = tunnel(running.proxy, &format!("127.0.0.1:{port}")).await;
    let (mut server, _) = target.accept().await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    // A half-closed tunnel carries the other way on.
    stream.shutdown().await.unwrap();
    assert_eq!(rest_of(&mut server).await, "ping");
    server.write_all(b"pong!").await.unwrap();
    drop(server);
    assert_eq!(rest_of(&mut stream).await, "pong!");
    let line = running.lines(1).await.remove(0);
    assert_eq!((line.up, line.down, line.verdict), (4, 5, EgressVerdict::Done));
    assert_eq!((line.host.as_str(), line.port), ("127.0.0.1", port));
    assert_eq!(
        (line.address.as_deref(), line.rule.as_deref()),
        (Some("127.0.0.1"), Some("models.providers.local"))
    );
}

#[tokio::test]
async fn a_websocket_goes_through_a_tunnel() {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    let (target, port) = target().await;
    let running = running(vec![rule(port, true, false)]).await;
    let server = tokio::spawn(async move {
        let (stream, _) = target.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let said = socket.next().await.unwrap().unwrap();
        socket.send(said).await.unwrap();
        socket.close(None).await.unwrap();
    });
    let stream = tunnel(running.proxy, &format!("127.0.0.1:{port}")).await;
    let url = format!("ws://127.0.0.1:{port}/");
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    let said = Message::text("x".repeat(100_000));
    socket.send(said.clone()).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), said);
    server.await.unwrap();
}

#[tokio::test]
async fn what_a_tunnel_carries_is_not_read_as_a_request() {
    let (target, port) = target().await;
    let running = running(vec![rule(port, true, false)]).await;
    let mut stream = tunnel(running.proxy, &format!("127.0.0.1:{port}")).await;
    let (mut server, _) = target.accept().await.unwrap();
    stream.write_all(b"CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(rest_of(&mut server).await, "CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n");
}

#[tokio::test]
async fn plain_http_is_forwarded_with_its_body_and_nothing_behind_it() {
    let (target, port) = target().await;
    let running = running(vec![rule(port, true, false)]).await;
    for (framing, body) in
        [("Content-Length: 2", "hi"), ("Transfer-Encoding: chunked", "2\r\nhi\r\n0\r\n\r\n")]
    {
        let smuggled = "GET http://127.0.0.1/admin HTTP/1.1\r\nHost: inside\r\n\r\n";
        let request = format!(
            "POST http://127.0.0.1:{port}/v1 HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n{body}{smuggled}"
        );
        let mut client = TcpStream::connect(running.proxy).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let (mut server, _) = target.accept().await.unwrap();
        let expected = format!(
            "POST /v1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{framing}\r\nConnection: close\r\n\r\n{body}"
        );
        let mut seen = vec![0; expected.len()];
        server.read_exact(&mut seen).await.unwrap();
        assert_eq!(String::from_utf8(seen).unwrap(), expected);
        client.write_all(smuggled.as_bytes()).await.unwrap();
        // The server keeps its end open all the same.
        server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nyo").await.unwrap();
        assert_eq!(rest_of(&mut server).await, "", "a second request got through");
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nyo";
        assert_eq!(rest_of(&mut client).await, answer);
    }
}

#[tokio::test]
async fn a_poll_ends_with_the_client_that_asked_for_it() {
    let (target, port) = target().await;
    let running = running(vec![rule(port, true, false)]).await;
    let request = format!("GET http://127.0.0.1:{port}/poll HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut client = TcpStream::connect(running.proxy).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    let (mut server, _) = target.accept().await.unwrap();
    let mut head = vec![0; 5];
    server.read_exact(&mut head).await.unwrap();
    assert_eq!(head, b"GET /");
    drop(client);
    // Nobody answers, and nobody waits.
    rest_of(&mut server).await;
    assert_eq!(running.lines(1).await[0].verdict, EgressVerdict::Done);
}

#[tokio::test]
async fn a_body_whose_end_is_uncertain_goes_nowhere() {
    let (target, port) = target().await;
    let running = running(vec![rule(port, true, false)]).await;
    for framing in
        ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Content-Length: 4\r\nContent-Length: 5"]
    {
        let request = format!(
            "POST http://127.0.0.1:{port}/ HTTP/1.1\r\n{framing}\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"
        );
        let (_, status) = ask(running.proxy, &request).await;
        assert_eq!(status, "HTTP/1.1 400 Bad Request");
    }
    let (_, status) = ask(running.proxy, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(status, "HTTP/1.1 400 Bad Request");
    assert!(tokio::time::timeout(Duration::from_millis(50), target.accept()).await.is_err());
}

#[tokio::test]
async fn what_no_rule_allows_is_refused_reported_and_logged() {
    let mut running = running(vec![rule(1, true, false)]).await;
    let (mut stream, status) = ask(running.proxy, "CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n").await;
    assert_eq!(status, "HTTP/1.1 403 Forbidden");
    let rest = rest_of(&mut stream).await;
    let sentence =
        "no rule of agent:main allows 169.254.169.254:80; what it may reach stands in egress.allow";
    assert!(rest.contains(sentence), "{rest}");
    assert_eq!(running.denied().await.host, "169.254.169.254");
    let line = running.lines(1).await.remove(0);
    assert_eq!(
        (line.verdict, line.reason.as_deref(), line.address),
        (EgressVerdict::Denied, Some(sentence), None)
    );
}

#[tokio::test]
async fn no_spelling_of_a_private_address_gets_through_a_rule_for_everything() {
    let (_target, port) = target().await;
    let rebind: &[&[&str]] = &[&["127.0.0.1"]];
    let names = [
        ("rebind.test", rebind),
        ("mapped.test", &[&["::ffff:127.0.0.1"]]),
        ("nat.test", &[&["64:ff9b::7f00:1"]]),
    ];
    let running = begin(vec![rule_of("*", 0, false, false)], EgressBudget::default(), &names).await;
    for host in [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "[::]",
        "10.0.0.1",
        "169.254.169.254",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:7f00:1::]",
        "[fd00:ec2::254]",
        "rebind.test",
        "REBIND.test.",
        "mapped.test",
        "nat.test",
    ] {
        let (mut stream, status) =
            ask(running.proxy, &format!("CONNECT {host}:{port} HTTP/1.1\r\n\r\n")).await;
        assert_eq!(status, "HTTP/1.1 403 Forbidden", "{host}");
        let rest = rest_of(&mut stream).await;
        assert!(rest.contains("egress.allowPrivate"), "{host}: {rest}");
        let (_, status) = ask(running.proxy, &format!("GET http://{host}:{port}/ HTTP/1.1\r\n\r\n")).await;
        assert_eq!(status, "HTTP/1.1 403 Forbidden", "{host}");
    }
    for host in [
        "0x7f.1",
        "2130706433",
        "127.1",
        "0177.0.0.1",
        "127.0.0.1%2e",
        "rebind.test\0.example.com",
        "a@rebind.test",
    ] {
        let (_, status) = ask(running.proxy, &format!("CONNECT {host}:{port} HTTP/1.1\r\n\r\n")).await;
        assert_eq!(status, "HTTP/1.1 400 Bad Request", "{host:?}");
    }
}

#[tokio::test]
async fn a_name_is_asked_for_once_and_the_answer_is_what_is_dialled() {
    let (target, port) = target().await;
    // The second answer would lead elsewhere.
    let names: [(&str, &[&[&str]]); 1] = [("local.test", &[&["127.0.0.1"], &["127.9.9.9"]])];
    let running =
        begin(vec![rule_of("local.test", port, true, false)], EgressBudget::default(), &names).await;
    let _stream = tunnel(running.proxy, &format!("local.test:{port}")).await;
    let (server, _) = target.accept().await.unwrap();
    assert_eq!(server.local_addr().unwrap().ip().to_string(), "127.0.0.1");
    assert_eq!(running.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn only_a_handshake_for_the_host_reaches_the_server() {
    let (target, port) = target().await;
    let names: [(&str, &[&[&str]]); 1] = [("local.test", &[&["127.0.0.1"]])];
    let rules = vec![rule_of("local.test", port, true, true)];
    let mut running = begin(rules, EgressBudget::default(), &names).await;
    let to = format!("local.test:{port}");
    let hello = client_hello("local.test");
    for (first, asked) in [
        (client_hello("evil.test"), "asks for evil.test"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "something that is not TLS"),
        (b"\x80\x2e\x01\x00\x02".to_vec(), "something that is not TLS"),
        (with_extension(&hello, 0xfe0d, b"x"), "encrypted (ECH)"),
        ([&[0x16, 3, 1, 0xff, 0xff, 2], &[0; 9][..]].concat(), "something unreadable"),
    ] {
        let mut stream = tunnel(running.proxy, &to).await;
        let (mut server, _) = target.accept().await.unwrap();
        stream.write_all(&first).await.unwrap();
        assert_eq!(rest_of(&mut server).await, "", "bytes reached the server");
        let mut alert = Vec::new();
        stream.read_to_end(&mut alert).await.unwrap();
        assert_eq!(alert, [0x15, 3, 3, 0, 2, 2, 49]);
        if asked == "asks for evil.test" {
            let reason = running.denied().await.reason;
            assert!(reason.contains(asked), "{reason}");
        }
    }
    let reasons: Vec<_> = running.lines(5).await.into_iter().filter_map(|line| line.reason).collect();
    for asked in ["evil.test", "not TLS", "not TLS", "ECH", "unreadable"].iter().zip(&reasons) {
        assert!(asked.1.contains(asked.0), "{reasons:?}");
    }
    // The handshake for that host, byte by byte.
    let mut stream = tunnel(running.proxy, &to).await;
    let (mut server, _) = target.accept().await.unwrap();
    for byte in &hello {
        stream.write_all(&[*byte]).await.unwrap();
    }
    let mut seen = vec![0; hello.len()];
    server.read_exact(&mut seen).await.unwrap();
    assert_eq!(seen, hello);
    // And no plain request instead.
    let (mut stream, status) = ask(running.proxy, &format!("GET http://{to}/ HTTP/1.1\r\n\r\n")).await;
    assert_eq!(status, "HTTP/1.1 403 Forbidden");
    assert!(rest_of(&mut stream).await.contains("with TLS only"));
}

#[tokio::test]
async fn an_unreachable_host_says_that_nothing_was_sent() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let running = running(vec![rule(free, true, false), rule_of("gone.test", 80, false, false)]).await;
    let (_, status) = ask(running.proxy, &format!("CONNECT 127.0.0.1:{free} HTTP/1.1\r\n\r\n")).await;
    assert_eq!(status, "HTTP/1.1 502 Bad Gateway");
    let (_, status) = ask(running.proxy, "GET http://gone.test/ HTTP/1.1\r\n\r\n").await;
    assert_eq!(status, "HTTP/1.1 502 Bad Gateway");
    assert!(running.lines(2).await.iter().all(|line| line.verdict == EgressVerdict::Failed));
}

#[tokio::test]
async fn the_budget_refuses_by_its_key_and_cuts_what_goes_beyond() {
    let (target, port) = target().await;
    let budget = EgressBudget { connections: Some(1), bytes_up_per_day: Some(10), ..EgressBudget::default() };
    let mut running = begin(vec![rule(port, true, false)], budget, &[]).await;
    let to = format!("127.0.0.1:{port}");
    let mut stream = tunnel(running.proxy, &to).await;
    let (mut server, _) = target.accept().await.unwrap();
    let (mut second, status) = ask(running.proxy, &format!("CONNECT {to} HTTP/1.1\r\n\r\n")).await;
    assert_eq!(status, "HTTP/1.1 429 Too Many Requests");
    assert!(rest_of(&mut second).await.contains("`egress.budget.connections`"));
    assert!(running.denied().await.reason.contains("`egress.budget.connections`"));
    stream.write_all(b"0123456789").await.unwrap();
    server.read_exact(&mut [0; 10]).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    assert_eq!(rest_of(&mut server).await, "");
    let cut = running.lines(2).await.remove(1);
    assert_eq!((cut.verdict, cut.up), (EgressVerdict::Cut, 10));
    assert!(cut.reason.unwrap().contains("`egress.budget.bytesUpPerDay`"));
    // What was used stays used.
    let (mut third, status) = ask(running.proxy, &format!("CONNECT {to} HTTP/1.1\r\n\r\n")).await;
    assert_eq!(status, "HTTP/1.1 429 Too Many Requests");
    assert!(rest_of(&mut third).await.contains("`egress.budget.bytesUpPerDay`"));
}

#[tokio::test]
async fn a_connection_that_stands_still_is_ended() {
    let (target, port) = target().await;
    let budget = EgressBudget { idle_seconds: Some(1), ..EgressBudget::default() };
    let running = begin(vec![rule(port, true, false)], budget, &[]).await;
    let mut stream = tunnel(running.proxy, &format!("127.0.0.1:{port}")).await;
    let (mut server, _) = target.accept().await.unwrap();
    assert_eq!((rest_of(&mut stream).await, rest_of(&mut server).await), (String::new(), String::new()));
    let reason = running.lines(1).await.remove(0).reason.unwrap();
    assert!(reason.contains("`egress.budget.idleSeconds`"), "{reason}");
}

#[tokio::test]
async fn a_detached_unit_has_no_connection_left() {
    let (target, port) = target().await;
    let running = running(vec![rule(port, true, false)]).await;
    let mut stream = tunnel(running.proxy, &format!("127.0.0.1:{port}")).await;
    let (mut server, _) = target.accept().await.unwrap();
    let detach = EgressDetach { unit: "agent:main".into(), incarnation: 1 };
    running.link.notify::<EgressDetach>(&detach).await.unwrap();
    assert_eq!((rest_of(&mut stream).await, rest_of(&mut server).await), (String::new(), String::new()));
}

#[tokio::test]
async fn a_question_is_answered_as_a_connection_would_be() {
    let (_target, port) = target().await;
    let names: [(&str, &[&[&str]]); 1] = [("rebind.test", &[&["127.0.0.1"]])];
    let rules = vec![rule(port, true, false), rule_of("rebind.test", 443, false, true)];
    let running = begin(rules, EgressBudget::default(), &names).await;
    let result = running.test("127.0.0.1", port, true).await;
    assert!(result.allowed && result.connected.is_some(), "{result:?}");
    assert_eq!(result.rule.as_deref(), Some("models.providers.local"));
    let result = running.test("rebind.test", 443, true).await;
    assert!(!result.allowed && result.tls && result.connected.is_none());
    assert!(result.reason.unwrap().contains("egress.allowPrivate"));
    let result = running.test("evil.test", 443, true).await;
    assert!(!result.allowed && result.reason.unwrap().contains("egress.allow"));
    let unknown = EgressTestParams { unit: "agent:x".into(), host: "a.test".into(), port: 1, connect: false };
    let error = running.link.call::<EgressTest>(&unknown).await.unwrap_err().to_string();
    assert!(error.contains("agent:x has no listener"), "{error}");
}
