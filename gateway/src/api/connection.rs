//! One WebSocket: the handshake, then requests in, responses and events out.
//!
//! Two tasks: this one moves frames, the other answers requests one after the other. So a slow request never
//! keeps events back, and a client's messages keep their order.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use creel_ipc::client::ErrorShape;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tungstenite::Utf8Bytes;

use super::admission::{self, Admitted, Refusal};
use super::answers;
use super::clients::Client;
use super::desk::{Desk, now_ms};
use super::fault::Protocol;
use super::frame;
use super::hello;
use super::queue::Next;
use super::wire::{Broken, Said, Wire};

/// How long a client may take to say `connect`.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);
/// Bytes of a frame before the client is known.
pub(crate) const HANDSHAKE_FRAME: usize = 64 * 1024;
/// Bytes of a frame afterwards.
pub(crate) const MAX_PAYLOAD: usize = 26_214_400;
/// Bytes that may wait for a client.
pub(crate) const MAX_BUFFERED: usize = 52_428_800;
/// The same for clients of protocol 3.
pub(crate) const OLD_MAX_BUFFERED: usize = 1_572_864;
/// How often a client is asked for a sign of life; two intervals of silence end the connection.
const PING: Duration = Duration::from_secs(25);
/// Timers are not exact.
const SLACK: Duration = Duration::from_millis(500);
/// How long the end of a connection may take.
const GOODBYE: Duration = Duration::from_secs(1);
/// Requests of one client that may wait.
const REQUESTS: usize = 32;
/// Bytes that are handed to the socket at once.
const CHUNK: usize = 64 * 1024;

/// What is known of a connection before its client said anything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// Where it comes from. No right follows from it.
    pub(crate) peer: IpAddr,
    /// Whether its page, if it has one, is the gateway's own.
    pub(crate) origin_allowed: bool,
}

/// A socket and the frames on it.
struct Line<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    wire: Wire,
    buffer: Vec<u8>,
}

/// Why a connection is over before its client was let in.
enum NoClient {
    /// The socket ended.
    Gone,
    /// This is said, then the connection is closed.
    Refused(Option<String>, Box<Refusal>),
    /// It is closed with this code and reason.
    Closed(u16, &'static str),
}

impl<S: AsyncRead + AsyncWrite> Line<S> {
    fn new(stream: S) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { reader, writer, wire: Wire::new(HANDSHAKE_FRAME), buffer: vec![0; 16 * 1024] }
    }

    /// Writes all that waits.
    async fn flush(&mut self) -> std::io::Result<()> {
        while !self.wire.pending().is_empty() {
            let n = self.writer.write(self.wire.pending()).await?;
            if n == 0 {
                return Err(std::io::ErrorKind::WriteZero.into());
            }
            self.wire.wrote(n);
        }
        self.writer.flush().await
    }

    /// Reads once; `false` at the end.
    async fn read(&mut self) -> bool {
        match self.reader.read(&mut self.buffer).await {
            Ok(n) if n > 0 => {
                self.wire.feed(&self.buffer[..n]);
                true
            }
            _ => false,
        }
    }

    /// Says goodbye, and waits a moment for the client to hear it: bytes that it sent and nobody read would
    /// make the kernel take the goodbye back.
    async fn goodbye(mut self, code: u16, reason: &str) {
        self.wire.close(code, reason.to_owned());
        let _ = timeout(GOODBYE, async {
            if self.flush().await.is_ok() && self.writer.shutdown().await.is_ok() {
                while self.reader.read(&mut self.buffer).await.is_ok_and(|n| n > 0) {}
            }
        })
        .await;
    }
}

