//! One connection of a unit: read what it wants, decide, dial, and copy bytes until either side ends.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use creel_ipc::msg::egress::{EgressRecord, EgressVerdict, HostRule};
use creel_ipc::reach::{Host, Refusal, Target, find, permitted};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::access;
use crate::body::Body;
use crate::head::{self, Head, HeadError, MAX_HEAD};
use crate::meter::Spent;
use crate::names;
use crate::relay::{Counts, Relay, RelayError};
use crate::server_name::{self, MAX_OPENING, Opening};
use crate::way::{Terms, Way};

/// Time for the request head, and again for the first bytes of a TLS handshake.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time to reach one address.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a client to take the answer that refuses it.
const REPLY_TIMEOUT: Duration = Duration::from_millis(500);

/// Why a connection was not made, or did not come to its own end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    /// The client is no proxy client.
    #[error("{0}")]
    Head(#[from] HeadError),
    /// The client sent no complete request in time or in size.
    #[error("the request head did not end within {MAX_HEAD} bytes and {} seconds", HEAD_TIMEOUT.as_secs())]
    HeadUnfinished,
    /// Policy says no.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// A plain request where TLS must be spoken.
    #[error("`{rule}` allows {target} with TLS only; use https://")]
    Plain {
        /// The destination.
        target: Target,
        /// The rule's key.
        rule: String,
    },
    /// A limit says no.
    #[error("{0}")]
    Spent(#[from] Spent),
    /// The name cannot be resolved.
    #[error("{host} cannot be resolved: {error}")]
    Resolve {
        /// The host.
        host: Host,
        /// What the resolver said.
        error: io::Error,
    },
    /// Nobody answers there.
    #[error("{target} cannot be reached: {error}")]
    Dial {
        /// The destination.
        target: Target,
        /// The last attempt's error.
        error: io::Error,
    },
    /// What was sent has no certain end.
    #[error("{0}")]
    Body(#[from] crate::body::BodyError),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}

impl From<RelayError> for ProxyError {
    fn from(error: RelayError) -> Self {
        match error {
            RelayError::Io(error) => Self::Io(error),
            RelayError::Spent(spent) => Self::Spent(spent),
            RelayError::Body(error) => Self::Body(error),
        }
    }
}

impl ProxyError {
    /// The status line that a proxy client understands. 403 is policy; 502 means that nothing was sent.
    fn status(&self) -> &'static str {
        match self {
            Self::Head(_) | Self::HeadUnfinished | Self::Body(_) => "400 Bad Request",
            Self::Refused(_) | Self::Plain { .. } => "403 Forbidden",
            Self::Spent(_) => "429 Too Many Requests",
            Self::Resolve { .. } | Self::Dial { .. } | Self::Io(_) => "502 Bad Gateway",
        }
    }

    /// Whether somebody decided it, in contrast to what happens on networks.
    fn is_decided(&self) -> bool {
        !matches!(self, Self::Resolve { .. } | Self::Dial { .. } | Self::Io(_))
    }
}

/// What is known of a connection so far.
#[derive(Debug, Default)]
struct Traces {
    target: Option<Target>,
    address: Option<IpAddr>,
    rule: Option<String>,
    counts: Counts,
    /// Whether the client was told that it may go on.
    answered: bool,
    /// Whether the destination got anything of it.
    passed: bool,
}

/// Serves one connection and tells how it went, unless nothing was asked at all.
pub(crate) async fn serve(mut client: TcpStream, way: &Way, records: &mpsc::Sender<EgressRecord>) {
    let (began, terms, mut traces) = (Instant::now(), way.terms(), Traces::default());
    let limit = terms.meter.budget().connection_seconds;
    let outcome = {
        let passage = pass(&mut client, way, &terms, &mut traces);
        match limit {
            Some(seconds) => timeout(Duration::from_secs(seconds.into()), passage)
                .await
                .unwrap_or(Err(Spent::Time(seconds).into())),
            None => passage.await,
        }
    };
    // A probe of the listener, or a client that changed its mind.
    let untold = matches!(&outcome, Err(ProxyError::Io(_))) && traces.target.is_none();
    let answered = traces.answered;
    if !untold {
        // Whoever takes the records writes them to a file: it is never far behind. It hears of a refusal before the
        // client does, which may end with it.
        let _over = records.send(record(way, &terms, traces, began, outcome.as_ref().err())).await;
    }
    if let (Err(error), false) = (&outcome, answered) {
        let _gone = timeout(REPLY_TIMEOUT, refuse(&mut client, error)).await;
    }
}

fn record(
    way: &Way,
    terms: &Terms,
    traces: Traces,
    began: Instant,
    error: Option<&ProxyError>,
) -> EgressRecord {
    let verdict = match error {
        None => EgressVerdict::Done,
        Some(error) if traces.passed && error.is_decided() => EgressVerdict::Cut,
        Some(error) if error.is_decided() => EgressVerdict::Denied,
        Some(_) => EgressVerdict::Failed,
    };
    let (up, down) = traces.counts.both();
    let (host, port) = traces.target.map_or((String::new(), 0), |to| (to.host.to_string(), to.port));
    EgressRecord {
        at_ms: access::now_ms(),
        unit: way.unit.clone(),
        account: terms.account.clone(),
        host,
        port,
        address: traces.address.map(|address| address.to_string()),
        rule: traces.rule,
        up,
        down,
        ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        verdict,
        reason: error.map(ToString::to_string),
        more: None,
    }
}

async fn pass(
    client: &mut TcpStream,
    way: &Way,
    terms: &Terms,
    traces: &mut Traces,
) -> Result<(), ProxyError> {
    let Opened { _place, mut server, target, rule, mut first, body } =
        open(client, way, terms, traces).await?;
    traces.answered = true;
    if body.is_none() {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        if let Err(error) = check_opening(client, &mut first, &target.host, &rule).await {
            // `access_denied`, in the clear as before any handshake: most clients print it.
            let _gone = timeout(REPLY_TIMEOUT, client.write_all(&[0x15, 3, 3, 0, 2, 2, 49])).await;
            return Err(error);
        }
    }
    traces.passed = true;
    let relay = Relay::new(&terms.meter, &traces.counts, terms.meter.budget().idle_seconds);
    Ok(relay.run(client, &mut server, &first, body).await?)
}

/// Tells the client why not, and takes what it still sends, lest it lose the answer.
async fn refuse(client: &mut TcpStream, error: &ProxyError) -> io::Result<()> {
    let body = format!("creel: {error}\n");
    let reply = format!(
        "HTTP/1.1 {}\r\nContent-Type: text/plain; charset=utf-8\r\nX-Creel-Egress: denied\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        error.status(),
        body.len()
    );
    client.write_all(reply.as_bytes()).await?;
    client.shutdown().await?;
    let mut rest = [0; 1024];
    for _ in 0..64 {
        if client.read(&mut rest).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// A destination that answers.
struct Opened<'a> {
    _place: crate::meter::Place<'a>,
    server: TcpStream,
    target: Target,
    rule: HostRule,
    /// What goes to the destination first.
    first: Vec<u8>,
    /// The body of a plain request; `None` for a tunnel.
    body: Option<Body>,
}

async fn open<'a>(
    client: &mut TcpStream,
    way: &Way,
    terms: &'a Terms,
    traces: &mut Traces,
) -> Result<Opened<'a>, ProxyError> {
    let (head, rest) = read_head(client).await?;
    let target = traces.target.insert(head.target).clone();
    let rule = find(&way.unit, &terms.key, &terms.rules, &target)?;
    traces.rule = Some(rule.source.clone());
    if head.forward.is_some() && rule.tls {
        return Err(ProxyError::Plain { target, rule: rule.source.clone() });
    }
    let place = terms.meter.open(Instant::now())?;
    let addresses = resolve(way, terms, rule, &target.host).await?;
    let server = dial(&target, &addresses).await?;
    traces.address = server.peer_addr().ok().map(|peer| peer.ip());
    let (mut first, body) = match head.forward {
        Some((request, body)) => (request, Some(body)),
        None => (Vec::new(), None),
    };
    let mut body = body;
    match &mut body {
        Some(body) => {
            let taken = body.take(&rest)?;
            first.extend_from_slice(rest.get(..taken).unwrap_or_default());
        }
        None => first = rest,
    }
    Ok(Opened { _place: place, server, target, rule: rule.clone(), first, body })
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

/// The addresses of a host that the rule lets be dialled. Asked once: what is checked here is what is connected to.
pub(crate) async fn resolve(
    way: &Way,
    terms: &Terms,
    rule: &HostRule,
    host: &Host,
) -> Result<Vec<IpAddr>, ProxyError> {
    let resolved = way.names.addresses(host, &terms.meter.lookups).await;
    let resolved = resolved.map_err(|error| ProxyError::Resolve { host: host.clone(), error })?;
    Ok(permitted(rule, host, &resolved, names::is_own)?)
}

/// The first of the addresses that answers.
pub(crate) async fn dial(target: &Target, addresses: &[IpAddr]) -> Result<TcpStream, ProxyError> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match timeout(DIAL_TIMEOUT, TcpStream::connect(SocketAddr::new(*address, target.port))).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_elapsed) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(ProxyError::Dial { target: target.clone(), error: last })
}

/// Waits for the first bytes of a tunnel and holds a TLS handshake against the host that was asked for. A
/// protocol in which the server speaks first (IRC, SMTP) sends nothing here, so only rules that say TLS wait.
async fn check_opening(
    client: &mut TcpStream,
    first: &mut Vec<u8>,
    host: &Host,
    rule: &HostRule,
) -> Result<(), ProxyError> {
    if !rule.tls {
        return Ok(());
    }
    let refuse = |asked: &str| {
        let (host, rule) = (host.to_string(), rule.source.clone());
        Err(Refusal::ServerName { host, asked: asked.to_owned(), rule }.into())
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
                Opening::Named(name) => return refuse(&name),
                // A client that dials an address has no name to send.
                Opening::Nameless if matches!(host, Host::Address(_)) => return Ok(()),
                Opening::Nameless => return refuse("no server at all"),
                Opening::Hidden => return refuse("a server whose name is encrypted (ECH)"),
                Opening::NotTls => return refuse("something that is not TLS"),
                Opening::Malformed | Opening::Partial => return refuse("something unreadable"),
            }
        }
    };
    timeout(HEAD_TIMEOUT, wait).await.unwrap_or(Err(ProxyError::HeadUnfinished))
}
