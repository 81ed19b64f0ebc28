//! What sandboxes are made of, and what they denied.

use std::fs::File;
use std::rc::Rc;
use std::time::Duration;

use creel_ipc::ErrorClass;
use creel_ipc::msg::event::{Event, EventKind};
use creel_ipc::msg::sandbox::{Certainty, Denial, ExplainParams, Explanation, Rule, Sandboxed};
use creel_ipc::msg::tool::{ToolExit, ToolRunParams};
use creel_ipc::msg::unit::Isolation;
use creel_ipc::rpc::RpcError;
use creel_launch::{LaunchSpec, Stdio};
use creel_link::Link;

use super::Tree;
use super::launch::isolation;
use crate::cgroup;
use crate::clock::now_ms;
use crate::explain::{self, Whose, describe};
use crate::unit::process;
use crate::unit::template;

/// How long a client of the control socket may take to take its answer.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);

impl Tree {
    /// Something was denied: it is kept, and told to the unit's log and to the journal unless it is too much.
    pub(super) fn deny(&mut self, denial: Denial) {
        let now = self.now();
        let Denial { unit, run, sentence, count, certainty, .. } = denial.clone();
        if !self.denials.push(denial, now) {
            return;
        }
        // What egress refuses a unit is in its log already.
        if (run.is_some() || certainty == Certainty::Told) && self.book.knows(&unit) {
            self.book.log(&unit).line(&format!("[sandbox: {sentence}]"));
        }
        let incarnation = self.members.get(&unit).map_or(0, |member| member.machine.incarnation());
        self.journal.record(Event {
            count: Some(count),
            detail: Some(sentence),
            ..Event::of_unit(EventKind::Denied, &unit, incarnation)
        });
    }

    /// Something about an agent's commands that its log and the journal are told.
    pub(super) fn audit(&mut self, kind: EventKind, agent: &str, code: Option<i32>, detail: String) {
        let unit = format!("agent:{agent}");
        if self.book.knows(&unit) {
            self.book.log(&unit).line(&format!("[sandbox: {detail}]"));
        }
        let event = Event::of_unit(kind, &unit, 0);
        self.journal.record(Event { incarnation: None, code, detail: Some(detail), ..event });
    }

    /// Egress refused a unit something.
    pub(super) fn egress_denied(&mut self, unit: &str, host: &str, port: u16, reason: &str, count: u64) {
        let run = unit.strip_prefix("tool:");
        let agent = run.and_then(|run| self.denials.terms(run)).map(|terms| format!("agent:{}", terms.agent));
        self.deny(Denial {
            at_ms: now_ms(),
            unit: agent.unwrap_or_else(|| unit.to_owned()),
            run: run.map(str::to_owned),
            rule: Rule::Network,
            certainty: Certainty::Exact,
            sentence: format!("{host}:{port} was refused by egress: {reason}"),
            count,
        });
    }

    /// A command ended: what it was denied goes into its result, and is kept.
    pub(super) fn with_denials(&mut self, run: &str, mut exit: ToolExit) -> ToolExit {
        let Some((terms, refused)) = self.denials.ended(run) else { return exit };
        let process = self.runs.going().find(|(id, _)| *id == run).and_then(|(_, going)| going.run.as_ref());
        let counted = process.map(|(run, _)| run.process.counted()).unwrap_or_default();
        let found = terms.denials(run, &exit, counted, now_ms());
        for denial in &found {
            self.deny(denial.clone());
        }
        exit.denials = refused.into_iter().chain(found).collect();
        self.elevated_ended(run, &terms, &exit);
        exit
    }

    /// Explains the sandboxes of an agent. Measures by running `true`, so the answer comes later.
    pub(super) fn explain(&mut self, link: Link, id: u64, asked: &ExplainParams) -> Result<(), RpcError> {
        let (mut told, spec) = self.explanation(asked)?;
        let answers = Rc::clone(&self.answers);
        answers.set(answers.get() + 1);
        tokio::task::spawn_local(async move {
            if let (Some(commands), Ok(spec)) = (told.sandboxes.first_mut(), spec) {
                match measured(&spec).await {
                    Ok(measured) => commands.isolation = Some(measured),
                    Err(problem) => commands.problem = Some(problem),
                }
            }
            let outcome = super::requests::answer(&told);
            let _late = tokio::time::timeout(WRITE_DEADLINE, link.respond(id, outcome)).await;
            answers.set(answers.get() - 1);
        });
        Ok(())
    }

    /// What is known without running anything, and the spec of a command.
    fn explanation(
        &self,
        asked: &ExplainParams,
    ) -> Result<(Explanation, Result<LaunchSpec, String>), RpcError> {
        let bad = |sentence| RpcError::new(ErrorClass::BadRequest, sentence);
        let controllers = cgroup::here().map(|groups| groups.controllers()).unwrap_or_default();
        let ground = explain::Ground {
            plan: &self.settings.plan,
            level: self.ground.level,
            measured: self.measured.as_ref(),
            controllers,
        };
        let compose = |params: &ToolRunParams| self.compose(params).map_err(|error| error.message);
        let (mut told, spec, unit) = ground.explain(asked, compose).map_err(bad)?;
        let name = unit.name.to_string();
        told.sandboxes.push(template::spec(unit, &self.ground).map_or_else(
            |error| Sandboxed { of: name.clone(), problem: Some(error.to_string()), ..Sandboxed::default() },
            |spec| Sandboxed {
                isolation: self.members.get(&name).and_then(|member| member.isolation.clone()),
                ..describe(&name, &spec, &Whose::Worker(&unit.egress), controllers)
            },
        ));
        Ok((told, spec))
    }
}

/// What the launcher applies to a command of this spec, as measured in one that does nothing.
async fn measured(spec: &LaunchSpec) -> Result<Isolation, String> {
    let null = || File::options().read(true).write(true).open("/dev/null").map_err(|error| error.to_string());
    let stdio = Stdio { stdin: null()?.into(), stdout: null()?.into(), stderr: null()?.into() };
    let beginning = process::begin(spec, stdio, 1).map_err(|error| error.to_string())?;
    let process = process::launched(beginning).await.map_err(|error| error.to_string())?;
    let found = isolation(&process.0.isolation);
    let _ended = process.ended().await;
    Ok(found)
}
