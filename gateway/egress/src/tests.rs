//! The whole service over a real link and real sockets on loopback.

use std::os::fd::OwnedFd;

use creel_ipc::Notify;
use creel_ipc::msg::egress::{EgressAttach, EgressDenied, HostRule};
use creel_link::{Event, Incoming, Link, Vitals};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::server_name::tests::client_hello;
use crate::service::Service;

/// A running service with one unit, and the address that the unit would use as its proxy.
struct Running {
    _link: Link,
    events: Incoming,
    proxy: std::net::SocketAddr,
}

async fn running(allow: Vec<HostRule>) -> Running {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (service_link, service_events) = Link::new(theirs, 0, Vitals::default());
    tokio::spawn(Service::new(service_link).run(service_events));
    let (link, mut events) = Link::new(ours, 0, Vitals::default());
    assert!(matches!(events.recv().await, Some(Event::Notification { method, .. }) if method == "hello"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap();
    let attach = EgressAttach { fds: 1, unit: "agent:main".into(), incarnation: 1, allow };
    link.notify_with_fds::<EgressAttach>(&attach, vec![OwnedFd::from(listener)]).await.unwrap();
    Running { _link: link, events, proxy }
}

fn rule(port: u16, private: bool, tls: bool) -> HostRule {
    HostRule { host: "127.0.0.1".into(), port, private, tls, source: "models.providers.local.baseUrl".into() }
}

/// Sends `request` through the proxy and returns the first line of what comes back.
async fn ask(proxy: std::net::SocketAddr, request: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(stream.read_u8().await.unwrap());
    }
    (stream, String::from_utf8(line).unwrap().trim_end().to_owned())
}

#[tokio::test]
async fn a_tunnel_reaches_an_allowed_host_and_carries_both_ways() {
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = target.local_addr().unwrap().port();
    let running = running(vec![rule(port, true, false)]).await;
    let (mut stream, status) =
        ask(running.proxy, &format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n")).await;
    assert_eq!(status, "HTTP/1.1 200 Connection established");
    stream.read_u16().await.unwrap();
    let (mut server, _) = target.accept().await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut four = [0; 4];
    server.read_exact(&mut four).await.unwrap();
    server.write_all(b"pong").await.unwrap();
    stream.read_exact(&mut four).await.unwrap();
    assert_eq!(&four, b"pong");
}

#[tokio::test]
async fn plain_http_is_forwarded_with_its_body() {
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = target.local_addr().unwrap().port();
    let running = running(vec![rule(port, true, false)]).await;
    let request =
        format!("POST http://127.0.0.1:{port}/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    let server = tokio::spawn(async move {
        let (mut server, _) = target.accept().await.unwrap();
        let mut seen = vec![0; 1024];
        let n = server.read(&mut seen).await.unwrap();
        server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        String::from_utf8(seen[..n].to_vec()).unwrap()
    });
    let (_, status) = ask(running.proxy, &request).await;
    assert_eq!(status, "HTTP/1.1 204 No Content");
    assert!(server.await.unwrap().starts_with(&format!("POST /v1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n")));
}

#[tokio::test]
async fn what_no_rule_allows_is_refused_and_reported() {
    let mut running = running(vec![rule(1, true, false)]).await;
    let (mut stream, status) = ask(running.proxy, "CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n").await;
    assert_eq!(status, "HTTP/1.1 403 Forbidden");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("no rule of agent:main allows 169.254.169.254:80"), "{rest}");
    let Some(Event::Notification { method, params, .. }) = running.events.recv().await else {
        panic!("no report")
    };
    assert_eq!(method, EgressDenied::METHOD);
    assert_eq!(params["host"], "169.254.169.254");
}

#[tokio::test]
async fn a_rule_for_a_public_host_does_not_reach_loopback() {
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = target.local_addr().unwrap().port();
    let running = running(vec![rule(port, false, false)]).await;
    let (_, status) = ask(running.proxy, &format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n")).await;
    assert_eq!(status, "HTTP/1.1 403 Forbidden");
}

#[tokio::test]
async fn a_handshake_for_somebody_else_never_reaches_the_server() {
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = target.local_addr().unwrap().port();
    let running = running(vec![rule(port, true, true)]).await;
    let (mut stream, _) = ask(running.proxy, &format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n")).await;
    stream.read_u16().await.unwrap();
    stream.write_all(&client_hello("evil.test")).await.unwrap();
    let (mut server, _) = target.accept().await.unwrap();
    let mut seen = Vec::new();
    server.read_to_end(&mut seen).await.unwrap();
    assert!(seen.is_empty(), "{} bytes reached the server", seen.len());
}

#[tokio::test]
async fn an_unreachable_host_says_that_nothing_was_sent() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let running = running(vec![rule(free, true, false)]).await;
    let (_, status) = ask(running.proxy, &format!("CONNECT 127.0.0.1:{free} HTTP/1.1\r\n\r\n")).await;
    assert_eq!(status, "HTTP/1.1 502 Bad Gateway");
}
