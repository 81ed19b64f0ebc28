//! The links to gateway and egress: taking them in, handing descriptors over, hearing them.

use std::os::fd::OwnedFd;
use std::time::Duration;

use creel_config::plan::Unit;
use creel_ipc::hello::{Hello, PROTOCOL, Ready, Reject, Welcome, WorkerConfig};
use creel_ipc::msg::egress::{EgressConfig, EgressDenied, EgressDetach};
use creel_ipc::msg::supervisor::{GatewayConfig, Shutdown, UnitDenied, UnitFault, UnitReady};
use creel_ipc::msg::tool::ToolRefused;
use creel_ipc::msg::unit::{ExitCause, SelfTested};
use creel_ipc::{ExitCode, Limits, Notify, Role, Secret};
use creel_link::{Incoming, Link, Vitals};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::event::{Event, UnitEvent, What};
use super::member::Peer;
use super::{EGRESS, GATEWAY, Tree};
use crate::clock::now_ms;
use crate::denials::told;
use crate::link::watch::{Patience, watch};
use crate::link::{Outgoing, Post, Strays};
use crate::unit::machine;
use crate::unit::template;

/// How long a process may live on after it closed its link.
const CLOSED_GRACE: Duration = Duration::from_secs(2);

impl Tree {
    /// Puts the supervisor's end of a link to work.
    pub(super) fn open_peer(&mut self, name: &str, incarnation: u64, socket: OwnedFd) {
        match Link::from_fd(socket, 0, Vitals::default()) {
            Ok(opened) => self.put_to_work(name, incarnation, opened, false),
            Err(error) => {
                let detail = format!("Its link cannot be opened: {error}.");
                self.send_later(name, incarnation, What::Fault(ExitCause::Protocol, detail));
            }
        }
    }

    /// Hears a link and writes to it.
    pub(super) fn put_to_work(
        &mut self,
        name: &str,
        incarnation: u64,
        (link, mut incoming): (Link, Incoming),
        welcomed: bool,
    ) {
        let (events, unit) = (self.events.clone(), name.to_owned());
        tokio::task::spawn_local(async move {
            while let Some(message) = incoming.recv().await {
                let event = UnitEvent { unit: unit.clone(), incarnation, what: What::Message(message) };
                if events.send(Event::Unit(event)).await.is_err() {
                    return;
                }
            }
            let _over = events.send(Event::Unit(UnitEvent { unit, incarnation, what: What::Closed })).await;
        });
        let Some(member) = self.members.get_mut(name) else { return };
        let post = Post::start(link.clone());
        if welcomed && member.role == Role::Gateway {
            *self.listener.borrow_mut() = Some(post.clone());
        }
        member.peer = Some(Peer { post, link, welcomed, strays: Strays::default() });
        if welcomed {
            self.watch_peer(name);
        }
    }

    /// Asks a peer again and again whether it is alive.
    fn watch_peer(&self, name: &str) {
        let Some(patience) = Patience::of(&self.settings.plan.supervision.rules.watchdog) else { return };
        let Some(member) = self.members.get(name) else { return };
        let Some(link) = member.peer.as_ref().map(|peer| peer.link.clone()) else { return };
        let (incarnation, events, unit) =
            (member.machine.incarnation(), self.events.clone(), name.to_owned());
        tokio::task::spawn_local(async move {
            if let Some(detail) = watch(link, patience).await {
                let what = What::Fault(ExitCause::Watchdog, detail);
                let _over = events.send(Event::Unit(UnitEvent { unit, incarnation, what })).await;
            }
        });
    }

    /// A message of gateway or egress.
    pub(super) fn message(&mut self, name: &str, message: creel_link::Event) {
        match message {
            creel_link::Event::Request { id, method, params } => self.peer_request(name, id, &method, params),
            creel_link::Event::Notification { method, params, .. } => {
                self.notification(name, &method, params);
            }
            creel_link::Event::Stray { reason } => self.stray(name, &reason),
        }
    }

    fn stray(&mut self, name: &str, reason: &str) {
        self.book.log(name).line(&format!("[creel: {reason}]"));
        let now = self.now();
        let Some(peer) = self.members.get_mut(name).and_then(|member| member.peer.as_mut()) else { return };
        if peer.strays.one_too_many(now) {
            let detail = "It wrote too many lines that are no messages.".to_owned();
            self.apply(name, machine::Event::Fault { cause: ExitCause::Protocol, detail });
        }
    }

