//! One HTTP request on a connection of its own: all that the tests need of HTTP.

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Head and body as they came.
    pub text: String,
}

/// `GET path` at a port of 127.0.0.1, with further header lines.
///
/// # Errors
/// When nobody listens, or what comes is no HTTP.
pub async fn get(port: u16, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    socket.write_all((request + "\r\n").as_bytes()).await?;
    let mut text = Vec::new();
    socket.read_to_end(&mut text).await?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok(Answer { status: status.with_context(|| format!("this is no HTTP answer: {text:?}"))?, text })
}
