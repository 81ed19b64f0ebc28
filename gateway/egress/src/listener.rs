//! One unit's listener and its connections.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use creel_ipc::msg::egress::EgressRecord;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::proxy;
use crate::way::Way;

/// Connections of one listener at a time, those among them that are about to be refused; further ones wait in the kernel's
/// backlog.
const MAX_CONNECTIONS: usize = 512;

/// A unit's listener, served until this is dropped; its connections end with it.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) incarnation: u64,
    pub(crate) way: Arc<Way>,
    task: AbortHandle,
}

impl Listener {
    /// Begins to serve a received listening socket.
    pub(crate) fn start(
        incarnation: u64,
        socket: OwnedFd,
        way: Way,
        records: mpsc::Sender<EgressRecord>,
    ) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::from(socket);
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let way = Arc::new(way);
        let task = tokio::spawn(accept(listener, Arc::clone(&way), records)).abort_handle();
        Ok(Self { incarnation, way, task })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, way: Arc<Way>, records: mpsc::Sender<EgressRecord>) {
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
                tracing::warn!("{}: a connection could not be accepted: {error}", way.unit);
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (way, records) = (Arc::clone(&way), records.clone());
        connections.spawn(async move { proxy::serve(stream, &way, &records).await });
    }
}
