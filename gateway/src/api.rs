//! What clients see: one port with OpenClaw's typed WebSocket frames (protocols 3 and 4), JSON-RPC 2.0 at
//! `/rpc`, liveness, readiness and the page. Everything goes through [`Hub`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::hub::Hub;

mod admission;
mod answers;
mod brake;
mod clients;
mod connection;
mod desk;
mod fault;
mod feed;
mod frame;
mod hello;
mod http;
mod method;
mod methods;
mod metrics;
mod origin;
mod page;
mod params;
mod queue;
mod rpc;
mod run;
mod scope;
#[cfg(test)]
mod tests;
mod wire;

use desk::Desk;
use http::Peer;

/// Connections at the same time; more are closed at once.
const CONNECTIONS: usize = 1024;
/// How long the head of an HTTP request may take to come.
const HEAD: Duration = Duration::from_secs(10);
/// How long clients have to hear that the gateway ends.
const FAREWELL: Duration = Duration::from_millis(1_500);

/// Serves clients until the core says that the gateway ends.
pub async fn serve(listener: TcpListener, hub: Hub) {
    let desk = Arc::new(Desk::new(hub));
    let events = desk.hub.subscribe();
    let router = http::router(desk.clone());
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut beside = tokio::task::JoinSet::new();
    beside.spawn(feed::tick(desk.clone()));
    beside.spawn(feed::tell_health(desk.clone()));
    beside.spawn(feed::tell_presence(desk.clone()));
    beside.spawn(feed::tell_sessions(desk.clone()));
    beside.spawn(accept(listener, router, places.clone()));
    feed::tell(desk.clone(), events).await;
    desk.clients.close_all(1012, "service restart");
    let _ = tokio::time::timeout(FAREWELL, desk.clients.empty()).await;
    beside.shutdown().await;
}

async fn accept(listener: TcpListener, router: axum::Router, places: Arc<Semaphore>) {
    let service = TowerToHyperService::new(router);
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::warn!(%peer, "{CONNECTIONS} connections are open; a new one was closed");
            continue;
        };
        let service = service.clone();
        tokio::spawn(async move {
            converse(stream, Peer { address: peer.ip(), place: Arc::new(place) }, service).await;
        });
    }
}

/// Without descriptors or memory the next attempt would fail at once, too.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        tracing::error!(%error, "no connection can be accepted; trying again in 100 ms");
        sleep(Duration::from_millis(100)).await;
    }
}

async fn converse(stream: TcpStream, peer: Peer, service: TowerToHyperService<axum::Router>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        service.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::trace!(%error, "an HTTP connection ended");
    }
}
