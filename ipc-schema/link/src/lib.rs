//! The tokio end of a link: a [`creel_ipc::peer::Peer`] on a unix socket.
//!
//! One task reads, one task writes. The reader never waits for the writer, so two full pipes cannot block each
//! other; it does wait for whoever takes the [`Incoming`] events, which is the back-pressure of the link.
//! **Never await a call in the loop that takes the events**: its answer would wait behind the next event.
//! Pings are answered by the reader itself, from [`Vitals`].

#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use creel_ipc::hello::Renew;
use creel_ipc::msg::{Ping, Pong};
use creel_ipc::peer::{Arrival, Peer, PeerState, SendError};
use creel_ipc::{ErrorClass, Notify, Request, RpcError};
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

mod socket;
mod uptime;

pub use uptime::uptime_ms;

/// Lines that may wait for the writer, and events that may wait to be taken.
const QUEUE: usize = 64;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The peer answered with an error.
    #[error("{0}")]
    Refused(#[from] RpcError),
    /// The link ended before the answer came; whether the request was carried out is not known.
    #[error("The link closed before `{method}` was answered.")]
    Closed {
        /// The method.
        method: &'static str,
    },
    /// The request cannot be sent.
    #[error("{0}")]
    Unsendable(#[from] SendError),
    /// The result is not of the method's shape.
    #[error("The result of `{method}` does not fit: {error}.")]
    BadResult {
        /// The method.
        method: &'static str,
        /// What does not fit.
        error: serde_json::Error,
    },
}

impl CallError {
    /// The class; a closed link leaves the outcome unknown.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Refused(error) => error.class(),
            Self::Closed { .. } => ErrorClass::UnknownOutcome,
            Self::Unsendable(_) | Self::BadResult { .. } => ErrorClass::BadRequest,
        }
    }
}

/// Something that the peer wants.
#[derive(Debug)]
pub enum Event {
    /// A request; answer it with [`Link::respond`].
    Request {
        /// The peer's id.
        id: u64,
        /// The method's name.
        method: String,
        /// The method's parameters.
        params: Value,
    },
    /// A notification, with the descriptors that its `fds` member announces.
    Notification {
        /// The method's name.
        method: String,
        /// The method's parameters.
        params: Value,
        /// Descriptors, in order.
        fds: Vec<OwnedFd>,
    },
    /// A line that is no message. For the log and the counter.
    Stray {
        /// A sentence.
        reason: String,
    },
}

/// What a worker tells about itself when it is pinged.
#[derive(Debug, Clone, Default)]
pub struct Vitals(Arc<(AtomicU64, AtomicU64)>);

