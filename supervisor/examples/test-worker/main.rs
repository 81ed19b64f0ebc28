//! A unit for tests: speaks the handshake of every role, and misbehaves in every way of the fault matrix.
//!
//! Installed as `creel-gateway`, `creel-egress`, `creel-agent` or `creel-channel`. How it misbehaves is its name up to
//! the first `-` (an agent called `crash-1` crashes), or what it is told to do later: the desk of the test gateway
//! passes `order` on to any unit. [`habit`] lists them all.
#![allow(clippy::print_stderr, clippy::exit, reason = "stderr is the unit's log, and this unit ends as told")]

use creel_ipc::Notify;
use creel_ipc::hello::{Hello, PROTOCOL, Ready, Renew, Role, Welcome};
use creel_ipc::msg::supervisor::{REHEARSE, Shutdown};
use creel_link::{Event, Link, Vitals};
use tokio::signal::unix::{SignalKind, signal};

mod desk;
mod ends;
mod gateway;
mod greed;
mod habit;
mod offspring;
mod talk;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// What the test gateway tells a worker to do.
pub(crate) const ORDER: &str = "test.order";

fn main() -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    if let Some(answer) = creel_ipc::release::answer(std::env::args_os(), "test-worker", version) {
        return Ok(std::io::Write::write_all(&mut std::io::stdout(), answer.as_bytes())?);
    }
    let part = std::env::args().nth(1);
    if part.as_deref() == Some(REHEARSE) {
        // It has no database.
        return Ok(());
    }
    if let Some(part) = part {
        return offspring::live(&part);
    }
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
    let name = unit.rsplit(':').next().unwrap_or_default();
    let habit = name.split('-').next().unwrap_or_default().to_owned();
    if habit::AT_START.contains(&habit.as_str()) {
        habit::act(&habit);
    }
    let mut term = signal(SignalKind::terminate())?;
    let (link, mut incoming) = Link::stdio(Vitals::default())?;
    if habit != "mute" {
        link.notify::<Hello>(&hello(&unit, role, None)).await?;
    }
    let mut gateway = gateway::Gateway::default();
    loop {
        let event = tokio::select! {
            event = incoming.recv() => event,
            _ = term.recv() => {
                eprintln!("SIGTERM");
                if habit == "deaf" || habit::is_deaf() { continue }
                return Ok(());
            }
        };
        let (method, params, fds) = match event {
            Some(Event::Notification { method, params, fds }) => (method, params, fds),
            Some(Event::Request { method, .. }) => {
                eprintln!("{method} is not answered");
                continue;
            }
            Some(Event::Stray { .. }) => continue,
            None => {
                eprintln!("end of the link");
                return Ok(());
            }
        };
        match method.as_str() {
            Welcome::METHOD => {
                eprintln!("welcome");
                link.notify::<Ready>(&Ready {}).await?;
                if habit::WHEN_READY.contains(&habit.as_str()) {
                    // The writer's task first: what was sent so far is on its way.
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    habit::act(&habit);
                }
            }
            Renew::METHOD => {
                let renew: Renew = serde_json::from_value(params)?;
                eprintln!("renew");
                link.notify::<Hello>(&hello(&unit, role, Some(renew.session))).await?;
            }
            Shutdown::METHOD => {
                eprintln!("shutdown");
                if habit::is_deaf() {
                    continue;
                }
                return Ok(());
            }
            ORDER => habit::act(params.as_str().unwrap_or_default()),
            other => gateway.take(&link, other, params, fds).await?,
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