    fn notification(&mut self, name: &str, method: &str, params: Value) {
        match method {
            Hello::METHOD => {
                if let Some(hello) = self.read::<Hello>(name, method, params) {
                    self.hello(name, &hello);
                }
            }
            Ready::METHOD => self.apply(name, machine::Event::Ready),
            UnitReady::METHOD if name == GATEWAY => {
                if let Some(UnitReady { unit, incarnation, selftest }) = self.read(name, method, params)
                    && self.is_current(&unit, incarnation)
                {
                    self.tested(&unit, selftest);
                    self.apply(&unit, machine::Event::Ready);
                }
            }
            UnitFault::METHOD if name == GATEWAY => {
                if let Some(fault) = self.read::<UnitFault>(name, method, params)
                    && self.is_current(&fault.unit, fault.incarnation)
                {
                    tracing::warn!("{}: {}", fault.unit, fault.detail);
                    let UnitFault { unit, cause, detail, .. } = fault;
                    // Whatever the gateway thinks: only these are its to find.
                    let its = matches!(cause, ExitCause::Watchdog | ExitCause::Sandbox | ExitCause::Busy);
                    let cause = if its { cause } else { ExitCause::Protocol };
                    self.record_fault(&unit, cause, &detail);
                    self.apply(&unit, machine::Event::Fault { cause, detail });
                }
            }
            ToolRefused::METHOD if name == GATEWAY => {
                if let Some(told) = self.read::<ToolRefused>(name, method, params)
                    && self.members.contains_key(&format!("agent:{}", told.agent))
                {
                    self.deny(told::denial(&told, now_ms()));
                }
            }
            EgressDenied::METHOD if name == EGRESS => {
                if let Some(denied) = self.read::<EgressDenied>(name, method, params) {
                    let EgressDenied { unit, host, port, reason, count } = &denied;
                    self.egress_denied(unit, host, *port, reason, *count);
                    if self.book.knows(unit) {
                        let line = format!("[egress: {host}:{port} refused {count} times: {reason}]");
                        self.book.log(unit).line(&line);
                    }
                    self.post(GATEWAY, Outgoing::Denied(UnitDenied { denied }));
                }
            }
            _ => tracing::debug!("{name} sent `{method}`, which is not known here."),
        }
    }

    fn read<T: DeserializeOwned>(&self, name: &str, method: &str, params: Value) -> Option<T> {
        creel_ipc::rpc::params(method, params)
            .inspect_err(|error| self.book.log(name).line(&format!("[creel: {error}]")))
            .ok()
    }

    /// Only a worker's current incarnation can be spoken of.
    fn is_current(&self, unit: &str, incarnation: u64) -> bool {
        self.members
            .get(unit)
            .is_some_and(|member| member.is_worker() && member.machine.incarnation() == incarnation)
    }

    fn hello(&mut self, name: &str, hello: &Hello) {
        let config = match name {
            GATEWAY => WorkerConfig::Gateway(self.gateway_config()),
            _ => WorkerConfig::Egress(EgressConfig {
                log_level: Some(self.ground.log_level.word().to_owned()),
                access_log: Some(template::access_log(&self.ground.paths).to_string_lossy().into_owned()),
            }),
        };
        let session =
            uuidless_session(self.generation, self.members.get(name).map_or(0, |m| m.machine.incarnation()));
        let Some(member) = self.members.get_mut(name) else { return };
        let (role, incarnation) = (member.role, member.machine.incarnation());
        let Some(peer) = &mut member.peer else { return };
        if !PROTOCOL.accepts(hello.protocol) || hello.role != role {
            let reason = format!(
                "The supervisor speaks protocol {}.{} to a {role:?}, this process {}.{} as a {:?}; install programs of one version.",
                PROTOCOL.major, PROTOCOL.minor, hello.protocol.major, hello.protocol.minor, hello.role
            );
            tracing::error!("{name}: {reason}");
            let _wedged =
                peer.post.send(Outgoing::Reject(Reject { reason, exit_code: ExitCode::Protocol.code() }));
            return;
        }
        let tested = hello.selftest.as_ref().map(SelfTested::from);
        if let Some(escaped) = tested.as_ref().map(|test| &test.escaped).filter(|list| !list.is_empty()) {
            let detail = weaker(escaped);
            let reject = Reject { reason: detail.clone(), exit_code: ExitCode::Failure.code() };
            let _wedged = peer.post.send(Outgoing::Reject(reject));
            tracing::error!("{name}: {detail}");
            self.tested(name, tested);
            self.record_fault(name, ExitCause::Sandbox, &detail);
            return self.apply(name, machine::Event::Fault { cause: ExitCause::Sandbox, detail });
        }
        let first = !std::mem::replace(&mut peer.welcomed, true);
        if role == Role::Gateway {
            *self.listener.borrow_mut() = Some(peer.post.clone());
        }
        let welcome = Welcome {
            protocol: PROTOCOL,
            session,
            epoch: incarnation,
            limits: Limits::default(),
            config,
            cursor: None,
            lease: None,
        };
        self.post(name, Outgoing::Welcome(Box::new(welcome)));
        self.tested(name, tested);
        if !first {
            return;
        }
        self.hand_over(name);
        self.watch_peer(name);
    }

    /// Notes what a unit found when it tested its own sandbox.
    fn tested(&mut self, name: &str, tested: Option<SelfTested>) {
        let member = self.members.get_mut(name);
        if let (Some(isolation), Some(_)) = (member.and_then(|member| member.isolation.as_mut()), &tested) {
            isolation.selftest = tested;
        }
    }