impl Vitals {
    /// Counts one real step of work.
    pub fn progress(&self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Marks work as under way until the guard is dropped.
    pub fn busy(&self) -> Busy {
        self.0.1.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    fn pong(&self) -> Pong {
        Pong { progress: self.0.0.load(Ordering::Relaxed), busy: self.0.1.load(Ordering::Relaxed) > 0 }
    }
}

/// Work is under way while this lives.
#[derive(Debug)]
pub struct Busy(Vitals);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.1.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Line {
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
    shared: Arc<Shared>,
}

/// Written or given up, it does not wait any more.
impl Drop for Line {
    fn drop(&mut self) {
        self.shared.unsent.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The writer is gone.
struct NoWriter;

#[derive(Debug)]
struct Shared {
    peer: Mutex<Peer>,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Result<Value, RpcError>>>>,
    /// The peer's requests that have no answer yet, by id: one that is sent again counts once.
    asked: Mutex<HashSet<u64>>,
    closed: AtomicBool,
    /// Lines that were given to the link and are not written yet.
    unsent: AtomicU64,
    /// Whether arrivals wait in the reader.
    delivering: AtomicBool,
    events: mpsc::WeakSender<Event>,
    socket: Weak<UnixStream>,
    vitals: Vitals,
}

impl Shared {
    fn line(self: &Arc<Self>, bytes: Vec<u8>, fds: Vec<OwnedFd>) -> Line {
        self.unsent.fetch_add(1, Ordering::Relaxed);
        Line { bytes, fds, shared: Arc::clone(self) }
    }
}

/// The state is never left half-changed, so a poisoned lock is as good as another.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One end of a link. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Link {
    shared: Arc<Shared>,
    lines: mpsc::Sender<Line>,
    /// Dropped with the last clone; ends the reader, and so lets go of the socket. The socket is never shut
    /// down: whoever keeps a duplicate of it can hand the link to a successor.
    _held: mpsc::Sender<Infallible>,
}

/// What the peer wants, in order of arrival. `None` means that the link has ended.
pub type Incoming = mpsc::Receiver<Event>;

impl Link {
    /// Puts a link on a connected socket. `first_id` is the id of the first request: 0 for a worker, a number above
    /// every earlier one for a gateway that takes a link over.
    pub fn new(stream: UnixStream, first_id: u64, vitals: Vitals) -> (Self, Incoming) {
        Self::with_peer(stream, Peer::starting_at(first_id), vitals)
    }

    /// Goes on with a socket where the program before this one stopped; see [`Link::state`].
    pub fn resume(socket: OwnedFd, state: PeerState, vitals: Vitals) -> io::Result<(Self, Incoming)> {
        let stream = std::os::unix::net::UnixStream::from(socket);
        stream.set_nonblocking(true)?;
        Ok(Self::with_peer(UnixStream::from_std(stream)?, Peer::resume(state), vitals))
    }

    fn with_peer(stream: UnixStream, peer: Peer, vitals: Vitals) -> (Self, Incoming) {
        let stream = Arc::new(stream);
        let (lines, queue) = mpsc::channel(QUEUE);
        let (events, incoming) = mpsc::channel(QUEUE);
        let (held, released) = mpsc::channel(1);
        let shared = Arc::new(Shared {
            peer: Mutex::new(peer),
            waiting: Mutex::default(),
            asked: Mutex::default(),
            closed: AtomicBool::new(false),
            unsent: AtomicU64::new(0),
            delivering: AtomicBool::new(false),
            events: events.downgrade(),
            socket: Arc::downgrade(&stream),
            vitals,
        });
        tokio::spawn(write(Arc::clone(&stream), queue));
        tokio::spawn(read(stream, Arc::clone(&shared), lines.downgrade(), events, released));
        (Self { shared, lines, _held: held }, incoming)
    }

    /// The link on this process's standard input, which is a socket in both directions.
    pub fn stdio(vitals: Vitals) -> io::Result<(Self, Incoming)> {
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        Self::from_fd(socket, 0, vitals)
    }

    /// A link on an inherited or received socket.
    pub fn from_fd(socket: OwnedFd, first_id: u64, vitals: Vitals) -> io::Result<(Self, Incoming)> {
        let stream = std::os::unix::net::UnixStream::from(socket);
        stream.set_nonblocking(true)?;
        Ok(Self::new(UnixStream::from_std(stream)?, first_id, vitals))
    }

    /// Sends a request and waits for its answer, across a renewal of the link if need be.
    /// Dropping the future forgets the request.
    pub async fn call<M: Request>(&self, params: &M::Params) -> Result<M::Result, CallError> {
        let method = M::METHOD;
        let params = serde_json::to_value(params).map_err(|error| CallError::BadResult { method, error })?;
        let (sender, receiver) = oneshot::channel();
        let (id, bytes) = {
            let mut peer = lock(&self.shared.peer);
            let (id, bytes) = peer.request(method, params)?;
            lock(&self.shared.waiting).insert(id, sender);
            (id, bytes)
        };
        let _forget = Forget { shared: &self.shared, id };
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(CallError::Closed { method });
        }
        self.queue(bytes, Vec::new()).await.map_err(|_closed| CallError::Closed { method })?;
        let outcome = receiver.await.map_err(|_closed| CallError::Closed { method })?;
        serde_json::from_value(outcome?).map_err(|error| CallError::BadResult { method, error })
    }

    /// Sends a notification; waits only while the queue to the peer is full.
    pub async fn notify<N: Notify>(&self, params: &N::Params) -> Result<(), CallError> {
        self.notify_with_fds::<N>(params, Vec::new()).await
    }

    /// Sends a notification with descriptors; its `fds` member must be their number.
    pub async fn notify_with_fds<N: Notify>(
        &self,
        params: &N::Params,
        fds: Vec<OwnedFd>,
    ) -> Result<(), CallError> {
        let bytes = self.notification::<N>(params)?;
        self.queue(bytes, fds).await.map_err(|_closed| CallError::Closed { method: N::METHOD })
    }

    /// Sends a notification unless the queue is full: for what is best effort. Says whether it was queued.
    pub fn offer<N: Notify>(&self, params: &N::Params) -> bool {
        self.notification::<N>(params)
            .is_ok_and(|bytes| self.lines.try_send(self.shared.line(bytes, Vec::new())).is_ok())
    }

    /// Answers a request of the peer.
    pub async fn respond(&self, id: u64, outcome: Result<Value, RpcError>) {
        let bytes = lock(&self.shared.peer).respond(id, outcome);
        // A closed link has nobody left to answer to.
        let _closed = self.queue(bytes, Vec::new()).await;
        // Not before there was room for the answer: a peer that reads none is owed them all.
        lock(&self.shared.asked).remove(&id);
    }

    /// The peer's requests that have no answer yet.
    pub fn asked(&self) -> usize {
        lock(&self.shared.asked).len()
    }

    /// Answers a request of the peer with a typed result.
    pub async fn answer<M: Request>(&self, id: u64, outcome: Result<M::Result, RpcError>) {
        let outcome = outcome.and_then(|result| {
            serde_json::to_value(result).map_err(|error| {
                RpcError::new(
                    ErrorClass::BadRequest,
                    format!("The result of `{}` is no JSON: {error}.", M::METHOD),
                )
            })
        });
        self.respond(id, outcome).await;
    }

    /// Asks the worker behind a link that another gateway held to introduce itself again.
    pub async fn renew(&self, session: &str) -> Result<(), CallError> {
        // The newline ends whatever line the dead gateway left torn.
        let newline = self.queue(b"\n".to_vec(), Vec::new()).await;
        newline.map_err(|_closed| CallError::Closed { method: Renew::METHOD })?;
        self.notify::<Renew>(&Renew { session: session.to_owned() }).await
    }

    /// Sends every unanswered request again, oldest first; called once the other end has said welcome.
    pub async fn resend(&self) {
        let lines: Vec<Vec<u8>> = {
            let peer = lock(&self.shared.peer);
            std::iter::once(b"\n".to_vec()).chain(peer.unanswered().map(<[u8]>::to_vec)).collect()
        };
        for bytes in lines {
            if self.queue(bytes, Vec::new()).await.is_err() {
                return;
            }
        }
    }

    /// Requests without an answer.
    pub fn in_flight(&self) -> usize {
        lock(&self.shared.peer).in_flight()
    }

    /// Lines so far that were no message.
    pub fn strays(&self) -> u64 {
        lock(&self.shared.peer).strays()
    }

    /// Whether the peer has closed its end.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// Whether nothing is under way: every line is written, every arrival was taken. Only then does [`Link::state`] tell
    /// all; who asks must be on the thread of the link's runtime.
    pub fn is_quiet(&self) -> bool {
        let taken = self.shared.events.upgrade().is_none_or(|events| events.capacity() == QUEUE);
        taken
            && self.shared.unsent.load(Ordering::Relaxed) == 0
            && !self.shared.delivering.load(Ordering::Relaxed)
    }

    /// What the program after this one needs to go on, and the socket; `None` when the link has ended.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn state(&self) -> io::Result<Option<(PeerState, OwnedFd)>> {
        let Some(socket) = self.shared.socket.upgrade() else { return Ok(None) };
        let socket = socket.as_fd().try_clone_to_owned()?;
        Ok(Some((lock(&self.shared.peer).state(), socket)))
    }

    async fn queue(&self, bytes: Vec<u8>, fds: Vec<OwnedFd>) -> Result<(), NoWriter> {
        self.lines.send(self.shared.line(bytes, fds)).await.map_err(|_closed| NoWriter)
    }

    fn notification<N: Notify>(&self, params: &N::Params) -> Result<Vec<u8>, CallError> {
        let method = N::METHOD;
        let params = serde_json::to_value(params).map_err(|error| CallError::BadResult { method, error })?;
        Ok(lock(&self.shared.peer).notify(method, params)?)
    }
}

/// Forgets a request when nobody waits for it any more.
struct Forget<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(&self.shared.peer).forget(self.id);
        lock(&self.shared.waiting).remove(&self.id);
    }
}

