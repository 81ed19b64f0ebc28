//! Homes that are prepared before their first command.

use std::time::Duration;

use creel_config::plan::UnitKind;
use creel_ipc::ErrorClass;
use creel_ipc::msg::event::EventKind;
use creel_ipc::msg::tool::{ToolCause, ToolExit, ToolRunParams};
use creel_ipc::rpc::RpcError;

use super::Tree;
use crate::clock::now_ms;
use crate::denials::Terms;
use crate::tool::command::Command;
use crate::tool::leavings::Findings;
use crate::tool::setup::{Outcome, Preparation, Setup};

/// How the names of these runs begin. An agent may not use such a name: it could attach itself to the run.
const NAME: &str = "setup:";

impl Tree {
    /// Composes a command, and has its home prepared first where that is due.
    pub(super) fn compose_prepared(&mut self, asked: &ToolRunParams) -> Result<Command, RpcError> {
        if asked.run.starts_with(NAME) {
            let sentence =
                format!("A run must not have a name that begins with \"{NAME}\"; name it by turn and step.");
            return Err(RpcError::new(ErrorClass::BadRequest, sentence));
        }
        let command = self.compose(asked)?;
        self.may_write(&command)?;
        match &command.setup {
            Preparation::Nothing => {}
            Preparation::Impossible(why) => return Err(RpcError::new(ErrorClass::Conflict, why.clone())),
            Preparation::Line(setup) => self.prepare(asked, setup)?,
        }
        Ok(command)
    }

    fn prepare(&mut self, asked: &ToolRunParams, setup: &Setup) -> Result<(), RpcError> {
        match (setup.outcome(now_ms()), self.runs.preparing_for(setup)) {
            (_, Some(other)) if other.line != setup.line => {
                let sentence = "This sandbox is being prepared by the sandbox.setupCommand of before the last reload; try again in a moment.";
                return Err(RpcError::retry_after(sentence, 1000));
            }
            (Outcome::Done(_), _) | (Outcome::Due, Some(_)) => return Ok(()),
            (Outcome::Failed(why), _) => return Err(RpcError::new(ErrorClass::Conflict, why)),
            (Outcome::Due, None) => {}
        }
        let run = format!("{NAME}{}-{}", asked.agent, now_ms());
        let own = ToolRunParams {
            run: run.clone(),
            argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), setup.line.clone()],
            cwd: None,
            env: std::collections::BTreeMap::new(),
            wall_ms: None,
            elevated: false,
            ..asked.clone()
        };
        let mut command = self.compose(&own)?;
        command.setup = Preparation::Nothing;
        command.wall = self.setup_time(&asked.agent);
        self.expect(&own, Terms::of(&own, &command));
        self.runs.add_setup(&run, command, setup.clone());
        Ok(())
    }

    fn setup_time(&self, agent: &str) -> Duration {
        let seconds = match self.members.get(&format!("agent:{agent}")).map(|member| &member.unit.kind) {
            Some(UnitKind::Agent { tools, .. }) => tools.setup_seconds,
            // Composing its command has refused it by now.
            _ => 0,
        };
        Duration::from_secs(u64::from(seconds))
    }

    /// If this run prepared a home: keeps what became of it. Those who waited go on, or are told why not.
    pub(super) fn set_up(&mut self, run: &str, exit: &ToolExit) {
        let Some((setup, waiting)) = self.runs.prepared(run) else { return };
        let outcome = setup.ended(exit);
        let agent = run.trim_start_matches(NAME).rsplit_once('-').map_or(run, |(agent, _)| agent);
        let told = match &outcome {
            Ok(()) => {
                format!("sandbox.setupCommand prepared {} in {} ms.", setup.home.display(), exit.wall_ms)
            }
            Err(why) => why.clone(),
        };
        self.audit(EventKind::Prepared, agent, exit.code, told);
        let Err(why) = outcome else { return };
        // Out of the queue with all of them, before the end of the first has the next one start.
        let refused: Vec<String> = waiting.into_iter().filter(|run| self.runs.kill(run)).collect();
        for run in refused {
            let exit = ToolExit { message: Some(why.clone()), ..ToolExit::of(ToolCause::LaunchFailed) };
            self.tool_settled(&run, exit, &Findings::default());
        }
    }
}
