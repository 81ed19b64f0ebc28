//! What leaves for one link, in order, without ever making the supervisor wait.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use creel_ipc::hello::{Reject, Welcome};
use creel_ipc::msg::egress::{EgressAllow, EgressAttach, EgressDetach};
use creel_ipc::msg::supervisor::{
    ConfigApplied, DatabaseDialed, GatewayListen, Shutdown, UnitAttached, UnitChanged, UnitDenied, UnitGone,
};
use creel_ipc::msg::tool::ToolOutput;
use creel_ipc::rpc::RpcError;
use creel_link::{CallError, Link};
use serde_json::Value;
use tokio::sync::mpsc;

/// Messages that may wait. A peer that is further behind is wedged: it is replaced, and its successor is told all anew.
const QUEUE: usize = 1024;
/// Best-effort messages are dropped when this many wait.
const BUSY: usize = 256;

/// One message.
#[derive(Debug)]
pub enum Outgoing {
    /// To gateway and egress.
    Welcome(Box<Welcome>),
    /// To whoever speaks another version.
    Reject(Reject),
    /// The port.
    Listen(GatewayListen, OwnedFd),
    /// A connection to the database server.
    Database(DatabaseDialed, OwnedFd),
    /// A worker's link.
    Attached(UnitAttached, OwnedFd),
    /// A worker ended.
    Gone(UnitGone),
    /// A unit's status.
    Changed(Box<UnitChanged>),
    /// A refusal of egress.
    Denied(UnitDenied),
    /// A new configuration.
    Applied(ConfigApplied),
    /// The end.
    Shutdown(Shutdown),
    /// Output of a tool run.
    Output(ToolOutput),
    /// The answer to a request.
    Answer(u64, Result<Value, RpcError>),
    /// A listener.
    EgressAttach(EgressAttach, OwnedFd),
    /// New rules.
    EgressAllow(EgressAllow),
    /// A listener's end.
    EgressDetach(EgressDetach),
}

/// The way to one peer. Cheap to clone; only for the supervisor's own thread.
#[derive(Debug, Clone)]
pub struct Post {
    queue: mpsc::Sender<Outgoing>,
    dropped: Rc<Cell<u64>>,
    /// Messages that the link has not taken yet.
    waiting: Rc<Cell<usize>>,
}

/// The peer does not take what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wedged;

impl Post {
    /// Starts the task that writes to the link; it ends with the last clone or with the link.
    pub fn start(link: Link) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let count: Rc<Cell<usize>> = Rc::default();
        tokio::task::spawn_local(deliver(link, waiting, Rc::clone(&count)));
        Self { queue, dropped: Rc::default(), waiting: count }
    }

    /// Sends what must arrive.
    ///
    /// # Errors
    /// When the peer is hopelessly behind.
    pub fn send(&self, message: Outgoing) -> Result<(), Wedged> {
        match self.queue.try_send(message) {
            // A closed link means that the process is about to end; its successor is told everything again.
            Ok(()) => {
                self.waiting.set(self.waiting.get() + 1);
                Ok(())
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Wedged),
        }
    }

    /// Sends what may be lost; it is counted then.
    pub fn offer(&self, message: Outgoing) -> bool {
        let room = self.queue.capacity() > QUEUE - BUSY && self.queue.try_send(message).is_ok();
        if room {
            self.waiting.set(self.waiting.get() + 1);
        } else {
            self.dropped.set(self.dropped.get() + 1);
        }
        room
    }

    /// Whether the link has taken every message.
    pub fn is_quiet(&self) -> bool {
        self.waiting.get() == 0
    }

    /// Best-effort messages that were dropped since the last call.
    pub fn take_dropped(&self) -> u64 {
        self.dropped.take()
    }
}

async fn deliver(link: Link, mut waiting: mpsc::Receiver<Outgoing>, count: Rc<Cell<usize>>) {
    while let Some(message) = waiting.recv().await {
        let sent: Result<(), CallError> = match message {
            Outgoing::Welcome(welcome) => link.notify::<Welcome>(&welcome).await,
            Outgoing::Reject(reject) => link.notify::<Reject>(&reject).await,
            Outgoing::Listen(listen, fd) => link.notify_with_fds::<GatewayListen>(&listen, vec![fd]).await,
            Outgoing::Database(dialed, fd) => link.notify_with_fds::<DatabaseDialed>(&dialed, vec![fd]).await,
            Outgoing::Attached(unit, fd) => link.notify_with_fds::<UnitAttached>(&unit, vec![fd]).await,
            Outgoing::Gone(gone) => link.notify::<UnitGone>(&gone).await,
            Outgoing::Changed(changed) => link.notify::<UnitChanged>(&changed).await,
            Outgoing::Denied(denied) => link.notify::<UnitDenied>(&denied).await,
            Outgoing::Applied(applied) => link.notify::<ConfigApplied>(&applied).await,
            Outgoing::Shutdown(shutdown) => link.notify::<Shutdown>(&shutdown).await,
            Outgoing::Output(output) => link.notify::<ToolOutput>(&output).await,
            Outgoing::EgressAttach(attach, fd) => {
                link.notify_with_fds::<EgressAttach>(&attach, vec![fd]).await
            }
            Outgoing::EgressAllow(allow) => link.notify::<EgressAllow>(&allow).await,
            Outgoing::EgressDetach(detach) => link.notify::<EgressDetach>(&detach).await,
            Outgoing::Answer(id, outcome) => {
                link.respond(id, outcome).await;
                Ok(())
            }
        };
        count.set(count.get().saturating_sub(1));
        match sent {
            Ok(()) => {}
            Err(CallError::Closed { .. }) => return count.set(0),
            Err(error) => tracing::error!("A message could not be sent: {error}"),
        }
    }
}