async fn write(stream: Arc<UnixStream>, mut queue: mpsc::Receiver<Line>) {
    while let Some(line) = queue.recv().await {
        if socket::send(&stream, &line.bytes, &line.fds).await.is_err() {
            // The reader sees the end of the stream and closes the link.
            return;
        }
    }
}

async fn read(
    stream: Arc<UnixStream>,
    shared: Arc<Shared>,
    lines: mpsc::WeakSender<Line>,
    events: mpsc::Sender<Event>,
    mut released: mpsc::Receiver<Infallible>,
) {
    let mut buffer = vec![0; 64 * 1024];
    let mut fds = VecDeque::new();
    let mut arrivals = Vec::new();
    loop {
        let received = tokio::select! {
            received = socket::receive(&stream, &mut buffer, &mut fds) => received,
            _ = released.recv() => break,
        };
        match received {
            Ok(0) | Err(_) => break,
            Ok(n) => lock(&shared.peer).push(&buffer[..n], |arrival| arrivals.push(arrival)),
        }
        shared.delivering.store(true, Ordering::Relaxed);
        for arrival in arrivals.drain(..) {
            let Some(event) = digest(arrival, &shared, &lines, &mut fds) else { continue };
            if events.send(event).await.is_err() {
                break;
            }
        }
        shared.delivering.store(false, Ordering::Relaxed);
    }
    shared.closed.store(true, Ordering::Release);
    lock(&shared.waiting).clear();
}

