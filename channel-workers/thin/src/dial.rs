//! Reaching a server that speaks no HTTP: through the egress when there is one, with TLS when it is wanted.

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{Surroundings, tls};

/// Bytes of a proxy's answer.
const MOST_HEAD: usize = 16 * 1024;

/// A connection of either kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why a server is not reached. Nothing was said to it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("HTTPS_PROXY is {0:?}; it must look like http://127.0.0.1:4000")]
    NoProxy(String),
    #[error("the way out refuses {address}: {why}")]
    Refused { address: String, why: String },
    #[error("{address} cannot be reached: {source}")]
    Unreachable { address: String, source: io::Error },
    #[error("the TLS handshake with {host} failed: {source}")]
    Tls { host: String, source: io::Error },
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// Connects to a host.
pub(crate) async fn dial(
    host: &str,
    port: u16,
    secure: bool,
    around: &Surroundings,
) -> Result<Box<dyn Stream>, DialError> {
    let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let unreachable = |source| DialError::Unreachable { address: address.clone(), source };
    let stream = match &around.proxy {
        Some(proxy) => tunnel(proxy, &address).await?,
        None => TcpStream::connect((host, port)).await.map_err(unreachable)?,
    };
    stream.set_nodelay(true).map_err(unreachable)?;
    if !secure {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|error| DialError::Setup(error.to_string()))?;
    let config = tls::trusting_the_system(&around.roots);
    let config = config.map_err(|error| DialError::Setup(error.to_string()))?;
    let secured = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    Ok(Box::new(secured.map_err(|source| DialError::Tls { host: host.to_owned(), source })?))
}

/// Asks the proxy for a tunnel.
async fn tunnel(proxy: &str, address: &str) -> Result<TcpStream, DialError> {
    let authority = proxy.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    let authority = authority.ok_or_else(|| DialError::NoProxy(proxy.to_owned()))?;
    let unreachable = |source| DialError::Unreachable { address: authority.to_owned(), source };
    let mut stream = TcpStream::connect(authority).await.map_err(unreachable)?;
    let ask = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.map_err(unreachable)?;
    let mut head = Vec::new();
    // Byte by byte: whatever follows the head belongs to the server behind it.
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.map_err(unreachable)?;
        head.push(byte);
        if head.len() > MOST_HEAD {
            return Err(DialError::Refused {
                address: address.to_owned(),
                why: "its answer is too long".to_owned(),
            });
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let status = head.lines().next().unwrap_or_default().trim();
    if status.split(' ').nth(1).is_some_and(|code| code.starts_with('2')) {
        return Ok(stream);
    }
    let mut why = Vec::new();
    // The reason is for the log; what cannot be read of it is left out.
    let _cut = (&mut stream).take(1024).read_to_end(&mut why).await;
    let why = format!("{status} {}", String::from_utf8_lossy(&why).trim());
    Err(DialError::Refused { address: address.to_owned(), why })
}
