//! The ways out of tool runs: their listeners are egress's as long as they run.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use creel_config::plan::EgressHost;
use creel_ipc::msg::egress::{
    EgressAllow, EgressAttach, EgressDetach, EgressTerms, EgressTest, EgressTestParams, HostRule,
};
use creel_ipc::rpc::RpcError;
use creel_link::{CallError, Link};
use tokio::time::timeout;

use super::requests::WRITE_DEADLINE;
use super::{EGRESS, Tree};
use crate::link::Outgoing;
use crate::tool::runs::Going;
use crate::unit::template;

/// How long egress may look a name up and try to connect.
const PATIENCE: Duration = Duration::from_secs(25);

/// The incarnation of a run's listener: a run has one life.
const ONLY: u64 = 1;

impl Tree {
    /// Hands the listener of a run that has begun to egress, if there is one and egress was taken in.
    pub(super) fn open_way(&mut self, run: &str) {
        if self.members.get(EGRESS).is_none_or(|egress| egress.welcomed().is_none()) {
            return;
        }
        let Some((agent, listener)) = self.way(run) else { return };
        let (allow, terms) = self.reach(&agent);
        match listener {
            Ok(listener) => {
                let attach = EgressAttach { fds: 1, unit: unit(run), incarnation: ONLY, allow, terms };
                self.post(EGRESS, Outgoing::EgressAttach(attach, listener));
            }
            Err(error) => tracing::error!("The listener of run {run} cannot be handed to egress: {error}."),
        }
    }

    /// A run ended: nobody is to serve its listener, which would keep its network alive.
    pub(super) fn close_way(&mut self, run: &str) {
        if self.way(run).is_some() {
            let detach = EgressDetach { unit: unit(run), incarnation: ONLY };
            self.post(EGRESS, Outgoing::EgressDetach(detach));
        }
    }

    /// A new egress gets all of them.
    pub(super) fn open_ways(&mut self) {
        let runs: Vec<String> = self.runs.going().map(|(run, _)| run.clone()).collect();
        for run in runs {
            self.open_way(&run);
        }
    }

    /// New rules for the runs of an agent, which go on.
    pub(super) fn change_ways(&mut self, agent: &str) {
        let its =
            |going: &Going| going.run.as_ref().is_some_and(|(run, _)| run.reaches.as_deref() == Some(agent));
        let runs: Vec<String> =
            self.runs.going().filter(|(_, going)| its(going)).map(|(run, _)| run.clone()).collect();
        for run in runs {
            let (allow, terms) = self.reach(agent);
            self.post(EGRESS, Outgoing::EgressAllow(EgressAllow { unit: unit(&run), allow, terms }));
        }
    }

    /// The agent of a run with a way out, and its listener.
    fn way(&self, run: &str) -> Option<(String, std::io::Result<OwnedFd>)> {
        let (_, going) = self.runs.going().find(|(id, _)| *id == run)?;
        let (run, _) = going.run.as_ref()?;
        let agent = run.reaches.clone()?;
        let (listener, _) = run.process.0.listener.as_ref()?;
        Some((agent, listener.try_clone()))
    }

    /// What the runs of an agent may reach; nothing, when there is no such agent any more.
    fn reach(&self, agent: &str) -> (Vec<HostRule>, EgressTerms) {
        let member = self.members.get(&format!("agent:{agent}"));
        member.and_then(|member| template::tool_reach(&member.unit)).unwrap_or_default()
    }

    /// Asks egress what it would say to a connection, and answers who asked.
    pub(super) fn egress_test(&self, client: Link, id: u64, asked: EgressTestParams) {
        let egress = self.members.get(EGRESS).filter(|egress| egress.welcomed().is_some());
        let egress = egress.and_then(|egress| egress.peer.as_ref()).map(|peer| peer.link.clone());
        let answers = Rc::clone(&self.answers);
        answers.set(answers.get() + 1);
        tokio::task::spawn_local(async move {
            let outcome = match egress {
                None => Err(RpcError::retry_after("egress is not running now.", 1000)),
                Some(egress) => match timeout(PATIENCE, egress.call::<EgressTest>(&asked)).await {
                    Ok(Ok(result)) => super::requests::answer(&result),
                    Ok(Err(CallError::Refused(error))) => Err(error),
                    Ok(Err(error)) => Err(RpcError::retry_after(error.to_string(), 1000)),
                    Err(_elapsed) => Err(RpcError::retry_after("egress did not answer in time.", 1000)),
                },
            };
            // A client that does not read loses its answer, not our time.
            let _late = timeout(WRITE_DEADLINE, client.respond(id, outcome)).await;
            answers.set(answers.get() - 1);
        });
    }
}

/// The hosts that the programs of a run do not ask egress for: its own loopback, but for what the operator allowed of the
/// machine's.
pub(super) fn direct(allowed: &[EgressHost]) -> String {
    let own = ["localhost", "127.0.0.1", "::1"].into_iter();
    let own: Vec<&str> = own.filter(|own| allowed.iter().all(|host| host.host != *own)).collect();
    own.join(",")
}

/// A run's name at egress.
fn unit(run: &str) -> String {
    format!("tool:{run}")
}
