//! The gateway's WebSocket, from the outside: a client like any other.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use creel_config::disk::Disk;
use creel_config::{Loader, Paths};
use creel_ipc::client::{ClientFrame, ClientInfo, ConnectAuth, ConnectParams, ErrorShape};
use creel_ipc::secret::Secret;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use super::Context;
use super::error::CliError;

/// Time for the gateway to answer an ordinary call.
const ANSWER: Duration = Duration::from_secs(30);

/// A connection to the gateway.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: WebSocket<TcpStream>,
    next_id: u64,
}

/// What the gateway sent.
#[derive(Debug)]
pub(crate) enum Frame {
    /// An answer to the call with this id.
    Answer(String, Result<Value, ErrorShape>),
    /// An event and its payload.
    Event(String, Value),
}

/// The port and the token of the configured gateway.
pub(crate) fn address_and_token(context: &Context) -> Result<(String, Secret), CliError> {
    let loaded = Loader::new(&Disk, &context.env).within(&context.paths).file(&context.paths.config)?;
    let mut config = loaded.config;
    context.overrides.apply(&mut config);
    let token = match config.gateway.auth.token.clone() {
        Some(token) => token,
        None => stored_token(&context.paths)?,
    };
    Ok((format!("127.0.0.1:{}", config.gateway.port), token))
}

fn stored_token(paths: &Paths) -> Result<Secret, CliError> {
    let path = paths.token();
    let text = std::fs::read_to_string(&path);
    let text = text.map_err(|error| CliError::NoToken { path: path.display().to_string(), error })?;
    Ok(Secret::new(text.trim()))
}

impl Socket {
    /// Connects and shakes hands.
    pub(crate) fn connect(context: &Context) -> Result<Self, CliError> {
        let (address, token) = address_and_token(context)?;
        let unreachable = |error: String| CliError::NoGateway { address: address.clone(), error };
        let stream = TcpStream::connect(&address).map_err(|error| unreachable(error.to_string()))?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        stream.set_nodelay(true)?;
        let (socket, _) = tungstenite::client(format!("ws://{address}/"), stream)
            .map_err(|error| unreachable(error.to_string()))?;
        let mut socket = Self { socket, next_id: 0 };
        socket.call("connect", &json!(introduction(token)))?;
        Ok(socket)
    }

    /// Calls a method and returns its first answer.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Result<Value, CliError> {
        let wanted = self.send(method, params)?;
        loop {
            if let Frame::Answer(id, outcome) = self.next()?
                && id == wanted
            {
                return outcome.map_err(|error| CliError::Gateway(Box::new(error)));
            }
        }
    }

    /// Sends a call and returns its id.
    pub(crate) fn send(&mut self, method: &str, params: &Value) -> Result<String, CliError> {
        self.next_id += 1;
        let id = self.next_id.to_string();
        let frame =
            ClientFrame::Req { id: id.clone(), method: method.to_owned(), params: Some(params.clone()) };
        let text = serde_json::to_string(&frame).map_err(std::io::Error::from)?;
        self.socket.send(Message::text(text)).map_err(|error| broken(&error))?;
        Ok(id)
    }

    /// The next answer or event.
    pub(crate) fn next(&mut self) -> Result<Frame, CliError> {
        loop {
            let message = match self.socket.read().map_err(|error| broken(&error))? {
                Message::Text(text) => text,
                Message::Close(frame) => {
                    let reason = frame.map(|frame| frame.reason.to_string()).unwrap_or_default();
                    return Err(broken(&format!("it closed the connection {reason}")));
                }
                _ => continue,
            };
            let mut frame: Value = serde_json::from_str(&message).map_err(|error| broken(&error))?;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            match frame["type"].as_str() {
                Some("event") => return Ok(Frame::Event(text(&frame["event"]), frame["payload"].take())),
                Some("res") if frame["ok"] == true => {
                    return Ok(Frame::Answer(text(&frame["id"]), Ok(frame["payload"].take())));
                }
                Some("res") => {
                    let unnamed = || ErrorShape::new("UNAVAILABLE", "The gateway gave no reason.");
                    let error = serde_json::from_value(frame["error"].take()).unwrap_or_else(|_| unnamed());
                    return Ok(Frame::Answer(text(&frame["id"]), Err(error)));
                }
                _ => {}
            }
        }
    }

    /// How long a single read may wait from now on.
    pub(crate) fn wait_until(&mut self, deadline: Instant) -> Result<(), CliError> {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        Ok(self.socket.get_ref().set_read_timeout(Some(left))?)
    }
}

fn introduction(token: Secret) -> ConnectParams {
    let scopes =
        ["operator.admin", "operator.read", "operator.write", "operator.approvals", "operator.pairing"];
    ConnectParams {
        min_protocol: 4,
        max_protocol: 4,
        client: ClientInfo {
            id: "cli".to_owned(),
            display_name: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            platform: std::env::consts::OS.to_owned(),
            mode: "cli".to_owned(),
            instance_id: None,
        },
        caps: vec!["tool-events".to_owned()],
        role: Some("operator".to_owned()),
        scopes: Some(scopes.map(str::to_owned).to_vec()),
        auth: Some(ConnectAuth { token: Some(token), password: None }),
        device: None,
        locale: None,
        user_agent: None,
    }
}

fn broken(error: &impl ToString) -> CliError {
    CliError::Broken { peer: "gateway", error: error.to_string() }
}
