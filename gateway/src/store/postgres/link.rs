//! One connection, and the statements that it knows.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{join, join_all};
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls, Row, Statement};

use super::reach::Reach;
use super::value::{Columns, Value};
use crate::dialer::Dialer;
use crate::store::{Kept, StoreError};

/// How long the server may take for anything. A holder whose lease runs out must hear in time that nothing is renewed.
const PATIENCE: Duration = Duration::from_secs(8);

/// What every connection is told first. Whoever pauses or is cut off within a transaction keeps no lock for longer than
/// this; a lock that is not had by then is not worth waiting for. Whatever the server is used to: what is acknowledged is on
/// its disk, and on those of its synchronous standbys.
const MANNERS: &str =
    "SET search_path = creel; SET idle_in_transaction_session_timeout = '5s'; SET lock_timeout = '5s';
     SET statement_timeout = '7s'; SET default_transaction_isolation = 'read committed';
     SET standard_conforming_strings = on; SET client_min_messages = warning;
     SELECT set_config('synchronous_commit', 'on', false)
         WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')";

/// Whether the server only reads, and which timeline it writes.
const STANDING: &str = "SELECT current_setting('transaction_read_only') = 'on',
        CASE WHEN pg_is_in_recovery() THEN 0
             ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint END";

/// How long a server may take to be known, where there are others.
const EACH: Duration = Duration::from_secs(5);
/// For how long the others are heard when one takes writes.
const HEAR: Duration = Duration::from_millis(500);

/// A statement and its parameters.
pub(super) type Call<'a> = (&'static str, Vec<Value<'a>>);

/// One connection.
#[derive(Debug)]
pub(in crate::store) struct Link {
    client: Client,
    known: RefCell<HashMap<&'static str, Statement>>,
    /// What the server is told in one go with the next statement.
    owed: Cell<Option<&'static str>>,
    /// Whether the last failure was that another gateway was in the way.
    crossed: Cell<bool>,
    /// The server's timeline, which each promotion of a standby counts up.
    timeline: u32,
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// [`StoreError::Away`] when nobody answers, and what else the server says.
    pub(super) fn open(rt: &Runtime, reach: &Reach) -> Kept<Self> {
        within(rt, async { Self::reach_for(reach, None).await })
    }

