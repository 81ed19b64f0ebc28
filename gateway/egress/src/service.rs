//! The link to the supervisor, and the table of units that it hands over.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use creel_ipc::exit::ExitCode;
use creel_ipc::hello::{Ready, Renew, SelfTest, WorkerConfig};
use creel_ipc::msg::egress::{
    EgressAllow, EgressAttach, EgressDenied, EgressDetach, EgressRecord, EgressTerms, EgressTest,
    EgressVerdict, HostRule,
};
use creel_ipc::msg::supervisor::Shutdown;
use creel_ipc::{Hello, Notify, PROTOCOL, Reject, Request, Role, RpcError, Welcome, rpc};
use creel_link::{CallError, Event, Incoming, Link, Vitals};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::access::AccessLog;
use crate::denial::Denials;
use crate::listener::Listener;
use crate::meter::Meter;
use crate::names::Names;
use crate::trial;
use crate::way::{Terms, Way};

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
        result = Service { selftest, ..Service::new(link, Names::System) }.run(events) => result,
        _ = terminate.recv() => Ok(()),
    }
}

/// Accounts without a listener that are remembered: who comes back within the day has used what it used.
const MAX_ACCOUNTS: usize = 1024;

/// The units that have a way out.
#[derive(Debug)]
pub(crate) struct Service {
    link: Link,
    names: Names,
    units: HashMap<String, Listener>,
    accounts: HashMap<String, Arc<Meter>>,
    log: AccessLog,
    record: mpsc::Sender<EgressRecord>,
    records: mpsc::Receiver<EgressRecord>,
    /// What this process found when it tried what must be forbidden.
    selftest: Option<SelfTest>,
}

impl Service {
    pub(crate) fn new(link: Link, names: Names) -> Self {
        let (record, records) = mpsc::channel(64);
        let (units, accounts, log) = Default::default();
        Self { link, names, units, accounts, log, record, records, selftest: None }
    }

    pub(crate) async fn run(mut self, mut events: Incoming) -> Result<(), ServiceError> {
        self.hello(None).await?;
        let mut denials = Denials::default();
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    None => return Ok(()),
                    Some(Event::Stray { reason }) => tracing::warn!("stray line on the supervisor's link: {reason}"),
                    Some(Event::Request { id, method, params }) => self.request(id, &method, params).await,
                    Some(Event::Notification { method, params, fds }) => {
                        if self.notification(&method, params, fds).await? {
                            return Ok(());
                        }
                    }
                },
                Some(record) = self.records.recv() => {
                    self.report(&mut denials, &record);
                    self.log.write(record, Instant::now());
                }
            }
        }
    }

    /// Tells the supervisor what was refused or cut, and the log what went wrong.
    fn report(&self, denials: &mut Denials, record: &EgressRecord) {
        let EgressRecord { unit, host, port, reason, verdict, .. } = record;
        let Some(reason) = reason else { return };
        if !matches!(verdict, EgressVerdict::Denied | EgressVerdict::Cut) {
            return tracing::info!("{unit}: {reason}");
        }
        let (unit, host, reason) = (unit.clone(), host.clone(), reason.clone());
        let report = EgressDenied { unit, host, port: *port, reason, count: 1 };
        if let Some(report) = denials.count(report, Instant::now()) {
            tracing::warn!("{}: denied {}:{}: {}", report.unit, report.host, report.port, report.reason);
            self.link.offer::<EgressDenied>(&report);
        }
    }

    async fn request(&self, id: u64, method: &str, params: Value) {
        if method != EgressTest::METHOD {
            return self.link.respond(id, Err(RpcError::no_method(method))).await;
        }
        match rpc::params(method, params) {
            Ok(asked) => {
                let (link, way) = (self.link.clone(), self.way(&asked));
                // It may wait for a name server or for the destination.
                tokio::spawn(
                    async move { link.answer::<EgressTest>(id, trial::answer(way, &asked).await).await },
                );
            }
            Err(error) => self.link.respond(id, Err(error)).await,
        }
    }

    fn way(&self, asked: &creel_ipc::msg::egress::EgressTestParams) -> Option<Arc<Way>> {
        self.units.get(&asked.unit).map(|listener| Arc::clone(&listener.way))
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
                if let Ok(welcome) = rpc::params::<Welcome>(method, params)
                    && let WorkerConfig::Egress(config) = welcome.config
                    && let Some(path) = config.access_log
                {
                    self.log = AccessLog::new(PathBuf::from(path));
                }
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
        let EgressAttach { unit, incarnation, allow, terms, .. } = attach;
        let Some(socket) = fds.into_iter().next() else {
            tracing::warn!("{unit}: its listener did not arrive with `{}`", EgressAttach::METHOD);
            return;
        };
        let way = Way::new(unit.clone(), self.names.clone(), self.terms(&unit, allow, terms));
        match Listener::start(incarnation, socket, way, self.record.clone()) {
            Ok(listener) => {
                self.units.insert(unit, listener);
            }
            Err(error) => tracing::warn!("{unit}: its listener cannot be served: {error}"),
        }
    }

    fn allow(&mut self, allow: EgressAllow) {
        let EgressAllow { unit, allow, terms } = allow;
        let terms = self.terms(&unit, allow, terms);
        match self.units.get(&unit) {
            Some(listener) => listener.way.set_terms(terms),
            None => tracing::debug!("{unit}: new rules for a unit without a listener"),
        }
    }

    fn terms(&mut self, unit: &str, rules: Vec<HostRule>, terms: EgressTerms) -> Terms {
        let EgressTerms { key, account, budget } = terms;
        if self.accounts.len() >= MAX_ACCOUNTS {
            let used = |meter: &Arc<Meter>| Arc::strong_count(meter) > 1;
            self.accounts.retain(|_, meter| used(meter));
        }
        let name = account.as_deref().unwrap_or(unit);
        let fresh = || Arc::new(Meter::new(name.to_owned(), budget.clone()));
        let meter = Arc::clone(self.accounts.entry(name.to_owned()).or_insert_with(fresh));
        meter.set_budget(budget);
        Terms { rules, key, account, meter }
    }

    fn detach(&mut self, detach: &EgressDetach) {
        let stale = |listener: &Listener| listener.incarnation <= detach.incarnation;
        if self.units.get(&detach.unit).is_some_and(stale) {
            self.units.remove(&detach.unit);
        }
    }
}
