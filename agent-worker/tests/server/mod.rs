//! A provider for tests: a real socket with a script for each request.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What happens to one request.
pub(crate) enum Script {
    /// These bytes, and the connection stays open for more requests.
    Answer(Vec<u8>),
    /// These bytes, and the end of the connection.
    Close(Vec<u8>),
    /// These bytes, and then nothing for as long as the client waits.
    Hang(Vec<u8>),
}

/// A running provider.
pub(crate) struct Server {
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves the scripts in order, one for each request; afterwards connections are closed at once.
    pub(crate) async fn with(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let scripts = Arc::new(Mutex::new(VecDeque::from(scripts)));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(connection(socket, Arc::clone(&scripts), Arc::clone(&log)));
            }
        });
        Self { address, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, head and body.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn connection(
    mut socket: TcpStream,
    scripts: Arc<Mutex<VecDeque<Script>>>,
    seen: Arc<Mutex<Vec<String>>>,
) {
    while let Some(request) = request(&mut socket).await {
        seen.lock().unwrap().push(request);
        let script = scripts.lock().unwrap().pop_front();
        match script {
            Some(Script::Answer(bytes)) => {
                if socket.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Some(Script::Close(bytes)) => {
                let _gone = socket.write_all(&bytes).await;
                return;
            }
            Some(Script::Hang(bytes)) => {
                let _gone = socket.write_all(&bytes).await;
                let _closed = socket.read(&mut [0; 64]).await;
                return;
            }
            None => return,
        }
    }
}

async fn request(socket: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        match socket.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
        }
    }
}

/// A whole answer with a status, headers and a body.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

/// The head of a stream that ends with its connection.
pub(crate) fn stream(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{body}").into_bytes()
}

/// A whole stream that leaves the connection open.
pub(crate) fn whole(body: &str) -> Vec<u8> {
    answer(200, "content-type: text/event-stream\r\n", body)
}

/// A chunk of a chat completion.
pub(crate) fn chunk(delta: Value, finish: Option<&str>) -> String {
    let chunk = json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    format!("data: {chunk}\n\n")
}

/// A chat completion that says a text.
pub(crate) fn says(text: &str) -> String {
    format!("{}{}data: [DONE]\n\n", chunk(json!({"content": text}), None), chunk(json!({}), Some("stop")))
}