    /// Connects, to the server that takes writes. What gateways notify each other of goes to `words`, for who listens.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) async fn reach_for(reach: &Reach, words: Option<Notices>) -> Kept<Self> {
        match (reach.dialer(), reach.tls()) {
            (None, None) => Self::begin(kept(reach.config().connect(NoTls).await?, words)).await,
            (None, Some(tls)) => Self::begin(kept(reach.config().connect(tls.clone()).await?, words)).await,
            (Some(dialer), _) => newest(dialer, reach, words).await,
        }
    }

    /// What speaks on it, alone.
    pub(super) fn into_client(self) -> Client {
        self.client
    }

    /// What speaks on it, for who asks otherwise than a store does.
    pub(in crate::store) fn client(&self) -> &Client {
        &self.client
    }

    async fn begin(client: Client) -> Kept<Self> {
        client.batch_execute(MANNERS).await?;
        let row = client.query_one(STANDING, &[]).await?;
        // The driver looks by itself only where it has dialled itself.
        if row.at(0)? {
            return Err(StoreError::Away("its server only reads: it is a standby".to_owned()));
        }
        let timeline = u32::try_from(row.at::<i64>(1)?).unwrap_or(0);
        let (known, owed, crossed) = (RefCell::default(), Cell::new(None), Cell::new(false));
        Ok(Self { client, known, owed, crossed, timeline })
    }

    /// The server's timeline: a lower one than was seen before is that of a server which a failover has left behind.
    pub(super) fn timeline(&self) -> u32 {
        self.timeline
    }

    /// Whether nothing can be asked any more.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// To be said before the next statement, in the same packet.
    pub(super) fn owe(&self, command: &'static str) {
        self.owed.set(Some(command));
    }

    /// Whether something is owed still; then it need not be said any more.
    pub(super) fn forgive(&self) -> bool {
        self.owed.take().is_some()
    }

    /// Whether the last failure was that another gateway was in the way: a deadlock, or a lock that was not to be had.
    /// The transaction is worth another try.
    pub(super) fn was_crossed(&self) -> bool {
        self.crossed.take()
    }

    fn noted(&self, error: tokio_postgres::Error) -> StoreError {
        let code = error.code().map(SqlState::code).unwrap_or_default();
        self.crossed.set(code.starts_with("40") || code == SqlState::LOCK_NOT_AVAILABLE.code());
        error.into()
    }

    /// Says something now.
    pub(super) fn say(&self, rt: &Runtime, commands: &str) -> Kept<()> {
        within(rt, async { Ok(self.client.batch_execute(commands).await?) })
    }

    /// Runs a statement.
    pub(super) fn rows(&self, rt: &Runtime, sql: &'static str, values: &[Value<'_>]) -> Kept<Vec<Row>> {
        within(rt, async {
            let statement = self.statement(sql).await?;
            let values = parameters(values);
            let asked = self.client.query(&statement, &values);
            match self.owed.take() {
                None => asked.await.map_err(|error| self.noted(error)),
                Some(command) => {
                    let (said, rows) = join(self.client.batch_execute(command), asked).await;
                    said.map_err(spoiled)?;
                    rows.map_err(|error| self.noted(error))
                }
            }
        })
    }

    /// Runs statements that do not need each other's answers, in their order, and waits once. Returns how many rows each
    /// has changed.
    pub(super) fn all(&self, rt: &Runtime, calls: &[Call<'_>]) -> Kept<Vec<u64>> {
        within(rt, async {
            let mut ready = Vec::with_capacity(calls.len());
            for (sql, values) in calls {
                ready.push((self.statement(sql).await?, parameters(values)));
            }
            self.pay().await?;
            // Each is sent when it is asked first, which is in their order.
            let asked = ready.iter().map(|(statement, values)| self.client.execute(statement, values));
            let mut changed = Vec::with_capacity(calls.len());
            for outcome in join_all(asked).await {
                changed.push(outcome.map_err(|error| self.noted(error))?);
            }
            Ok(changed)
        })
    }

    async fn pay(&self) -> Kept<()> {
        match self.owed.take() {
            Some(command) => self.client.batch_execute(command).await.map_err(spoiled),
            None => Ok(()),
        }
    }

    async fn statement(&self, sql: &'static str) -> Kept<Statement> {
        if let Some(known) = self.known.borrow().get(sql) {
            return Ok(known.clone());
        }
        self.pay().await?;
        let statement = self.client.prepare(sql).await?;
        self.known.borrow_mut().insert(sql, statement.clone());
        Ok(statement)
    }
}

/// A transaction that could not begin, or one before it that could not end: nothing more can be said on this connection.
fn spoiled(error: tokio_postgres::Error) -> StoreError {
    StoreError::Away(chain(&error))
}

fn parameters<'a>(values: &'a [Value<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// Where notifications go.
pub(super) type Notices = mpsc::Sender<String>;

/// The connection ends with the client; what goes wrong is told to whoever waits for an answer.
fn kept<S, T>((client, mut connection): (Client, Connection<S, T>), words: Option<Notices>) -> Client
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let (AsyncMessage::Notification(notice), Some(words)) = (message, &words) {
                // Who is too slow misses it, and notices.
                let _full = words.try_send(notice.payload().to_owned());
            }
        }
    });
    client
}