/// Serves one client to its end.
pub(crate) async fn serve<S>(stream: S, desk: Arc<Desk>, arrival: Arrival)
where
    S: AsyncRead + AsyncWrite + Send,
{
    let mut line = Line::new(stream);
    let handshake = timeout(HANDSHAKE, handshake(&mut line, &desk, arrival)).await;
    let refused = match handshake {
        Ok(Ok((id, admitted))) => return attend(line, &desk, arrival, &id, &admitted).await,
        Ok(Err(refused)) => refused,
        Err(_) => NoClient::Closed(1008, "handshake timeout"),
    };
    match refused {
        NoClient::Gone => {}
        NoClient::Closed(code, reason) => line.goodbye(code, reason).await,
        NoClient::Refused(id, refusal) => {
            if let Some(id) = id {
                line.wire.text(frame::error(&id, refusal.error));
            }
            line.goodbye(refusal.close, &refusal.reason).await;
        }
    }
}

async fn handshake<S>(
    line: &mut Line<S>,
    desk: &Desk,
    arrival: Arrival,
) -> Result<(String, Admitted), NoClient>
where
    S: AsyncRead + AsyncWrite,
{
    let challenge = json!({"nonce": hello::nonce(), "ts": now_ms()});
    line.wire.text(json!({"type": "event", "event": "connect.challenge", "payload": challenge}).to_string());
    line.flush().await.map_err(|_| NoClient::Gone)?;
    loop {
        match line.wire.next() {
            Ok(None) if line.read().await => {}
            Ok(None) | Ok(Some(Said::Bye)) => return Err(NoClient::Gone),
            Ok(Some(Said::Alive)) => line.flush().await.map_err(|_| NoClient::Gone)?,
            Ok(Some(Said::Text(text))) => return admit(&text, desk, arrival),
            Ok(Some(Said::Binary)) => return Err(NoClient::Closed(1003, "text frames only")),
            Err(broken) => return Err(NoClient::Closed(close_code(&broken), "invalid frame")),
        }
    }
}

fn close_code(broken: &Broken) -> u16 {
    match broken {
        Broken::TooLarge => 1009,
        Broken::NotText => 1007,
        Broken::Protocol => 1002,
    }
}

/// Decides about a client's first frame.
fn admit(text: &str, desk: &Desk, arrival: Arrival) -> Result<(String, Admitted), NoClient> {
    let request = match frame::read(text) {
        Ok(request) => request,
        Err(wrong) => {
            let message = format!("invalid request frame: {}", wrong.complaint);
            let refusal = Refusal::new(ErrorShape::new("INVALID_REQUEST", message));
            return Err(NoClient::Refused(Some(wrong.id), Box::new(refusal)));
        }
    };
    let refuse = |refusal: Box<Refusal>| NoClient::Refused(Some(request.id.clone()), refusal);
    if request.method != "connect" {
        let message = "invalid handshake: first request must be connect";
        return Err(refuse(Box::new(Refusal::new(ErrorShape::new("INVALID_REQUEST", message)))));
    }
    if let Some(wait) = desk.locked_ms(arrival.peer) {
        return Err(refuse(Box::new(Refusal::rate_limited(wait))));
    }
    let params: Value =
        request.params.map_or(Ok(Value::Null), |raw| serde_json::from_str(raw.get())).unwrap_or(Value::Null);
    match admission::decide(&params, arrival.origin_allowed, |token| desk.hub.token_ok(token)) {
        Ok(admitted) => {
            desk.right_token(arrival.peer);
            Ok((request.id, admitted))
        }
        Err(refusal) => {
            if refusal.guess {
                desk.wrong_token(arrival.peer);
            }
            Err(refuse(refusal))
        }
    }
}

