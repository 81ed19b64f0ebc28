//! One connection of a unit: read what it wants, decide, dial, and copy bytes until either side ends.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use creel_ipc::msg::egress::HostRule;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::head::{self, Head, HeadError, MAX_HEAD};
use crate::host::Host;
use crate::rule::{self, Refusal};
use crate::server_name::{self, MAX_OPENING, Opening};

/// Time for the request head, and again for the first bytes of a TLS handshake.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time to reach one address.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a connection was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    /// The client is no proxy client.
    #[error("{0}")]
    Head(#[from] HeadError),
    /// The client sent no complete request in time or in size.
    #[error("the request head did not end within {MAX_HEAD} bytes and {} seconds", HEAD_TIMEOUT.as_secs())]
    HeadUnfinished,
    /// Policy says no.
    #[error("{refusal}")]
    Refused {
        /// Why.
        refusal: Refusal,
        /// The host that was asked for.
        host: String,
        /// The port that was asked for.
        port: u16,
    },
    /// The name cannot be resolved.
    #[error("{host} cannot be resolved: {error}")]
    Resolve {
        /// The host.
        host: String,
        /// What the resolver said.
        error: io::Error,
    },
    /// Nobody answers there.
    #[error("{host}:{port} cannot be reached: {error}")]
    Dial {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The last attempt's error.
        error: io::Error,
    },
    /// The connection broke; nothing to report.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}

impl ProxyError {
    /// The status line that a proxy client understands. 403 is policy; 502 and 504 mean that nothing was sent.
    fn status(&self) -> &'static str {
        match self {
            Self::Head(_) | Self::HeadUnfinished => "400 Bad Request",
            Self::Refused { .. } => "403 Forbidden",
            Self::Resolve { .. } | Self::Dial { .. } | Self::Io(_) => "502 Bad Gateway",
        }
    }
}

/// Serves one connection of `unit` under `rules`.
pub(crate) async fn serve(mut client: TcpStream, unit: &str, rules: &[HostRule]) -> Result<(), ProxyError> {
    let (server, mut opening) = match open(&mut client, unit, rules).await {
        Ok(opened) => opened,
        Err(error) => {
            let body = format!("creel: {error}\n");
            let reply = format!(
                "HTTP/1.1 {}\r\nContent-Type: text/plain; charset=utf-8\r\nX-Creel-Egress: denied\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                error.status(),
                body.len()
            );
            // The client may be gone already; the error itself is what counts.
            let _gone = client.write_all(reply.as_bytes()).await;
            let _gone = client.shutdown().await;
            return Err(error);
        }
    };
    let mut server = server;
    if let Some((host, rule)) = &opening.tunnel {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        check_opening(&mut client, &mut opening.first, host, opening.port, rule).await?;
    }
    server.write_all(&opening.first).await?;
    // Half-closed streams are copied to their end; an error on either side ends both.
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// What is known once the destination answers.
struct Opened {
    /// Set for CONNECT: the host, and the rule that its first bytes must fit.
    tunnel: Option<(Host, HostRule)>,
    port: u16,
    /// What goes to the destination first.
    first: Vec<u8>,
}

async fn open(
    client: &mut TcpStream,
    unit: &str,
    rules: &[HostRule],
) -> Result<(TcpStream, Opened), ProxyError> {
    let (head, rest) = read_head(client).await?;
    let refused = |refusal| ProxyError::Refused { refusal, host: head.host.to_string(), port: head.port };
    let rule = rule::find(unit, rules, &head.host, head.port).map_err(refused)?;
    let resolved = resolve(&head.host, head.port).await?;
    let addresses = rule::permitted(rule, &head.host, &resolved).map_err(refused)?;
    let server = dial(&head.host, head.port, &addresses).await?;
    let opened = match head.forward {
        Some(mut request) => {
            request.extend_from_slice(&rest);
            Opened { tunnel: None, port: head.port, first: request }
        }
        None => Opened { tunnel: Some((head.host, rule.clone())), port: head.port, first: rest },
    };
    Ok((server, opened))
}

async fn read_head(client: &mut TcpStream) -> Result<(Head, Vec<u8>), ProxyError> {
    let mut buffer = Vec::with_capacity(1024);
    let read = async {
        loop {
            if let Some(head) = head::parse(&buffer)? {
                let rest = buffer.split_off(head.len);
                return Ok((head, rest));
            }
            if buffer.len() >= MAX_HEAD {
                return Err(ProxyError::HeadUnfinished);
            }
            if client.read_buf(&mut buffer).await? == 0 {
                return Err(ProxyError::Io(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    };
    timeout(HEAD_TIMEOUT, read).await.unwrap_or(Err(ProxyError::HeadUnfinished))
}

async fn resolve(host: &Host, port: u16) -> Result<Vec<IpAddr>, ProxyError> {
    match host {
        Host::Address(address) => Ok(vec![*address]),
        Host::Name(name) => {
            let found = tokio::net::lookup_host((name.as_str(), port)).await;
            let found = found.map_err(|error| ProxyError::Resolve { host: name.clone(), error })?;
            Ok(found.map(|socket| crate::host::canonical(socket.ip())).collect())
        }
    }
}

async fn dial(host: &Host, port: u16, addresses: &[IpAddr]) -> Result<TcpStream, ProxyError> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match timeout(DIAL_TIMEOUT, TcpStream::connect(SocketAddr::new(*address, port))).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_elapsed) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(ProxyError::Dial { host: host.to_string(), port, error: last })
}

/// Waits for the first bytes of a tunnel and holds a TLS handshake against the host that was asked for. A
/// protocol in which the server speaks first (IRC, SMTP) sends nothing here, so only rules that say TLS wait.
async fn check_opening(
    client: &mut TcpStream,
    first: &mut Vec<u8>,
    host: &Host,
    port: u16,
    rule: &HostRule,
) -> Result<(), ProxyError> {
    if !rule.tls {
        return Ok(());
    }
    let refuse = |asked: &str| ProxyError::Refused {
        refusal: Refusal::ServerName {
            host: host.to_string(),
            asked: asked.to_owned(),
            rule: rule.source.clone(),
        },
        host: host.to_string(),
        port,
    };
    let wait = async {
        loop {
            match server_name::inspect(first) {
                Opening::Partial if first.len() < MAX_OPENING => {
                    if client.read_buf(first).await? == 0 {
                        return Err(ProxyError::Io(io::ErrorKind::UnexpectedEof.into()));
                    }
                }
                Opening::Named(name) if *host == Host::Name(name.clone()) => return Ok(()),
                Opening::Named(name) => return Err(refuse(&name)),
                // A client that dials an address has no name to send.
                Opening::Nameless if matches!(host, Host::Address(_)) => return Ok(()),
                Opening::Nameless => return Err(refuse("no server at all")),
                Opening::NotTls => return Err(refuse("something that is not TLS")),
                Opening::Malformed | Opening::Partial => return Err(refuse("something unreadable")),
            }
        }
    };
    timeout(HEAD_TIMEOUT, wait).await.unwrap_or(Err(ProxyError::HeadUnfinished))
}
