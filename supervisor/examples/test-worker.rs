//! A unit for the supervisor's own tests: speaks the handshake of every role and misbehaves as its name says.
//!
//! Installed as `creel-gateway`, `creel-egress`, `creel-agent` and `creel-channel`. An agent or account called
//! `crash`, `wrong` (exit 78), `deaf` (ignores SIGTERM), `mute` (never ready), `flood` or `chatty` does just that.
#![allow(clippy::print_stderr, clippy::exit, reason = "stderr is the unit's log, and this unit ends as told")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use creel_ipc::hello::{Hello, PROTOCOL, Ready, Renew, Role, Welcome, WorkerConfig};
use creel_ipc::msg::egress::{EgressAllow, EgressAttach, EgressConfig, EgressDenied, EgressDetach};
use creel_ipc::msg::supervisor::{
    ConfigApplied, ConfigReload, GatewayListen, Shutdown, UnitAttached, UnitFault, UnitGone, UnitReady,
    UnitRestart, UnitsStatus,
};
use creel_ipc::msg::tool::{ToolKill, ToolOutput, ToolRun};
use creel_ipc::rpc::Request;
use creel_ipc::{Limits, Notify};
use creel_link::{Event, Link, Vitals};
use serde_json::{Value, json};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let unit = std::env::var("CREEL_UNIT")?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(live(unit))
}

async fn live(unit: String) -> Outcome {
    eprintln!("hello from {unit}");
    let role = match unit.split(':').next() {
        Some("gateway") => Role::Gateway,
        Some("egress") => Role::Egress,
        Some("agent") => Role::Agent,
        _ => Role::Channel,
    };
    let habit = unit.rsplit(':').next().unwrap_or_default();
    match habit {
        "crash" => std::process::exit(101),
        "wrong" => std::process::exit(78),
        "flood" => flood(),
        _ => {}
    }
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let (link, mut incoming) = Link::stdio(Vitals::default())?;
    if habit != "mute" {
        link.notify::<Hello>(&hello(&unit, role, None)).await?;
    }
    let mut units = Units::default();
    loop {
        let event = tokio::select! {
            event = incoming.recv() => event,
            _ = term.recv() => {
                eprintln!("SIGTERM");
                if habit == "deaf" { continue }
                return Ok(());
            }
        };
        let Some(Event::Notification { method, params, fds }) = event else {
            if event.is_none() {
                eprintln!("end of the link");
                return Ok(());
            }
            continue;
        };
        match method.as_str() {
            Welcome::METHOD => {
                eprintln!("welcome");
                link.notify::<Ready>(&Ready {}).await?;
            }
            Renew::METHOD => {
                let renew: Renew = serde_json::from_value(params)?;
                eprintln!("renew");
                link.notify::<Hello>(&hello(&unit, role, Some(renew.session))).await?;
            }
            Shutdown::METHOD => {
                eprintln!("shutdown");
                return Ok(());
            }
            other => units.take(&link, other, params, fds).await?,
        }
    }
}

fn hello(unit: &str, role: Role, session: Option<String>) -> Hello {
    Hello {
        protocol: PROTOCOL,
        role,
        unit: unit.to_owned(),
        pid: std::process::id(),
        build: "test".to_owned(),
        caps: Vec::new(),
        session,
        running: Vec::new(),
        selftest: None,
    }
}

fn flood() {
    let mut stderr = std::io::stderr().lock();
    for n in 0..200_000 {
        let _closed = writeln!(stderr, "{n:06} {}", "x".repeat(92));
    }
    let _closed = stderr.write_all(&[b'y'; 100_000]);
    drop(stderr);
}

/// What a gateway and an egress are handed.
#[derive(Default)]
struct Units {
    kept: Vec<OwnedFd>,
    outputs: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Units {
    async fn take(&mut self, link: &Link, method: &str, params: Value, mut fds: Vec<OwnedFd>) -> Outcome {
        match method {
            GatewayListen::METHOD => {
                let listener = TcpListener::from(fds.remove(0));
                listener.set_nonblocking(true)?;
                eprintln!("listens on {}", listener.local_addr()?);
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let (link, outputs) = (link.clone(), Arc::clone(&self.outputs));
                tokio::spawn(async move {
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(desk(stream, link.clone(), Arc::clone(&outputs)));
                    }
                });
            }
            UnitAttached::METHOD => {
                let attached: UnitAttached = serde_json::from_value(params)?;
                eprintln!("attached {} {} fresh={}", attached.unit, attached.incarnation, attached.fresh);
                tokio::spawn(take_in(link.clone(), attached, fds.remove(0)));
            }
            UnitGone::METHOD => {
                let gone: UnitGone = serde_json::from_value(params)?;
                eprintln!("gone {} {} {:?}", gone.unit, gone.incarnation, gone.cause);
            }
            ConfigApplied::METHOD => eprintln!("applied {}", params["generation"]),
            ToolOutput::METHOD => {
                let output: ToolOutput = serde_json::from_value(params)?;
                if let Ok(mut outputs) = self.outputs.lock() {
                    outputs.entry(output.run).or_default().push_str(&output.text);
                }
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
async fn take_in(supervisor: Link, attached: UnitAttached, fd: OwnedFd) {
    let Ok((link, mut incoming)) = Link::from_fd(fd, 1 << 30, Vitals::default()) else { return };
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
                };
                let _closed = link.notify::<Welcome>(&welcome).await;
            }
            Ready::METHOD => {
                let ready = UnitReady { unit: attached.unit.clone(), incarnation: attached.incarnation };
                let _closed = supervisor.notify::<UnitReady>(&ready).await;
            }
            _ => {}
        }
    }
}

/// Where a test asks the gateway to ask the supervisor: one request a connection, one line each way.
async fn desk(stream: tokio::net::TcpStream, link: Link, outputs: Arc<Mutex<BTreeMap<String, String>>>) {
    let Ok(stream) = stream.into_std() else { return };
    let Ok(()) = stream.set_nonblocking(false) else { return };
    let read = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).map(|_| (line, stream))
    });
    let Ok(Ok((line, mut stream))) = read.await else { return };
    let asked: Value = serde_json::from_str(&line).unwrap_or_default();
    let params = asked["params"].clone();
    let answer = match asked["method"].as_str().unwrap_or_default() {
        "outputs" => json!(*outputs.lock().unwrap_or_else(std::sync::PoisonError::into_inner)),
        "pid" => json!(std::process::id()),
        UnitFault::METHOD => {
            let fault = serde_json::from_value::<UnitFault>(params);
            json!(match fault {
                Ok(fault) => link.notify::<UnitFault>(&fault).await.is_ok(),
                Err(_) => false,
            })
        }
        ToolRun::METHOD => call::<ToolRun>(&link, params).await,
        ToolKill::METHOD => call::<ToolKill>(&link, params).await,
        UnitsStatus::METHOD => call::<UnitsStatus>(&link, params).await,
        UnitRestart::METHOD => call::<UnitRestart>(&link, params).await,
        ConfigReload::METHOD => call::<ConfigReload>(&link, params).await,
        other => json!({"error": format!("no method {other}")}),
    };
    let _gone = writeln!(stream, "{answer}");
}

async fn call<M: Request>(link: &Link, params: Value) -> Value {
    match serde_json::from_value(params) {
        Ok(params) => match link.call::<M>(&params).await {
            Ok(result) => serde_json::to_value(result).unwrap_or_default(),
            Err(error) => json!({"error": error.to_string()}),
        },
        Err(error) => json!({"error": error.to_string()}),
    }
}
