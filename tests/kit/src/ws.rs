//! A client of the gateway's typed WebSocket frames.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::creel::Creel;
use crate::deadline::{PATIENCE, within};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Everything that came in.
#[derive(Debug, Default)]
struct Inbox {
    frames: Vec<Value>,
    closed: Option<String>,
}

/// The end of a run, as `chat` events tell it.
#[derive(Debug, Clone, PartialEq)]
pub struct Final {
    /// `final`, `error` or `aborted`.
    pub state: String,
    /// The answer's text.
    pub text: String,
    /// Texts of the deltas before it, in order.
    pub deltas: Vec<String>,
    /// The whole event payload.
    pub payload: Value,
}

/// A connected client.
#[derive(Debug)]
pub struct Client {
    sink: SplitSink<Socket, Message>,
    inbox: Arc<Mutex<Inbox>>,
    news: Arc<Notify>,
    reader: JoinHandle<()>,
    next: u64,
    /// The payload of `hello-ok`.
    pub hello: Value,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(mut stream: SplitStream<Socket>, inbox: Arc<Mutex<Inbox>>, news: Arc<Notify>) {
    let closed = loop {
        let frame = match stream.next().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap_or(Value::Null),
            Some(Ok(Message::Close(close))) => {
                break close
                    .map_or_else(|| "closed".into(), |close| format!("{} {}", close.code, close.reason));
            }
            Some(Ok(_)) => continue,
            Some(Err(error)) => break error.to_string(),
            None => break "the end".into(),
        };
        inbox.lock().unwrap_or_else(PoisonError::into_inner).frames.push(frame);
        news.notify_waiters();
    };
    inbox.lock().unwrap_or_else(PoisonError::into_inner).closed = Some(closed);
    news.notify_waiters();
}

impl Client {
    /// Opens a socket and says nothing.
    ///
    /// # Errors
    /// When the gateway does not take it.
    pub async fn open(port: u16) -> Result<Self> {
        let (socket, _) = connect_async(format!("ws://127.0.0.1:{port}/")).await?;
        let (sink, stream) = socket.split();
        let inbox = Arc::new(Mutex::new(Inbox::default()));
        let news = Arc::new(Notify::new());
        let reader = tokio::spawn(read(stream, Arc::clone(&inbox), Arc::clone(&news)));
        Ok(Self { sink, inbox, news, reader, next: 0, hello: Value::Null })
    }

