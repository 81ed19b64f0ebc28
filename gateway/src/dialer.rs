//! Connections to the database server, which the supervisor makes: this process can open no socket of its own.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use creel_ipc::msg::supervisor::{DatabaseDial, DatabaseDialParams, DatabaseDialed};
use creel_ipc::{Notify, rpc};
use creel_link::{Event, Link};
use tokio::sync::oneshot;

/// Asks for connections. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Dialer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    supervisor: Link,
    dials: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<OwnedFd>>>,
}

impl Dialer {
    pub(crate) fn new(supervisor: Link) -> Self {
        Self(Arc::new(Inner { supervisor, dials: AtomicU64::new(0), waiting: Mutex::default() }))
    }

    /// A connected socket, to one of the servers that the configuration names.
    ///
    /// # Errors
    /// A sentence that says why there is none.
    pub(crate) async fn dial(&self, server: u32) -> Result<OwnedFd, String> {
        let dial = self.0.dials.fetch_add(1, Ordering::Relaxed);
        let (sender, socket) = oneshot::channel();
        {
            let mut waiting = self.waiting();
            // Whoever asked for these waits no more.
            waiting.retain(|_, sender| !sender.is_closed());
            waiting.insert(dial, sender);
        }
        let asked = self.0.supervisor.call::<DatabaseDial>(&DatabaseDialParams { dial, server }).await;
        asked.map_err(|error| error.to_string().trim_end_matches('.').to_owned())?;
        socket.await.map_err(|_closed| "its connection came without a socket".to_owned())
    }

    /// Takes a connection that came; gives back whatever else the supervisor says.
    pub(crate) fn take(&self, event: Event) -> Option<Event> {
        match event {
            Event::Notification { method, params, fds } if method == DatabaseDialed::METHOD => {
                let dialed = rpc::params::<DatabaseDialed>(&method, params).ok();
                let asker = dialed.and_then(|dialed| self.waiting().remove(&dialed.dial));
                if let (Some(asker), Some(socket)) = (asker, fds.into_iter().next()) {
                    // Whoever asked may have given up.
                    let _gone = asker.send(socket);
                }
                None
            }
            other => Some(other),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<OwnedFd>>> {
        // The table is never left half-changed, so a poisoned lock is as good as another.
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
