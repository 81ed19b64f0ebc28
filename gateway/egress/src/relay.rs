//! Bytes both ways between a unit and its destination, counted, until both have said all or a limit is reached.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep_until};

use crate::answer::Answer;
use crate::body::{Body, BodyError};
use crate::meter::{Meter, Spent, Way};

/// How long the answer to a forwarded request may stand still behind a client that has said its last. Most that do have
/// hung up, and their request must not go on for long: a platform may let only one poll.
const HUNG_UP: Duration = Duration::from_millis(500);
/// Bytes that are read at a time.
const PIECE: usize = 8 * 1024;

/// Why a relay ended before its time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    /// Either side broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// A limit.
    #[error("{0}")]
    Spent(#[from] Spent),
    /// A forwarded body that is none.
    #[error("{0}")]
    Body(#[from] BodyError),
}

/// What went over a connection.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    up: AtomicU64,
    down: AtomicU64,
}

impl Counts {
    fn add(&self, way: Way, bytes: usize) {
        let counted = match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        };
        counted.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes up and down.
    pub(crate) fn both(&self) -> (u64, u64) {
        (self.up.load(Ordering::Relaxed), self.down.load(Ordering::Relaxed))
    }
}

/// One connection's relay.
pub(crate) struct Relay<'a> {
    meter: &'a Meter,
    counts: &'a Counts,
    /// When a byte moved last, either way.
    moved: Mutex<Instant>,
    idle: Option<u32>,
}

impl<'a> Relay<'a> {
    pub(crate) fn new(meter: &'a Meter, counts: &'a Counts, idle: Option<u32>) -> Self {
        Self { meter, counts, moved: Mutex::new(Instant::now()), idle }
    }

    /// Passes everything on, `first` before all else: in a tunnel both ways until both have ended. With a body only what
    /// is missing of it goes up, and the connection ends with the answer.
    pub(crate) async fn run(
        &self,
        client: &mut TcpStream,
        server: &mut TcpStream,
        first: &[u8],
        body: Option<Body>,
    ) -> Result<(), RelayError> {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let mut answer = body.is_some().then(|| Answer::to(first));
        let down = async {
            let mut piece = Vec::new();
            while self.read(&mut from_server, &mut piece).await? {
                match &mut answer {
                    None => self.write(Way::Down, &mut to_client, &piece).await?,
                    Some(answer) => {
                        self.write(Way::Down, &mut to_client, &answer.push(&piece)).await?;
                        if answer.is_over() {
                            break;
                        }
                    }
                }
            }
            if let Some(answer) = &mut answer {
                self.write(Way::Down, &mut to_client, &answer.rest()).await?;
            }
            // A client that is gone needs no end.
            let _gone = to_client.shutdown().await;
            Ok::<_, RelayError>(())
        };
        match body {
            None => {
                let up = async {
                    self.write(Way::Up, &mut to_server, first).await?;
                    let mut piece = Vec::new();
                    while self.read(&mut from_client, &mut piece).await? {
                        self.write(Way::Up, &mut to_server, &piece).await?;
                    }
                    to_server.shutdown().await?;
                    Ok::<_, RelayError>(())
                };
                tokio::try_join!(up, down).map(|_| ())
            }
            Some(mut body) => {
                let up = async {
                    self.write(Way::Up, &mut to_server, first).await?;
                    // After the body only the end of the client is of interest.
                    let mut piece = Vec::new();
                    while self.read(&mut from_client, &mut piece).await? {
                        self.body(&mut body, &piece, &mut to_server).await?;
                    }
                    if body.is_over() {
                        Ok::<_, RelayError>(())
                    } else {
                        Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
                    }
                };
                tokio::pin!(down);
                tokio::select! {
                    ended = &mut down => ended,
                    // A client may close its half behind the request and wait for the answer, but not for long.
                    ended = up => {
                        ended?;
                        tokio::select! {
                            ended = &mut down => ended,
                            () = self.stands_still(HUNG_UP) => Ok(()),
                        }
                    }
                }
            }
        }
    }

    async fn body(&self, body: &mut Body, bytes: &[u8], to: &mut WriteHalf<'_>) -> Result<(), RelayError> {
        let taken = body.take(bytes)?;
        self.write(Way::Up, to, bytes.get(..taken).unwrap_or_default()).await
    }

    /// The next bytes; `false` at the end.
    async fn read(&self, from: &mut ReadHalf<'_>, piece: &mut Vec<u8>) -> Result<bool, RelayError> {
        piece.clear();
        loop {
            let deadline = self.deadline();
            tokio::select! {
                ready = from.readable() => {
                    ready?;
                    // Room is made when there is something to take: most connections wait most of the time.
                    piece.reserve(PIECE);
                    match from.try_read_buf(piece) {
                        Ok(read) => return Ok(read > 0),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                () = at(deadline) => self.still(deadline)?,
            }
        }
    }

    async fn write(&self, way: Way, to: &mut WriteHalf<'_>, bytes: &[u8]) -> Result<(), RelayError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.meter.pass(way, bytes.len(), Instant::now())?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let deadline = self.deadline();
            tokio::select! {
                written = to.write(rest) => {
                    let written = written?;
                    if written == 0 {
                        return Err(io::Error::from(io::ErrorKind::WriteZero).into());
                    }
                    self.counts.add(way, written);
                    *self.moved() = Instant::now();
                    rest = rest.get(written..).unwrap_or_default();
                }
                () = at(deadline) => self.still(deadline)?,
            }
        }
        Ok(())
    }

    /// Returns when nothing has moved for so long, from now on.
    async fn stands_still(&self, long: Duration) {
        let mut until = Instant::now() + long;
        while Instant::now() < until {
            sleep_until(until).await;
            until = until.max(*self.moved() + long);
        }
    }

    fn moved(&self) -> MutexGuard<'_, Instant> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the connection counts as idle, unless something moves before.
    fn deadline(&self) -> Option<Instant> {
        self.idle.map(|idle| *self.moved() + Duration::from_secs(u64::from(idle)))
    }

    /// A deadline passed; unless something moved the other way meanwhile, the connection is idle.
    fn still(&self, passed: Option<Instant>) -> Result<(), Spent> {
        if self.deadline() > passed { Ok(()) } else { Err(Spent::Idle(self.idle.unwrap_or_default())) }
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