    /// Opens a socket and shakes hands with the home's token.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn connect(creel: &Creel) -> Result<Self> {
        Self::connect_to(creel.home().port(), &creel.home().token()?).await
    }

    /// The same with any port and token.
    ///
    /// # Errors
    /// When the gateway refuses.
    pub async fn connect_to(port: u16, token: &str) -> Result<Self> {
        let mut client = Self::open(port).await?;
        client.wait("connect.challenge", |frame| frame["event"] == "connect.challenge").await?;
        client.hello = client.call("connect", connect_params(token)).await?;
        Ok(client)
    }

    /// Sends any text as a frame.
    ///
    /// # Errors
    /// When the socket is closed.
    pub async fn send_text(&mut self, text: impl Into<String>) -> Result<()> {
        Ok(self.sink.send(Message::text(text.into())).await?)
    }

    /// Sends any bytes as a frame.
    ///
    /// # Errors
    /// When the socket is closed.
    pub async fn send_bytes(&mut self, bytes: Vec<u8>) -> Result<()> {
        Ok(self.sink.send(Message::binary(bytes)).await?)
    }

    /// Every frame so far.
    pub fn frames(&self) -> Vec<Value> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).frames.clone()
    }

    /// Forgets every frame so far.
    pub fn forget(&mut self) {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).frames.clear();
    }

    /// Waits for a frame that fits, also an earlier one.
    ///
    /// # Errors
    /// When the socket is closed before, or none comes.
    pub async fn wait(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        within(&format!("a frame comes: {what}"), PATIENCE, async {
            let mut seen = 0;
            loop {
                let news = self.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                {
                    let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(frame) = inbox.frames.iter().skip(seen).find(|frame| fits(frame)) {
                        return Ok(frame.clone());
                    }
                    seen = inbox.frames.len();
                    if let Some(closed) = &inbox.closed {
                        bail!("The gateway closed the connection before a frame came: {what} ({closed}).");
                    }
                }
                news.await;
            }
        })
        .await
    }

    /// Waits until the gateway closes, and says why.
    ///
    /// # Errors
    /// When it does not.
    pub async fn wait_closed(&self) -> Result<String> {
        within("the gateway closes the connection", PATIENCE, async {
            loop {
                let news = self.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if let Some(closed) = &self.inbox.lock().unwrap_or_else(PoisonError::into_inner).closed {
                    return Ok(closed.clone());
                }
                news.await;
            }
        })
        .await
    }

    /// Sends a request and returns its whole response.
    ///
    /// # Errors
    /// When none comes.
    pub async fn request(&mut self, method: &str, params: Value) -> Result<Value> {
        self.next += 1;
        let id = format!("t{}", self.next);
        self.send_text(json!({"type": "req", "id": id, "method": method, "params": params}).to_string())
            .await?;
        self.wait(&format!("the response to {method}"), |frame| frame["type"] == "res" && frame["id"] == *id)
            .await
    }

    /// Sends a request that must succeed and returns its payload.
    ///
    /// # Errors
    /// When it fails.
    pub async fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        let response = self.request(method, params).await?;
        ensure!(response["ok"] == true, "{method} failed: {}", response["error"]);
        Ok(response["payload"].clone())
    }

    /// `chat.send`; returns the run's id.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn send(&mut self, session: &str, message: &str) -> Result<String> {
        static SENDS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let n = SENDS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let key = format!("kit-{}-{n}", std::process::id());
        let params = json!({"sessionKey": session, "message": message, "idempotencyKey": key});
        let payload = self.call("chat.send", params).await?;
        let run = payload["runId"].as_str().with_context(|| format!("chat.send gave no runId: {payload}"))?;
        Ok(run.to_owned())
    }

    /// Waits for the end of a run.
    ///
    /// # Errors
    /// When it does not come over this connection.
    pub async fn wait_final(&self, run: &str) -> Result<Final> {
        let ended = |frame: &Value| {
            let state = frame["payload"]["state"].as_str().unwrap_or_default();
            frame["event"] == "chat"
                && frame["payload"]["runId"] == *run
                && ["final", "error", "aborted"].contains(&state)
        };
        let frame = self.wait(&format!("the end of run {run}"), ended).await?;
        let payload = frame["payload"].clone();
        let deltas = self
            .frames()
            .iter()
            .filter(|frame| frame["event"] == "chat" && frame["payload"]["runId"] == *run)
            .filter_map(|frame| frame["payload"]["deltaText"].as_str().map(str::to_owned))
            .collect();
        Ok(Final {
            state: payload["state"].as_str().unwrap_or_default().to_owned(),
            text: text_of(&payload["message"]),
            deltas,
            payload,
        })
    }

    /// Sends a message and waits for its answer.
    ///
    /// # Errors
    /// When it is refused, or no answer comes.
    pub async fn ask(&mut self, session: &str, message: &str) -> Result<Final> {
        let run = self.send(session, message).await?;
        self.wait_final(&run).await
    }

    /// The texts of a session with their roles, oldest first.
    ///
    /// # Errors
    /// When there is none.
    pub async fn history(&mut self, session: &str) -> Result<Vec<(String, String)>> {
        let payload = self.call("chat.history", json!({"sessionKey": session, "limit": 1000})).await?;
        let messages = payload["messages"].as_array().with_context(|| format!("no messages in {payload}"))?;
        let row =
            |message: &Value| (message["role"].as_str().unwrap_or_default().to_owned(), text_of(message));
        Ok(messages.iter().map(row).collect())
    }
}

/// Parameters of `connect` as our own tools send them.
pub fn connect_params(token: &str) -> Value {
    json!({
        "minProtocol": 3, "maxProtocol": 4,
        "client": {"id": "cli", "version": "0.1.0", "platform": "linux", "mode": "cli"},
        "role": "operator",
        "scopes": ["operator.admin", "operator.read", "operator.write", "operator.approvals", "operator.pairing"],
        "caps": ["tool-events"],
        "auth": {"token": token},
    })
}

/// The text of a message: a string, or the text blocks of its content.
pub fn text_of(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks.iter().filter_map(|block| block["text"].as_str()).collect(),
        _ => message["text"].as_str().unwrap_or_default().to_owned(),
    }
}
