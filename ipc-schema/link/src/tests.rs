use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use creel_ipc::msg::supervisor::GatewayListen;
use creel_ipc::msg::{Empty, Ping};
use serde_json::json;

use super::*;

fn pair() -> ((Link, Incoming), (Link, Incoming)) {
    let (left, right) = UnixStream::pair().unwrap();
    (Link::new(left, 0, Vitals::default()), Link::new(right, 0, Vitals::default()))
}

/// A request for tests that the link does not answer by itself.
enum Echo {}
impl Request for Echo {
    const METHOD: &'static str = "echo";
    type Params = Value;
    type Result = Value;
}

#[tokio::test]
async fn a_ping_is_answered_by_the_link_itself() {
    let ((left, _left_events), (_right, _right_events)) = pair();
    assert_eq!(left.call::<Ping>(&Empty {}).await.unwrap(), Pong::default());
}

#[tokio::test]
async fn a_call_survives_a_new_process_at_the_other_end() {
    let (worker_end, gateway_end) = UnixStream::pair().unwrap();
    let kept: OwnedFd = gateway_end.into_std().unwrap().into();
    let (worker, mut worker_events) = Link::new(worker_end, 0, Vitals::default());
    let call = tokio::spawn({
        let worker = worker.clone();
        async move { worker.call::<Echo>(&json!("hello")).await }
    });

    // The first gateway reads half of the request, writes half a line and dies.
    let mut first = std::os::unix::net::UnixStream::from(kept.try_clone().unwrap());
    first.set_nonblocking(false).unwrap();
    tokio::task::spawn_blocking(move || {
        first.read_exact(&mut [0; 10]).unwrap();
        first.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":0,\"res").unwrap();
    })
    .await
    .unwrap();

    let (gateway, mut gateway_events) = Link::from_fd(kept, 1 << 32, Vitals::default()).unwrap();
    gateway.renew("second").await.unwrap();
    assert!(matches!(worker_events.recv().await, Some(Event::Stray { .. })));
    let Some(Event::Notification { method, .. }) = worker_events.recv().await else { panic!("no renew") };
    assert_eq!(method, Renew::METHOD);
    worker.resend().await;
    loop {
        match gateway_events.recv().await.unwrap() {
            Event::Request { id, params, .. } => break gateway.respond(id, Ok(params)).await,
            Event::Stray { .. } => {}
            other @ Event::Notification { .. } => panic!("{other:?}"),
        }
    }
    assert_eq!(call.await.unwrap().unwrap(), json!("hello"));
}

#[tokio::test]
async fn descriptors_arrive_with_the_frame_that_announces_them() {
    let ((left, _left_events), (_right, mut events)) = pair();
    let (mut reader, writer) = io::pipe().unwrap();
    let listen = GatewayListen { fds: 1, address: "127.0.0.1:18789".to_owned() };
    left.notify_with_fds::<GatewayListen>(&listen, vec![writer.into()]).await.unwrap();
    let Some(Event::Notification { mut fds, .. }) = events.recv().await else { panic!("no notification") };
    assert_eq!(fds.len(), 1);
    std::fs::File::from(fds.remove(0)).write_all(b"through").unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "through");
}

#[tokio::test]
async fn a_closed_link_fails_its_calls() {
    let ((left, _left_events), right) = pair();
    let call = tokio::spawn(async move { left.call::<Echo>(&json!(1)).await });
    let (right, mut events) = right;
    events.recv().await.unwrap();
    drop((right, events));
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.class(), ErrorClass::UnknownOutcome, "{error}");
}

#[tokio::test]
async fn a_quiet_link_is_taken_apart_and_put_together_again() {
    let (left_end, right_end) = UnixStream::pair().unwrap();
    let (left, left_events) = Link::new(left_end, 3, Vitals::default());
    let mut right = right_end.into_std().unwrap();
    right.set_nonblocking(false).unwrap();
    let asks = left.clone();
    let asked = tokio::spawn(async move { asks.call::<Echo>(&json!("lost")).await });
    let mut request = [0; 4096];
    let (mut right, request) = tokio::task::spawn_blocking(move || {
        let n = right.read(&mut request).unwrap();
        (right, request[..n].to_vec())
    })
    .await
    .unwrap();
    let id = serde_json::from_slice::<Value>(&request).unwrap()["id"].clone();
    assert_eq!(id, 3);
    // Half a line is in the reader when the program changes.
    right.write_all(b"{\"jsonrpc\":\"2.0\",\"method\":\"n\",").unwrap();
    while left.state().unwrap().unwrap().0.line.is_empty() || !left.is_quiet() {
        tokio::task::yield_now().await;
    }
    let (state, socket) = left.state().unwrap().unwrap();
    asked.abort();
    drop((left, left_events));
    let (link, mut events) = Link::resume(socket, state, Vitals::default()).unwrap();
    right.write_all(b"\"params\":{}}\n{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":1}\nstray\n").unwrap();
    assert!(matches!(events.recv().await, Some(Event::Notification { method, .. }) if method == "n"));
    assert!(matches!(events.recv().await, Some(Event::Stray { .. })), "the late answer is swallowed");
    assert_eq!(link.strays(), 1);
}
