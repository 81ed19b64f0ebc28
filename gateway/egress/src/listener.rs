//! One unit's listener and its connections.

use std::os::fd::OwnedFd;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use creel_ipc::msg::egress::{EgressDenied, HostRule};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::proxy::{self, ProxyError};

/// Connections of one unit at a time; further ones wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 256;

/// A unit's listener, served until this is dropped; its connections end with it.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) incarnation: u64,
    rules: Arc<RwLock<Vec<HostRule>>>,
    task: AbortHandle,
}

impl Listener {
    /// Begins to serve a received listening socket.
    pub(crate) fn start(
        unit: String,
        incarnation: u64,
        socket: OwnedFd,
        allow: Vec<HostRule>,
        denied: mpsc::Sender<EgressDenied>,
    ) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::from(socket);
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let rules = Arc::new(RwLock::new(allow));
        let task = tokio::spawn(accept(listener, unit, Arc::clone(&rules), denied)).abort_handle();
        Ok(Self { incarnation, rules, task })
    }

    /// Replaces the rules; connections that are open stay open.
    pub(crate) fn allow(&self, rules: Vec<HostRule>) {
        *self.rules.write().unwrap_or_else(std::sync::PoisonError::into_inner) = rules;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    unit: String,
    rules: Arc<RwLock<Vec<HostRule>>>,
    denied: mpsc::Sender<EgressDenied>,
) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
        }
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: wait instead of spinning.
                tracing::warn!("{unit}: a connection could not be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let rules = rules.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let (unit, denied) = (unit.clone(), denied.clone());
        connections.spawn(async move {
            match proxy::serve(stream, &unit, &rules).await {
                Ok(()) => {}
                Err(ProxyError::Refused { refusal, host, port }) => {
                    let report = EgressDenied { unit, host, port, reason: refusal.to_string(), count: 1 };
                    // Reports are best effort; a full queue means that many are on their way already.
                    let _full = denied.try_send(report);
                }
                Err(error @ (ProxyError::Io(_) | ProxyError::HeadUnfinished)) => {
                    tracing::debug!("{unit}: {error}");
                }
                Err(error) => tracing::info!("{unit}: {error}"),
            }
        });
    }
}