/// Asks all servers at once, so that nobody waits for one that is gone. Of those that take writes the newest is right: one that died
/// and came back without knowing that it was succeeded takes writes, too.
async fn newest(dialer: &Dialer, reach: &Reach, words: Option<Notices>) -> Kept<Link> {
    let several = reach.servers().count() > 1;
    let mut asked: FuturesUnordered<_> = reach
        .servers()
        .zip(0..)
        .map(async |(name, server)| {
            let link =
                async { Link::begin(through(dialer, reach, (name, server), words.clone()).await?).await };
            let late = |_| Err(StoreError::Away("it has not answered in time".to_owned()));
            let link = tokio::time::timeout(if several { EACH } else { PATIENCE }, link).await;
            link.unwrap_or_else(late).map_err(|error| (server, error))
        })
        .collect();
    let mut refusals = Vec::new();
    let mut best = loop {
        match asked.next().await {
            Some(Ok(link)) => break link,
            Some(Err(refusal)) => refusals.push(refusal),
            None => return Err(refused(refusals)),
        }
    };
    let others = async {
        while let Some(other) = asked.next().await {
            match other {
                Ok(link) if link.timeline > best.timeline => best = link,
                Ok(_) | Err(_) => {}
            }
        }
    };
    // Who does not answer is no newer than who does, as far as anybody here can know.
    let _silent = tokio::time::timeout(HEAR, others).await;
    Ok(best)
}

/// What is said when no server will do: of one, its own words; of several, what each said.
fn refused(mut refusals: Vec<(u32, StoreError)>) -> StoreError {
    refusals.sort_by_key(|(server, _)| *server);
    let serious = refusals.iter().position(|(_, error)| !matches!(error, StoreError::Away(_)));
    if let Some(at) = serious.or((refusals.len() == 1).then_some(0)) {
        return refusals.swap_remove(at).1;
    }
    let said = refusals.into_iter().map(|(server, error)| match error {
        StoreError::Away(reason) => format!("server {}: {reason}", server + 1),
        other => format!("server {}: {other}", server + 1),
    });
    StoreError::Away(said.collect::<Vec<_>>().join("; "))
}

/// Talks on a socket that somebody else has connected.
async fn through(
    dialer: &Dialer,
    reach: &Reach,
    (name, server): (Option<&str>, u32),
    words: Option<Notices>,
) -> Kept<Client> {
    let socket = dialer.dial(server).await.map_err(StoreError::Away)?;
    let unusable = |error: std::io::Error| StoreError::Away(format!("its socket is of no use: {error}"));
    let Some(server) = name else {
        let socket = std::os::unix::net::UnixStream::from(socket);
        socket.set_nonblocking(true).map_err(unusable)?;
        let socket = UnixStream::from_std(socket).map_err(unusable)?;
        return Ok(kept(reach.config().connect_raw(socket, NoTls).await?, words));
    };
    let socket = std::net::TcpStream::from(socket);
    socket.set_nonblocking(true).map_err(unusable)?;
    let socket = TcpStream::from_std(socket).map_err(unusable)?;
    let no_tls = || StoreError::Away("there is no TLS for it".to_owned());
    let mut tls = reach.tls().cloned().ok_or_else(no_tls)?;
    let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls, server);
    let tls = tls.map_err(|error| StoreError::Away(format!("{server} is no name for TLS: {error}")))?;
    Ok(kept(reach.config().connect_raw(socket, tls).await?, words))
}

fn within<T>(rt: &Runtime, work: impl Future<Output = Kept<T>>) -> Kept<T> {
    rt.block_on(async {
        let late = || Err(StoreError::Away(format!("it has not answered for {} s", PATIENCE.as_secs())));
        tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| late())
    })
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(said) = error.as_db_error() else {
            let text = chain(&error);
            let away = error.is_closed() || causes(&error).any(|cause| cause.is::<std::io::Error>());
            return if away { Self::Away(text) } else { Self::Engine(text) };
        };
        let (code, text) = (said.code(), said.message());
        let class = code.code().get(..2).unwrap_or_default();
        match class {
            // A connection that failed, an operator who ends it, too many of them, and a server that only reads.
            "08" | "57" | "25" => Self::Away(text.to_owned()),
            _ if *code == SqlState::TOO_MANY_CONNECTIONS => Self::Away(text.to_owned()),
            "53" | "58" => Self::Full(text.to_owned()),
            // Others were in the way: deadlocks, locks.
            "40" | "55" => Self::Away(text.to_owned()),
            _ => Self::Engine(format!("{text} (SQLSTATE {})", code.code())),
        }
    }
}

fn causes(error: &tokio_postgres::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(std::error::Error::source(error), |error| error.source())
}

/// An error with its causes, which the driver's own text may leave out.
fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    for cause in causes(error).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}