/// Settles what the link itself can settle; the rest is for the owner.
fn digest(
    arrival: Arrival,
    shared: &Arc<Shared>,
    lines: &mpsc::WeakSender<Line>,
    fds: &mut VecDeque<OwnedFd>,
) -> Option<Event> {
    match arrival {
        Arrival::Response { id, outcome } => {
            if let Some(waiter) = lock(&shared.waiting).remove(&id) {
                // The caller may have gone away meanwhile.
                let _gone = waiter.send(outcome);
            }
            None
        }
        Arrival::Request { id, method, .. } if method == Ping::METHOD => {
            let pong = serde_json::to_value(shared.vitals.pong()).unwrap_or(Value::Null);
            let bytes = lock(&shared.peer).respond(id, Ok(pong));
            if let Some(lines) = lines.upgrade() {
                // A full queue means that the peer does not read: then the ping may well count as missed.
                let _full = lines.try_send(shared.line(bytes, Vec::new()));
            }
            None
        }
        Arrival::Request { id, method, params } => {
            lock(&shared.asked).insert(id);
            Some(Event::Request { id, method, params })
        }
        Arrival::Notification { method, params } => {
            let announced = params.get("fds").and_then(Value::as_u64).unwrap_or(0);
            let count = usize::try_from(announced).unwrap_or(0).min(fds.len());
            Some(Event::Notification { method, params, fds: fds.drain(..count).collect() })
        }
        Arrival::Stray { reason } => Some(Event::Stray { reason }),
    }
}

#[cfg(test)]
mod tests;
