//! As much of HTTP/1.1 as a Bot API client needs, written by hand so that every fault can be made on the wire.

use std::collections::HashMap;
use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of a request's head and of its body.
const MAX_HEAD: usize = 64 * 1024;
const MAX_BODY: usize = 64 * 1024 * 1024;

/// One request.
#[derive(Debug, Default)]
pub(crate) struct Call {
    pub(crate) verb: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// One connection.
pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, read: Vec::new() }
    }

    /// The next request; `None` when the client has closed the connection.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Call>> {
        let (mut call, length) = loop {
            if let Some((call, length)) = head(&self.read)? {
                break (call, length);
            }
            if self.read.len() > MAX_HEAD {
                return Err(io::Error::other("the head is too long"));
            }
            if !self.more().await? {
                return Ok(None);
            }
        };
        self.read.drain(..length);
        let chunked = call.headers.get("transfer-encoding").is_some_and(|v| v.contains("chunked"));
        call.body = if chunked {
            self.chunks().await?
        } else {
            let length = call.headers.get("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
            self.exactly(length).await?
        };
        Ok(Some(call))
    }

    async fn more(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.read).await? > 0)
    }

    async fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        if length > MAX_BODY {
            return Err(io::Error::other("the body is too long"));
        }
        while self.read.len() < length {
            if !self.more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.read.drain(..length).collect())
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let (start, size) = loop {
                match httparse::parse_chunk_size(&self.read) {
                    Ok(httparse::Status::Complete((start, size))) => break (start, size),
                    Ok(httparse::Status::Partial) if self.more().await? => {}
                    _ => return Err(io::Error::other("a chunk is torn")),
                }
            };
            self.read.drain(..start);
            let size = usize::try_from(size).map_err(io::Error::other)?;
            let chunk = self.exactly(size + 2).await?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
            if body.len() > MAX_BODY {
                return Err(io::Error::other("the body is too long"));
            }
        }
    }

    pub(crate) async fn answer(&mut self, status: u16, kind: &str, body: &[u8]) -> io::Result<()> {
        let head = format!(
            "HTTP/1.1 {status} {}\r\nserver: fake\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            reason(status),
            body.len()
        );
        self.stream.write_all(head.as_bytes()).await?;
        self.stream.write_all(body).await
    }

    /// Waits until the client goes away.
    pub(crate) async fn closed(&mut self) {
        while self.more().await.unwrap_or(false) {
            self.read.clear();
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        429 => "Too Many Requests",
        502 => "Bad Gateway",
        _ => "Status",
    }
}

fn head(bytes: &[u8]) -> io::Result<Option<(Call, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = request.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let target = request.path.unwrap_or_default();
    // A client behind a proxy writes the whole address.
    let target = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = request
        .headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned()))
        .collect();
    let verb = request.method.unwrap_or_default().to_owned();
    let call = Call { verb, path: decode(path), query: query.to_owned(), headers, body: Vec::new() };
    Ok(Some((call, length)))
}

/// Undoes percent encoding.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
