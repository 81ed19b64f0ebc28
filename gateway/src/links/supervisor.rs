//! The gateway's own link to the supervisor.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use creel_ipc::msg::supervisor::{
    ConfigApplied, GatewayListen, Shutdown, UnitAttached, UnitChanged, UnitDrain, UnitGone,
};
use creel_ipc::msg::tool::ToolOutput;
use creel_ipc::{Notify, Request, RpcError, rpc};
use creel_link::{Event, Incoming, Link, Vitals};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::worker::{Attached, reconfigure, serve};
use crate::core::{Core, now_ms};
use crate::dialer::Dialer;
use crate::drain;
use crate::hub::CoreEvent;

/// What the process itself has to do about what the supervisor says.
#[derive(Debug)]
pub(crate) enum Orders {
    /// Serve clients on this socket.
    Listen(TcpListener),
    /// Read the configuration again.
    Reread(ConfigApplied),
    /// End.
    Stop(Shutdown),
}

/// Takes what the supervisor says until it has gone.
pub(crate) async fn attend(
    core: Arc<Core>,
    dialer: Dialer,
    early: Vec<Event>,
    mut incoming: Incoming,
    orders: mpsc::Sender<Orders>,
) {
    for event in early {
        take(&core, event, &orders).await;
    }
    loop {
        tokio::select! {
            event = incoming.recv() => match event {
                Some(event) => {
                    if let Some(event) = dialer.take(event) {
                        take(&core, event, &orders).await;
                    }
                }
                None => return,
            },
            () = core.stopping.cancelled() => return,
        }
    }
}

async fn take(core: &Arc<Core>, event: Event, orders: &mpsc::Sender<Orders>) {
    match event {
        Event::Notification { method, params, fds } => {
            if let Err(error) = told(core, &method, params, fds, orders).await {
                tracing::error!("The supervisor's `{method}` was not understood: {error}");
            }
        }
        Event::Request { id, method, params } if method == UnitDrain::METHOD => {
            let (core, Some(supervisor)) = (Arc::clone(core), core.supervisor.clone()) else { return };
            tokio::spawn(async move {
                let outcome = match rpc::params(&method, params) {
                    Ok(asked) => Ok(drain::drain(&core, asked).await),
                    Err(error) => Err(error),
                };
                supervisor.answer::<UnitDrain>(id, outcome).await;
            });
        }
        Event::Request { id, method, .. } => {
            if let Some(supervisor) = core.supervisor.clone() {
                tokio::spawn(async move { supervisor.respond(id, Err(RpcError::no_method(&method))).await });
            }
        }
        Event::Stray { reason } => tracing::warn!("The supervisor's link had a stray line: {reason}"),
    }
}

async fn told(
    core: &Arc<Core>,
    method: &str,
    params: Value,
    fds: Vec<OwnedFd>,
    orders: &mpsc::Sender<Orders>,
) -> Result<(), RpcError> {
    let order = match method {
        GatewayListen::METHOD => {
            let listen: GatewayListen = rpc::params(method, params)?;
            let Some(fd) = fds.into_iter().next() else {
                tracing::error!("The listener for {} came without its socket.", listen.address);
                return Ok(());
            };
            tracing::info!("Clients are served on {}.", listen.address);
            Some(Orders::Listen(TcpListener::from(fd)))
        }
        UnitAttached::METHOD => {
            let attached: UnitAttached = rpc::params(method, params)?;
            match fds.into_iter().next() {
                Some(fd) => attach(core, attached, fd),
                None => tracing::error!("The link of {} came without its socket.", attached.unit),
            }
            None
        }
        UnitGone::METHOD => {
            let gone: UnitGone = rpc::params(method, params)?;
            if let Some(worker) = core.state().workers.get(&gone.unit)
                && worker.incarnation == gone.incarnation
            {
                worker.gone.cancel();
            }
            None
        }
        UnitChanged::METHOD => {
            let changed: UnitChanged = rpc::params(method, params)?;
            core.state().units.insert(changed.status.name.clone(), changed.status.clone());
            drain::changed(core, &changed.status);
            core.tell(CoreEvent::UnitChanged(Box::new(changed.status)));
            None
        }
        ToolOutput::METHOD => {
            super::agent::tools::output(core, &rpc::params(method, params)?);
            None
        }
        ConfigApplied::METHOD => Some(Orders::Reread(rpc::params(method, params)?)),
        Shutdown::METHOD => Some(Orders::Stop(rpc::params(method, params)?)),
        _ => {
            tracing::debug!("The supervisor told of {method}, which is not known here.");
            None
        }
    };
    if let Some(order) = order {
        // The process that takes the orders has ended only when everything ends.
        let _ended = orders.send(order).await;
    }
    Ok(())
}

/// Puts a link on a worker's socket.
pub(crate) fn attach(core: &Arc<Core>, attached: UnitAttached, socket: OwnedFd) {
    // Above every id of an earlier gateway, and still exact in any JSON reader: 2048 requests a millisecond.
    let first_id = u64::try_from(now_ms()).unwrap_or(0) << 11;
    match Link::from_fd(socket, first_id, Vitals::default()) {
        Ok((link, incoming)) => {
            let this = Attached {
                core: Arc::clone(core),
                unit: attached.unit,
                role: attached.kind,
                incarnation: attached.incarnation,
                fresh: attached.fresh,
                link,
                gone: CancellationToken::new(),
            };
            tokio::spawn(serve(this, incoming));
        }
        Err(error) => tracing::error!("The socket of {} cannot be used: {error}.", attached.unit),
    }
}

/// Has every worker take up the configuration of this moment.
pub(crate) fn spread(core: &Arc<Core>) {
    reconfigure(core);
    core.wake.notify_one();
}