    fn gateway_config(&self) -> GatewayConfig {
        let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
        GatewayConfig {
            home: text(&self.ground.paths.home),
            config_file: text(&self.ground.config_file),
            state_dir: text(&self.ground.paths.state()),
            generation: self.generation,
            host: super::database::host_name(),
            env: self
                .source
                .env
                .iter()
                .map(|(name, value)| (name.clone(), Secret::new(value.clone())))
                .collect(),
        }
    }

    /// Everything that a new gateway or egress has to have.
    fn hand_over(&mut self, name: &str) {
        if name == GATEWAY {
            self.hand_over_port();
        }
        for unit in self.keep.units() {
            match name {
                GATEWAY => self.attach(&unit),
                _ => self.attach_egress(&unit),
            }
        }
        if name == EGRESS {
            self.open_ways();
        }
        if name == GATEWAY {
            for unit in self.plan_order() {
                self.announce(&unit);
            }
        }
    }

    pub(super) fn hand_over_port(&mut self) {
        match self.keep.listen() {
            Ok(Some((listen, fd))) => self.post(GATEWAY, Outgoing::Listen(listen, fd)),
            Ok(None) => {}
            Err(error) => tracing::error!("{error}"),
        }
    }

    /// Hands a worker's link to the gateway, if there is one.
    pub(super) fn attach(&mut self, unit: &str) {
        if self.members.get(GATEWAY).is_none_or(|gateway| gateway.welcomed().is_none()) {
            return;
        }
        match self.keep.attach(unit) {
            Ok(Some((attached, fd))) => self.post(GATEWAY, Outgoing::Attached(attached, fd)),
            Ok(None) => {}
            Err(error) => tracing::error!("The link of {unit} cannot be handed to the gateway: {error}."),
        }
    }

    /// Hands a unit's listener to egress, if there is one.
    pub(super) fn attach_egress(&mut self, unit: &str) {
        if self.members.get(EGRESS).is_none_or(|egress| egress.welcomed().is_none()) {
            return;
        }
        let Some(member) = self.members.get(unit) else { return };
        match self.keep.egress(unit, template::rules(&member.unit), template::terms(&member.unit)) {
            Ok(Some((attach, fd))) => self.post(EGRESS, Outgoing::EgressAttach(attach, fd)),
            Ok(None) => {}
            Err(error) => tracing::error!("The listener of {unit} cannot be handed to egress: {error}."),
        }
    }

    pub(super) fn detach_egress(&mut self, unit: &str, incarnation: u64) {
        self.post(EGRESS, Outgoing::EgressDetach(EgressDetach { unit: unit.to_owned(), incarnation }));
    }

    /// New rules for a listener that stays.
    pub(super) fn allow_egress(&mut self, unit: &Unit) {
        let allow = creel_ipc::msg::egress::EgressAllow {
            unit: unit.name.to_string(),
            allow: template::rules(unit),
            terms: template::terms(unit),
        };
        self.post(EGRESS, Outgoing::EgressAllow(allow));
    }

    /// Asks the gateway to end; what does not listen, or not in half of its time, gets SIGTERM.
    pub(super) fn shut_gateway_down(&mut self) {
        let Some(member) = self.members.get(GATEWAY) else { return };
        let Some(process) = member.process.clone() else { return };
        if member.welcomed().is_none() {
            return process.terminate();
        }
        let time = Duration::from_secs(u64::from(self.settings.plan.supervision.rules.stop_seconds));
        let reason = if self.stopping.is_some() { "Creel stops." } else { "The gateway is restarted." };
        let deadline_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.post(GATEWAY, Outgoing::Shutdown(Shutdown { reason: reason.to_owned(), deadline_ms }));
        tokio::task::spawn_local(async move {
            tokio::time::sleep(time / 2).await;
            process.terminate();
        });
    }

    /// A process that closed its link has two seconds to end.
    pub(super) fn link_closed(&mut self, name: &str, incarnation: u64) {
        let (events, unit) = (self.events.clone(), name.to_owned());
        tokio::task::spawn_local(async move {
            tokio::time::sleep(CLOSED_GRACE).await;
            let what = What::Fault(ExitCause::Protocol, "It closed its link and did not end.".to_owned());
            let _over = events.send(Event::Unit(UnitEvent { unit, incarnation, what })).await;
        });
    }

    /// Whether a request may come from this peer at all.
    pub(super) fn is_gateway(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|member| member.role == Role::Gateway)
    }
}

/// Why a unit is not used.
fn weaker(escaped: &[String]) -> String {
    format!(
        "Its self-test got past its sandbox: {}. It is not used; `creel sandbox test` shows what this machine denies.",
        escaped.join(", ")
    )
}

/// Names one life of the supervisor's end: the process and the incarnation.
fn uuidless_session(generation: u64, incarnation: u64) -> String {
    format!("supervisor-{}-{generation}-{incarnation}", std::process::id())
}
