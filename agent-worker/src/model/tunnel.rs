//! Why the unit's proxy did not let a request through.
//!
//! A client of TLS only learns that its tunnel was refused. The proxy says why in the body of its answer, so the same
//! tunnel is asked for once more, by hand, to read it.

use std::time::Duration;

use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Class, ModelError};

/// Bytes of the proxy's answer that are read.
const MAX_ANSWER: u64 = 8 * 1024;
/// The proxy tries to connect before it answers.
const WAIT: Duration = Duration::from_secs(30);

/// Asks the proxy for a tunnel to the address. `None` when it now agrees, or says nothing that helps.
pub(super) async fn refusal(proxy: &str, url: &str) -> Option<ModelError> {
    let (proxy, target) = (Url::parse(proxy).ok()?, Url::parse(url).ok()?);
    let place = |url: &Url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?));
    let ((proxy, proxy_port), (host, port)) = (place(&proxy)?, place(&target)?);
    let ask = async {
        let mut stream = TcpStream::connect((proxy.as_str(), proxy_port)).await?;
        let request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        // A proxy that agrees leaves the connection open: the first line is enough then.
        let mut answer = Vec::new();
        let mut stream = stream.take(MAX_ANSWER);
        while !answer.starts_with(b"HTTP/1.1 2") && stream.read_buf(&mut answer).await? > 0 {}
        std::io::Result::Ok(answer)
    };
    let answer = tokio::time::timeout(WAIT, ask).await.ok()?.ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    (status >= 400).then(|| of_egress(status, body))
}

/// The error for an answer of the proxy itself. 403 is the operator's rule; anything else may pass.
pub(super) fn of_egress(status: u16, body: &str) -> ModelError {
    let sentence = body.trim().strip_prefix("creel: ").unwrap_or(body.trim());
    let sentence: String = sentence.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect();
    let class = if status == 403 { Class::Format } else { Class::ServerError };
    ModelError::new(class, format!("Creel's egress: {}", sentence.trim_end_matches('.')))
}