/// Serves a client that was let in.
async fn attend<S>(mut line: Line<S>, desk: &Arc<Desk>, arrival: Arrival, request: &str, admitted: &Admitted)
where
    S: AsyncRead + AsyncWrite + Send,
{
    line.wire.allow(MAX_PAYLOAD);
    let buffer = if admitted.protocol == Protocol::V3 { OLD_MAX_BUFFERED } else { MAX_BUFFERED };
    let id = hello::nonce();
    let client = Arc::new(Client::new(id, admitted, arrival.peer, buffer, now_ms()));
    let hello = hello::hello(desk, &client).await;
    client.queue.response(frame::ok(request, hello));
    desk.clients.join(&client);
    if !client.presence.is_null() {
        desk.presence_changed.notify_one();
    }
    tracing::debug!(client = %client.name, id = %client.id, peer = %arrival.peer, "client connected");
    let (requests, inbox) = mpsc::channel(REQUESTS);
    let answering = tokio::spawn(answers::serve(desk.clone(), client.clone(), inbox));
    let (code, reason) = exchange(&mut line, &client, requests).await;
    desk.clients.leave(&client);
    if !client.presence.is_null() {
        desk.presence_changed.notify_one();
    }
    tracing::debug!(client = %client.name, id = %client.id, code, %reason, "client left");
    // Lets the other task see the end, also when it waits for room.
    client.queue.close(code, &reason);
    line.goodbye(code, &reason).await;
    answering.abort();
}

/// Moves frames until one side ends it; the close code and reason.
async fn exchange<S>(line: &mut Line<S>, client: &Client, requests: mpsc::Sender<Utf8Bytes>) -> (u16, String)
where
    S: AsyncRead + AsyncWrite,
{
    let mut heard = Instant::now();
    // When the socket last took something, or nothing waited for it.
    let mut moved = heard;
    let mut ping = interval_at(heard + PING, PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Whether frames that were read may wait in the wire.
    let mut unread = true;
    let mut ending: Option<(u16, String)> = None;
    let mut last_moment = heard;
    loop {
        while ending.is_none() && line.wire.pending().len() < CHUNK {
            match client.queue.take() {
                Some(Next::Text(text)) => line.wire.text(text),
                Some(Next::Close(code, reason)) => {
                    ending = Some((code, reason));
                    last_moment = Instant::now() + GOODBYE;
                }
                None => break,
            }
        }
        if line.wire.pending().is_empty()
            && let Some(ending) = ending
        {
            return ending;
        }
        let Line { reader, writer, wire, buffer } = &mut *line;
        let has_pending = !wire.pending().is_empty();
        if !has_pending {
            moved = Instant::now();
        }
        tokio::select! {
            written = writer.write(wire.pending()), if has_pending => match written {
                Ok(n) if n > 0 => {
                    wire.wrote(n);
                    moved = Instant::now();
                }
                _ => return (1006, "the client is gone".to_owned()),
            },
            room = requests.reserve(), if unread => {
                let Ok(room) = room else { return (1011, "internal error".to_owned()) };
                match wire.next() {
                    Ok(None) => unread = false,
                    Ok(Some(Said::Alive)) => {}
                    Ok(Some(Said::Text(text))) => room.send(text),
                    Ok(Some(Said::Binary)) => return (1003, "text frames only".to_owned()),
                    Ok(Some(Said::Bye)) => return (1000, String::new()),
                    Err(broken) => return (close_code(&broken), "invalid frame".to_owned()),
                }
            },
            read = reader.read(buffer), if !unread => match read {
                Ok(n) if n > 0 => {
                    heard = Instant::now();
                    wire.feed(&buffer[..n]);
                    unread = true;
                }
                _ => return (1006, "the client is gone".to_owned()),
            },
            () = client.queue.filled(), if ending.is_none() => {}
            _ = ping.tick() => {
                // While requests wait for room nothing is read: that silence is not the client's.
                if heard.elapsed() >= 2 * PING - SLACK && !unread {
                    return (1001, "no sign of life".to_owned());
                }
                if moved.elapsed() >= 2 * PING - SLACK {
                    return (1008, "slow consumer".to_owned());
                }
                wire.ping();
            }
            () = sleep_until(last_moment), if ending.is_some() => {
                return ending.unwrap_or_default();
            }
        }
    }
}
