//! The link to the supervisor, and the table of units that it hands over.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;

use creel_ipc::exit::ExitCode;
use creel_ipc::hello::{Ready, Renew, SelfTest};
use creel_ipc::msg::egress::{EgressAllow, EgressAttach, EgressDenied, EgressDetach};
use creel_ipc::msg::supervisor::Shutdown;
use creel_ipc::{Hello, Notify, PROTOCOL, Reject, Role, RpcError, Welcome, rpc};
use creel_link::{CallError, Event, Incoming, Link, Vitals};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::denial::Denials;
use crate::listener::Listener;

/// Why egress ends other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// Standard input is not the supervisor's socket.
    #[error("Standard input is not a link to the supervisor: {0}. Egress is started by `creel up`.")]
    NoLink(#[from] io::Error),
    /// The supervisor does not take this build in.
    #[error("The supervisor refused egress: {0}")]
    Rejected(String, u8),
    /// The link closed.
    #[error("{0}")]
    Call(#[from] CallError),
}

impl ServiceError {
    pub(crate) fn exit_code(&self) -> std::process::ExitCode {
        match self {
            Self::Rejected(_, code) => (*code).into(),
            Self::NoLink(_) => ExitCode::Usage.into(),
            Self::Call(_) => ExitCode::Failure.into(),
        }
    }
}

/// Serves until the link closes, `shutdown` comes or SIGTERM arrives.
pub(crate) async fn serve(selftest: Option<SelfTest>) -> Result<(), ServiceError> {
    let (link, events) = Link::stdio(Vitals::default())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = Service { selftest, ..Service::new(link) }.run(events) => result,
        _ = terminate.recv() => Ok(()),
    }
}

/// The units that have a way out.
#[derive(Debug)]
pub(crate) struct Service {
    link: Link,
    units: HashMap<String, Listener>,
    denied: mpsc::Sender<EgressDenied>,
    reports: mpsc::Receiver<EgressDenied>,
    /// What this process found when it tried what must be forbidden.
    selftest: Option<SelfTest>,
}

impl Service {
    pub(crate) fn new(link: Link) -> Self {
        let (denied, reports) = mpsc::channel(64);
        Self { link, units: HashMap::new(), denied, reports, selftest: None }
    }

    pub(crate) async fn run(mut self, mut events: Incoming) -> Result<(), ServiceError> {
        self.hello(None).await?;
        let mut denials = Denials::default();
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    None => return Ok(()),
                    Some(Event::Stray { reason }) => tracing::warn!("stray line on the supervisor's link: {reason}"),
                    Some(Event::Request { id, method, .. }) => {
                        self.link.respond(id, Err(RpcError::no_method(&method))).await;
                    }
                    Some(Event::Notification { method, params, fds }) => {
                        if self.notification(&method, params, fds).await? {
                            return Ok(());
                        }
                    }
                },
                Some(report) = self.reports.recv() => {
                    if let Some(report) = denials.count(report, Instant::now()) {
                        tracing::warn!("{}: denied {}:{}: {}", report.unit, report.host, report.port, report.reason);
                        self.link.offer::<EgressDenied>(&report);
                    }
                }
            }
        }
    }

    async fn hello(&self, session: Option<String>) -> Result<(), CallError> {
        let hello = Hello {
            protocol: PROTOCOL,
            role: Role::Egress,
            unit: "egress".to_owned(),
            pid: std::process::id(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            caps: Vec::new(),
            session,
            running: Vec::new(),
            selftest: self.selftest.clone(),
        };
        self.link.notify::<Hello>(&hello).await
    }

    /// Acts on a notification; `true` means that it is time to end.
    async fn notification(
        &mut self,
        method: &str,
        params: Value,
        fds: Vec<OwnedFd>,
    ) -> Result<bool, ServiceError> {
        let acted = match method {
            Welcome::METHOD => {
                self.link.notify::<Ready>(&Ready::default()).await?;
                Ok(())
            }
            Renew::METHOD => match rpc::params::<Renew>(method, params) {
                Ok(renew) => {
                    return self.hello(Some(renew.session)).await.map(|()| false).map_err(Into::into);
                }
                Err(error) => Err(error),
            },
            Reject::METHOD => match rpc::params::<Reject>(method, params) {
                Ok(reject) => return Err(ServiceError::Rejected(reject.reason, reject.exit_code)),
                Err(error) => Err(error),
            },
            Shutdown::METHOD => return Ok(true),
            EgressAttach::METHOD => rpc::params(method, params).map(|attach| self.attach(attach, fds)),
            EgressAllow::METHOD => rpc::params(method, params).map(|allow| self.allow(allow)),
            EgressDetach::METHOD => rpc::params(method, params).map(|detach| self.detach(&detach)),
            unknown => {
                tracing::debug!("the notification `{unknown}` is not known here");
                Ok(())
            }
        };
        if let Err(error) = acted {
            tracing::warn!("{error}");
        }
        Ok(false)
    }

    fn attach(&mut self, attach: EgressAttach, fds: Vec<OwnedFd>) {
        let EgressAttach { unit, incarnation, allow, .. } = attach;
        let Some(socket) = fds.into_iter().next() else {
            tracing::warn!("{unit}: its listener did not arrive with `{}`", EgressAttach::METHOD);
            return;
        };
        match Listener::start(unit.clone(), incarnation, socket, allow, self.denied.clone()) {
            Ok(listener) => {
                self.units.insert(unit, listener);
            }
            Err(error) => tracing::warn!("{unit}: its listener cannot be served: {error}"),
        }
    }

    fn allow(&self, allow: EgressAllow) {
        match self.units.get(&allow.unit) {
            Some(listener) => listener.allow(allow.allow),
            None => tracing::debug!("{}: new rules for a unit without a listener", allow.unit),
        }
    }

    fn detach(&mut self, detach: &EgressDetach) {
        let stale = |listener: &Listener| listener.incarnation <= detach.incarnation;
        if self.units.get(&detach.unit).is_some_and(stale) {
            self.units.remove(&detach.unit);
        }
    }
}
