//! Clients against the real core with a store in memory.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use creel_ipc::Secret;
use creel_link::Vitals;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tungstenite::Message;
use tungstenite::protocol::Role;

use super::connection::{self, Arrival};
use super::desk::Desk;
use super::feed;
use crate::core::Core;
use crate::hub::Hub;
use crate::settings::Settings;
use crate::store;

mod events;
mod files;
mod handshake;
mod hostile;
mod http;
mod live;
mod requests;

/// The gateway's token in these tests.
const TOKEN: &str = "a-token-of-forty-characters-0123456789ab";

/// A running core without supervisor and workers.
async fn core() -> Arc<Core> {
    core_of("{}").await
}

/// The same with a configuration.
async fn core_of(text: &str) -> Arc<Core> {
    let memory = store::Memory::new(store::Rules::KEPT);
    let settings = Settings::of_text(text, Path::new("/nonexistent/creel-api-tests"));
    let desk = store::Desk::over(memory).unwrap();
    Core::open(desk, settings, Secret::new(TOKEN), None, Vitals::default()).await.unwrap()
}

/// The counter over such a core, with events flowing.
async fn counter() -> (Arc<Core>, Arc<Desk>) {
    counter_over(core().await)
}

/// The counter over a core.
fn counter_over(core: Arc<Core>) -> (Arc<Core>, Arc<Desk>) {
    let desk = Arc::new(Desk::new(Hub::new(core.clone())));
    tokio::spawn(feed::tell(desk.clone(), desk.hub.subscribe()));
    tokio::spawn(feed::tell_sessions(desk.clone()));
    (core, desk)
}

/// A client's end of a connection.
struct Client {
    socket: WebSocketStream<DuplexStream>,
}

fn here(origin_allowed: bool) -> Arrival {
    Arrival { peer: IpAddr::V4(Ipv4Addr::LOCALHOST), origin_allowed }
}

impl Client {
    /// Opens a connection and reads the challenge.
    async fn open(desk: &Arc<Desk>, arrival: Arrival) -> Self {
        let mut client = Self::open_silently(desk, arrival, 256 * 1024).await;
        let challenge = client.frame().await;
        assert_eq!(challenge["event"], "connect.challenge");
        assert!(challenge["payload"]["nonce"].as_str().unwrap().len() == 36);
        assert!(challenge.get("seq").is_none());
        client
    }

    async fn open_silently(desk: &Arc<Desk>, arrival: Arrival, pipe: usize) -> Self {
        let (ours, theirs) = tokio::io::duplex(pipe);
        tokio::spawn(connection::serve(theirs, desk.clone(), arrival));
        Self { socket: WebSocketStream::from_raw_socket(ours, Role::Client, None).await }
    }

    /// Opens a connection and says hello.
    async fn hello(desk: &Arc<Desk>, version: u32, scopes: &[&str]) -> (Self, Value) {
        let mut client = Self::open(desk, here(true)).await;
        client.say(&connect(version, scopes, TOKEN)).await;
        let hello = client.frame().await;
        assert_eq!(hello["ok"], true, "{hello}");
        (client, hello["payload"].clone())
    }

    async fn say(&mut self, frame: &Value) {
        self.text(&frame.to_string()).await;
    }

    async fn text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// The next message; `None` at the end.
    async fn message(&mut self) -> Option<Message> {
        // Longer than the gateway's tick.
        let next = timeout(Duration::from_secs(40), self.socket.next()).await;
        next.expect("the gateway says nothing").and_then(Result::ok)
    }

    /// The next text frame.
    async fn frame(&mut self) -> Value {
        loop {
            match self.message().await {
                Some(Message::Text(text)) => return serde_json::from_str(&text).unwrap(),
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("{other:?} instead of a frame"),
            }
        }
    }

    /// The close frame, after what comes before it.
    async fn close(&mut self) -> (u16, String) {
        loop {
            match self.message().await {
                Some(Message::Close(Some(frame))) => return (frame.code.into(), frame.reason.to_string()),
                Some(_) => {}
                None => panic!("the connection ended without a close frame"),
            }
        }
    }

    /// Calls a method and waits for its response; events in between are dropped.
    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.say(&json!({"type": "req", "id": "q", "method": method, "params": params})).await;
        self.response("q").await
    }

    async fn response(&mut self, id: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["type"] == "res" && frame["id"] == id {
                return frame;
            }
        }
    }

    /// The next event of this name.
    async fn event(&mut self, name: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["event"] == name {
                return frame;
            }
        }
    }
}

fn connect(version: u32, scopes: &[&str], token: &str) -> Value {
    json!({"type": "req", "id": "c", "method": "connect", "params": {
        "minProtocol": version, "maxProtocol": version,
        "client": {"id": "openclaw-control-ui", "version": "1", "platform": "web", "mode": "webchat"},
        "role": "operator", "scopes": scopes, "caps": ["tool-events"], "auth": {"token": token},
    }})
}
