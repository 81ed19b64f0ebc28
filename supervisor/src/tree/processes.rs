//! Background processes as agents ask for them, by way of the gateway.

use creel_config::plan::UnitKind;
use creel_ipc::ErrorClass;
use creel_ipc::msg::Empty;
use creel_ipc::msg::process::{
    ProcessKillParams, ProcessListParams, ProcessPollParams, ProcessStartParams, ProcessStatus,
    ProcessWriteParams, ProcessWritten, Processes,
};
use creel_ipc::msg::tool::ToolKillParams;
use creel_ipc::rpc::RpcError;

use super::Tree;
use super::tools::nothing_known;
use crate::denials::Terms;
use crate::tool::background::Owner;
use crate::tool::ends::Input;

impl Tree {
    /// Starts a process, or tells of the one that was started before.
    pub(super) fn process_start(&mut self, params: ProcessStartParams) -> Result<ProcessStatus, RpcError> {
        let ProcessStartParams { command: asked, terminal } = params;
        let now = self.now();
        if let Some(known) = self.runs.poll(&asked.agent, &asked.run, 0, now) {
            return Ok(known);
        }
        if asked.known_only {
            return Err(nothing_known(&asked.run));
        }
        let (most, longest) = self.bounds(&asked.agent);
        let mut command = self.compose_prepared(&asked)?;
        command.wall =
            asked.wall_ms.map_or(longest, |asked| longest.min(std::time::Duration::from_millis(asked)));
        command.input = if terminal { Input::Terminal } else { Input::Pipe };
        command.background = Some(Owner::new(&asked.agent, &asked.argv));
        let terms = Terms::of(&asked, &command);
        self.runs
            .add_background(&asked.run, command, most, now)
            .map_err(|sentence| RpcError::new(ErrorClass::Conflict, sentence))?;
        self.expect(&asked, terms);
        self.start_runs();
        self.process_poll(&ProcessPollParams { process: asked.run, agent: asked.agent, from: 0 })
    }

    /// How many an agent may have, and how long each may take.
    fn bounds(&self, agent: &str) -> (usize, std::time::Duration) {
        match self.members.get(&format!("agent:{agent}")).map(|member| &member.unit.kind) {
            Some(UnitKind::Agent { tools, .. }) => (
                tools.background_runs as usize,
                std::time::Duration::from_secs(u64::from(tools.background_seconds)),
            ),
            // Refused by its name later on.
            _ => (0, std::time::Duration::ZERO),
        }
    }

    /// How a process is.
    pub(super) fn process_poll(&self, params: &ProcessPollParams) -> Result<ProcessStatus, RpcError> {
        let ProcessPollParams { process, agent, from } = params;
        self.runs.poll(agent, process, *from, self.now()).ok_or_else(|| unknown(process))
    }

    /// All of an agent.
    pub(super) fn process_list(&self, params: &ProcessListParams) -> Processes {
        let now = self.now();
        let status = |run: &String| self.runs.poll(&params.agent, run, u64::MAX, now);
        Processes {
            processes: self.runs.background().names_of(&params.agent).iter().filter_map(status).collect(),
        }
    }

    /// Writes to one.
    pub(super) fn process_write(&mut self, params: &ProcessWriteParams) -> Result<ProcessWritten, RpcError> {
        let written = self.runs.write(params);
        let written = written.map_err(|sentence| RpcError::new(ErrorClass::Conflict, sentence))?;
        Ok(ProcessWritten { bytes: written as u64 })
    }

    /// Ends one.
    pub(super) fn process_kill(&mut self, params: ProcessKillParams) -> Result<Empty, RpcError> {
        let ProcessKillParams { process, agent } = params;
        if self.runs.poll(&agent, &process, 0, self.now()).is_none() {
            return Err(unknown(&process));
        }
        self.tool_kill(&ToolKillParams { run: process });
        Ok(Empty {})
    }

    /// An agent that an operator stopped, or that is no more, leaves nothing behind.
    pub(super) fn kill_processes_of(&mut self, unit: &str) {
        let Some(agent) = unit.strip_prefix("agent:") else { return };
        for run in self.runs.background().live_of(agent) {
            self.tool_kill(&ToolKillParams { run });
        }
    }
}

fn unknown(process: &str) -> RpcError {
    let sentence = format!(
        "There is no process {process}; the action \"list\" shows those that run and those that ended within the last hour."
    );
    RpcError::new(ErrorClass::BadRequest, sentence)
}
