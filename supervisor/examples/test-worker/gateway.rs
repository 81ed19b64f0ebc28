//! The gateway's part: the port, the links of workers, and what the supervisor tells.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use creel_ipc::hello::{Hello, PROTOCOL, Ready, Welcome, WorkerConfig};
use creel_ipc::msg::egress::{EgressAllow, EgressAttach, EgressConfig, EgressDenied, EgressDetach};
use creel_ipc::msg::supervisor::{ConfigApplied, GatewayListen, UnitAttached, UnitGone, UnitReady};
use creel_ipc::msg::tool::ToolOutput;
use creel_ipc::{Limits, Notify};
use creel_link::{Event, Link, Vitals};
use serde_json::Value;

use crate::Outcome;
use crate::desk::desk;

/// What a gateway and an egress are handed.
#[derive(Default)]
pub(crate) struct Gateway {
    kept: Vec<OwnedFd>,
    known: Known,
}

/// What the desk may ask about. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Known {
    /// What tool runs printed.
    pub(crate) outputs: Arc<Mutex<BTreeMap<String, String>>>,
    /// The links of workers.
    pub(crate) workers: Arc<Mutex<BTreeMap<String, Link>>>,
}

/// Nobody panics while holding one of these.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gateway {
    /// Takes a message of the supervisor.
    pub(crate) async fn take(
        &mut self,
        link: &Link,
        method: &str,
        params: Value,
        mut fds: Vec<OwnedFd>,
    ) -> Outcome {
        match method {
            GatewayListen::METHOD => {
                let listener = TcpListener::from(fds.remove(0));
                listener.set_nonblocking(true)?;
                eprintln!("listens on {}", listener.local_addr()?);
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let (link, known) = (link.clone(), self.known.clone());
                tokio::spawn(async move {
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(desk(stream, link.clone(), known.clone()));
                    }
                });
            }
            UnitAttached::METHOD => {
                let attached: UnitAttached = serde_json::from_value(params)?;
                eprintln!("attached {} {} fresh={}", attached.unit, attached.incarnation, attached.fresh);
                tokio::spawn(take_in(link.clone(), attached, fds.remove(0), self.known.clone()));
            }
            UnitGone::METHOD => {
                let gone: UnitGone = serde_json::from_value(params)?;
                eprintln!("gone {} {} {:?}", gone.unit, gone.incarnation, gone.cause);
            }
            ConfigApplied::METHOD => eprintln!("applied {}", params["generation"]),
            ToolOutput::METHOD => {
                let output: ToolOutput = serde_json::from_value(params)?;
                lock(&self.known.outputs).entry(output.run).or_default().push_str(&output.text);
            }
            EgressAttach::METHOD => {
                let attach: EgressAttach = serde_json::from_value(params)?;
                let hosts: Vec<_> = attach.allow.iter().map(|rule| rule.host.as_str()).collect();
                eprintln!("egress for {} {}: {hosts:?}", attach.unit, attach.incarnation);
                self.kept.append(&mut fds);
                let denied = EgressDenied {
                    unit: attach.unit,
                    host: "example.org".into(),
                    port: 443,
                    reason: "not on the list".into(),
                    count: 1,
                };
                link.notify::<EgressDenied>(&denied).await?;
            }
            EgressAllow::METHOD => eprintln!("allow {}", params["unit"]),
            EgressDetach::METHOD => eprintln!("detach {} {}", params["unit"], params["incarnation"]),
            "unit.denied" => eprintln!("denied {}", params["denied"]["unit"]),
            _ => {}
        }
        Ok(())
    }
}

/// A gateway's side of a worker's link.
async fn take_in(supervisor: Link, attached: UnitAttached, fd: OwnedFd, known: Known) {
    let Ok((link, mut incoming)) = Link::from_fd(fd, 1 << 30, Vitals::default()) else { return };
    lock(&known.workers).insert(attached.unit.clone(), link.clone());
    if !attached.fresh {
        let _closed = link.renew("another").await;
    }
    while let Some(event) = incoming.recv().await {
        let Event::Notification { method, .. } = event else { continue };
        match method.as_str() {
            Hello::METHOD => {
                let welcome = Welcome {
                    protocol: PROTOCOL,
                    session: "test".to_owned(),
                    epoch: 1,
                    limits: Limits::default(),
                    config: WorkerConfig::Egress(EgressConfig::default()),
                    cursor: None,
                    lease: None,
                };
                let _closed = link.notify::<Welcome>(&welcome).await;
            }
            Ready::METHOD => {
                let ready = UnitReady {
                    unit: attached.unit.clone(),
                    incarnation: attached.incarnation,
                    selftest: None,
                };
                let _closed = supervisor.notify::<UnitReady>(&ready).await;
            }
            _ => {}
        }
    }
}
