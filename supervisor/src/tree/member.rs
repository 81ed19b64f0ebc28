//! One unit of the tree: its plan, its life, its process and its link.

use std::os::fd::OwnedFd;

use creel_config::operation::Supervisor as Rules;
use creel_config::plan::Unit;
use creel_ipc::hello::Role;
use creel_ipc::msg::unit::{ExitCause, Isolation, LastExit};
use creel_link::Link;
use tokio::sync::oneshot;

use crate::link::{Post, Strays};
use crate::unit::machine::{Machine, Policy};
use crate::unit::process::Process;
use crate::unit::template;
use crate::upgrade::carried::Program;

/// A unit and all that belongs to its current incarnation.
#[derive(Debug)]
pub(super) struct Member {
    /// What the plan says.
    pub(super) unit: Unit,
    /// What it is for.
    pub(super) role: Role,
    /// Its life.
    pub(super) machine: Machine,
    /// Its process, once launched.
    pub(super) process: Option<Process>,
    /// Our end of its link (the gateway's end, for a worker), while a launch is under way.
    pub(super) pending_link: Option<OwnedFd>,
    /// Gives a launch under way up.
    pub(super) give_up: Option<oneshot::Sender<()>>,
    /// Dropped when the process ends: its log is then read for two seconds more.
    pub(super) log_end: Option<oneshot::Sender<()>>,
    /// The supervisor's own link, for gateway and egress.
    pub(super) peer: Option<Peer>,
    /// How it is confined.
    pub(super) isolation: Option<Isolation>,
    /// Its last end.
    pub(super) last_exit: Option<LastExit>,
    /// The last line of an incarnation whose log ended before its end was told: what it started may outlive it.
    last_words: Option<(u64, String)>,
    /// Whether the plan no longer has it: it goes when it is down.
    pub(super) leaving: bool,
    /// Whether an operator stopped it.
    pub(super) held: bool,
    /// The program of its latest launch.
    pub(super) program: Option<Program>,
}

/// Whether the last line of a log says why: not when nothing went wrong.
fn is_telling(cause: ExitCause) -> bool {
    !matches!(cause, ExitCause::Clean | ExitCause::Stopped)
}

/// The supervisor's link to gateway or egress.
#[derive(Debug)]
pub(super) struct Peer {
    /// The link; dropping it lets go of the socket.
    pub(super) link: Link,
    /// What leaves.
    pub(super) post: Post,
    /// Whether it was taken in.
    pub(super) welcomed: bool,
    /// What it wrote that is no message.
    pub(super) strays: Strays,
}

impl Member {
    /// A unit that is down.
    pub(super) fn new(unit: Unit, rules: Rules) -> Self {
        let role = template::role(&unit);
        let seed = seed(&unit.name.to_string());
        Self {
            unit,
            role,
            machine: Machine::new(policy(role, &rules), rules, seed),
            process: None,
            pending_link: None,
            give_up: None,
            log_end: None,
            peer: None,
            isolation: None,
            last_exit: None,
            last_words: None,
            leaving: false,
            held: false,
            program: None,
        }
    }

    /// The log of an incarnation has ended, before or after the incarnation itself.
    pub(super) fn heard_last_words(&mut self, incarnation: u64, line: Option<String>) {
        let Some(line) = line else { return };
        if self.machine.incarnation() == incarnation && self.process.is_some() {
            self.last_words = Some((incarnation, line));
        } else if self.machine.incarnation() <= incarnation + 1
            && let Some(last) = &mut self.last_exit
            && last.detail.is_none()
            && is_telling(last.cause)
        {
            last.detail = Some(line);
        }
    }

    /// What an incarnation that ended like this said last, if it is known already.
    pub(super) fn take_last_words(&mut self, incarnation: u64, cause: ExitCause) -> Option<String> {
        let (of, line) = self.last_words.take()?;
        (of == incarnation && is_telling(cause)).then_some(line)
    }

    /// Takes new rules over.
    pub(super) fn set_rules(&mut self, rules: Rules) {
        self.machine.set_policy(policy(self.role, &rules));
        self.machine.set_rules(rules);
    }

    /// Whether the gateway, not the supervisor, has its link.
    pub(super) fn is_worker(&self) -> bool {
        matches!(self.role, Role::Agent | Role::Channel)
    }

    /// The link to a peer that was taken in.
    pub(super) fn welcomed(&self) -> Option<&Post> {
        self.peer.as_ref().filter(|peer| peer.welcomed).map(|peer| &peer.post)
    }
}

/// Without gateway or egress there is no Creel: they always come back.
fn policy(role: Role, rules: &Rules) -> Policy {
    match role {
        Role::Agent | Role::Channel => rules.restart.into(),
        Role::Gateway | Role::Egress => Policy::Permanent,
        Role::Tool => Policy::Temporary,
    }
}

/// Units that fall together must not come back together.
fn seed(name: &str) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(name)
}
