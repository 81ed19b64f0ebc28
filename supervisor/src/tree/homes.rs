//! The homes of commands: which there are, and those that nobody uses any more.

use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use creel_config::plan::UnitKind;
use creel_config::sandbox::{Prune, SandboxScope};
use creel_ipc::ErrorClass;
use creel_ipc::msg::sandbox::{Home as Told, Homes, PruneParams};
use creel_ipc::rpc::RpcError;
use creel_link::Link;

use super::Tree;
use super::event::Event;
use super::requests::{WRITE_DEADLINE, answer};
use crate::clock::now_ms;
use crate::tool::homes::{self, Home, Why};
use crate::unit::At;

/// When homes are first looked for, so that a start has other things to do.
pub(super) const FIRST: At = Duration::from_secs(300);
/// How often after that.
const EVERY: Duration = Duration::from_secs(3600);

/// What is to become of the homes that are found.
#[derive(Debug)]
pub enum Wish {
    /// Those go that nobody uses any more.
    Sweep,
    /// A client is told of them; with parameters those go that it wants to go.
    Answer {
        /// Where the answer goes.
        link: Link,
        /// The request's id.
        id: u64,
        /// What is wanted; absent for a list.
        asked: Option<PruneParams>,
    },
}

impl Tree {
    /// Looks for homes that nobody uses any more, when it is time.
    pub(super) fn sweep_homes(&mut self, now: At) {
        if now < self.sweep {
            return;
        }
        self.sweep = now + EVERY;
        self.look_for_homes(Wish::Sweep);
    }

    /// Answers a client once the homes are found.
    pub(super) fn homes(&self, link: Link, id: u64, asked: Option<PruneParams>) {
        self.answers.set(self.answers.get() + 1);
        self.look_for_homes(Wish::Answer { link, id, asked });
    }

    /// Reads the folders on a thread of its own: a disk may hang, and nobody must hang with it.
    fn look_for_homes(&self, wish: Wish) {
        let (events, folder) = (self.events.clone(), self.ground.paths.sandboxes());
        tokio::task::spawn_local(async move {
            let found = scan_aside(folder).await;
            let _over = events.send(Event::Homes { found, wish }).await;
        });
    }

    /// The homes are found. Whether one is in use is known here alone, so what goes is put aside before anything else happens.
    pub(super) fn homes_found(&mut self, found: io::Result<Vec<Home>>, wish: Wish) {
        match wish {
            Wish::Sweep => match found {
                Ok(found) => {
                    let done = self.judge(&found, Some(&PruneParams::default()));
                    for home in &done.homes {
                        let why = home.over.as_deref().unwrap_or_default();
                        tracing::info!("The home {} of commands is taken away ({why}).", home.path);
                    }
                    done.problems.iter().for_each(|problem| tracing::warn!("{problem}"));
                }
                Err(error) => tracing::warn!("The homes of commands cannot be read: {error}."),
            },
            Wish::Answer { link, id, asked } => {
                let unread = |error| {
                    let sentence = format!("The homes of commands cannot be read: {error}.");
                    RpcError::new(ErrorClass::Transient, sentence)
                };
                let outcome =
                    found.map_err(unread).and_then(|found| answer(&self.judge(&found, asked.as_ref())));
                let answers = Rc::clone(&self.answers);
                tokio::task::spawn_local(async move {
                    let _late = tokio::time::timeout(WRITE_DEADLINE, link.respond(id, outcome)).await;
                    answers.set(answers.get() - 1);
                });
            }
        }
    }

    /// Says of each home what is known of it; with `asked` only of those that may go, and these go unless nothing is to be
    /// changed.
    fn judge(&self, found: &[Home], asked: Option<&PruneParams>) -> Homes {
        let folder = self.ground.paths.sandboxes();
        let configured = &self.settings.plan.supervision.prune;
        let idle_hours = asked.and_then(|asked| asked.idle_hours).unwrap_or(configured.idle_hours);
        let rules = Prune { idle_hours, ..configured.clone() };
        let (now, mut told) = (now_ms(), Homes::default());
        for home in found {
            let in_use = self.runs.is_home(&home.path);
            let over = homes::verdict(home, self.scope_of(home), &rules, now).filter(|_| !in_use);
            let Some(asked) = asked else {
                told.homes.push(wire(home, in_use, over));
                continue;
            };
            if over.is_none() {
                continue;
            }
            match if asked.dry_run { Ok(()) } else { homes::set_aside(&home.path, &folder) } {
                Ok(()) => told.homes.push(wire(home, in_use, over)),
                Err(error) => told.problems.push(format!("{} stays: {error}.", home.path.display())),
            }
        }
        if asked.is_some_and(|asked| !asked.dry_run) {
            homes::clear_aside(&folder);
        }
        told
    }

    /// The scope of a home's agent as it is configured; of the shared one, that of any agent that uses it.
    fn scope_of(&self, home: &Home) -> Option<SandboxScope> {
        let scopes = self.settings.plan.units.iter().filter_map(|unit| match &unit.kind {
            UnitKind::Agent { id, tools, .. } => Some((id, tools.scope)),
            _ => None,
        });
        match &home.agent {
            Some(agent) => scopes.filter(|(id, _)| id.as_str() == agent).map(|(_, scope)| scope).next(),
            None => scopes.map(|(_, scope)| scope).find(|scope| *scope == SandboxScope::Shared),
        }
    }
}

async fn scan_aside(folder: PathBuf) -> io::Result<Vec<Home>> {
    let (done, outcome) = tokio::sync::oneshot::channel();
    let work = move || {
        let _gone = done.send(homes::scan(&folder));
    };
    std::thread::Builder::new().name("homes".to_owned()).stack_size(256 << 10).spawn(work)?;
    outcome.await.map_err(io::Error::other)?
}

fn wire(home: &Home, in_use: bool, over: Option<Why>) -> Told {
    Told {
        scope: home.scope.word().to_owned(),
        agent: home.agent.clone(),
        session: home.session.clone(),
        path: home.path.display().to_string(),
        used_ms: home.used_ms,
        made_ms: home.made_ms,
        in_use,
        over: over.map(|why| why.as_str().to_owned()),
    }
}
