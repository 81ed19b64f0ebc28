//! The way in: each message is a request, and only its answer lets the platform's cursor move.
//!
//! Messages of one chat are stored one after the other, so that a retry cannot overtake; chats do not wait for
//! each other. At most [`IN_FLIGHT`] messages wait for their answer; then the platform is not read any more.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use creel_ipc::ErrorClass;
use creel_ipc::msg::channel::{Inbound, InboundMessage};
use creel_link::{CallError, Link, Vitals};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::status::Board;
use crate::{Backoff, lock, now_ms};

/// Messages that may wait for their answer.
pub const IN_FLIGHT: usize = 256;

/// Where messages go that came in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inlet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    link: Link,
    board: Board,
    vitals: Vitals,
    room: Arc<Semaphore>,
    lanes: Mutex<HashMap<String, VecDeque<Job>>>,
}

#[derive(Debug)]
struct Job {
    inbound: Inbound,
    done: oneshot::Sender<()>,
    _room: OwnedSemaphorePermit,
}

/// Resolves once the message is durable.
#[derive(Debug)]
pub struct Receipt(oneshot::Receiver<()>);

/// The link to the gateway has ended; nothing more can be stored in this life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

impl Receipt {
    /// Waits until the message is durable.
    ///
    /// # Errors
    /// [`Gone`] when the link ended first: then the cursor must not move.
    pub async fn stored(self) -> Result<(), Gone> {
        self.0.await.map_err(|_closed| Gone)
    }
}

impl Inlet {
    /// The way in over `link`, with at most `inflight` messages without an answer (and at most [`IN_FLIGHT`]).
    pub fn new(link: Link, board: Board, vitals: Vitals, inflight: usize) -> Self {
        let room = Arc::new(Semaphore::new(inflight.clamp(1, IN_FLIGHT)));
        Self(Arc::new(Inner { link, board, vitals, room, lanes: Mutex::default() }))
    }

    /// Hands a message over, behind all earlier ones of its chat. Waits only while too many are unanswered.
    pub async fn submit(&self, inbound: Inbound) -> Receipt {
        let (done, stored) = oneshot::channel();
        // The semaphore is never closed; without a permit the receipt reports that the link is gone.
        let Ok(room) = Arc::clone(&self.0.room).acquire_owned().await else { return Receipt(stored) };
        let lane = inbound.chat.id.clone();
        let job = Job { inbound, done, _room: room };
        let idle = {
            let mut lanes = lock(&self.0.lanes);
            let idle = !lanes.contains_key(&lane);
            lanes.entry(lane.clone()).or_default().push_back(job);
            idle
        };
        if idle {
            tokio::spawn(Arc::clone(&self.0).drain(lane));
        }
        Receipt(stored)
    }
}

impl Inner {
    async fn drain(self: Arc<Self>, lane: String) {
        while let Some(job) = self.next(&lane) {
            if self.store(&job.inbound).await.is_err() {
                // Everything behind it fails with it; the process is about to end.
                lock(&self.lanes).remove(&lane);
                return;
            }
            // Whoever does not wait for the receipt has no cursor to move.
            let _unawaited = job.done.send(());
        }
    }

    /// The lane's next message; an empty lane ends.
    fn next(&self, lane: &str) -> Option<Job> {
        let mut lanes = lock(&self.lanes);
        let job = lanes.get_mut(lane).and_then(VecDeque::pop_front);
        if job.is_none() {
            lanes.remove(lane);
        }
        job
    }

    async fn store(&self, inbound: &Inbound) -> Result<(), Gone> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        loop {
            let error = match self.link.call::<InboundMessage>(inbound).await {
                Ok(_stored) => {
                    self.board.inbound(now_ms());
                    self.vitals.progress();
                    return Ok(());
                }
                Err(CallError::Closed { .. }) => return Err(Gone),
                Err(error) => error,
            };
            if error.class() == ErrorClass::BadRequest {
                // It will be refused for ever; to insist would silence the whole chat.
                tracing::error!(ext_id = ?inbound.ext_id, "The gateway refuses a message for good, it is passed over: {error}");
                return Ok(());
            }
            let pause = told_pause(&error).unwrap_or_else(|| backoff.pause());
            tracing::warn!(ext_id = ?inbound.ext_id, ?pause, "A message could not be stored and is tried again: {error}");
            tokio::time::sleep(pause).await;
        }
    }
}

fn told_pause(error: &CallError) -> Option<Duration> {
    let CallError::Refused(error) = error else { return None };
    error.data.as_ref()?.retry_after_ms.map(Duration::from_millis)
}
