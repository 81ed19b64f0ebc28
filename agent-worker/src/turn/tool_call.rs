//! One tool call at the edge: files here, commands by way of the gateway.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use creel_ipc::msg::agent::{AgentConfig, ToolPhase, TurnTool};
use creel_ipc::msg::tool::{ToolKill, ToolKillParams, ToolOutput, ToolRun};
use creel_link::{CallError, Link};

use super::action::{Call, Trust};
use crate::tools::workspace::Workspace;
use crate::tools::{self, Outcome, edit, exec, read, write};

/// Commands that run, by run id: what they print is passed on to whoever watches.
#[derive(Debug, Clone, Default)]
pub struct Runs(Arc<Mutex<HashMap<String, TurnTool>>>);

impl Runs {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, TurnTool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns a run's output into a turn's event. `None` when the run is not ours any more.
    pub fn update(&self, output: ToolOutput) -> Option<TurnTool> {
        let known = self.lock().get(&output.run).cloned()?;
        Some(TurnTool { phase: ToolPhase::Update { text: output.text }, ..known })
    }

    fn enter(&self, run: &str, turn: &str, call: &Call) -> Entered {
        let known = TurnTool {
            turn: turn.to_owned(),
            call_id: call.id.clone(),
            name: call.name.clone(),
            phase: ToolPhase::Update { text: String::new() },
        };
        self.lock().insert(run.to_owned(), known);
        Entered { runs: self.clone(), run: run.to_owned() }
    }
}

/// The run is known while this lives.
struct Entered {
    runs: Runs,
    run: String,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.runs.lock().remove(&self.run);
    }
}

/// The id of a command's run.
pub fn run_id(turn: &str, step: u32) -> String {
    format!("{turn}:{step}")
}

/// Runs a tool.
pub async fn run(
    link: Link,
    runs: Runs,
    config: Arc<AgentConfig>,
    turn: Arc<str>,
    call: Call,
    trust: Trust,
) -> Outcome {
    let exists = config.tools.allows(&call.name);
    match call.name.as_str() {
        "exec" if exists => command(&link, &runs, &config, &turn, &call).await,
        "read" | "write" | "edit" if exists => {
            // A disk may hang; the link and the other turns must not hang with it.
            let done = tokio::task::spawn_blocking(move || file(&config.workspace, &call, trust)).await;
            done.unwrap_or_else(|_| Outcome::error("The tool was interrupted."))
        }
        name => {
            let offered: Vec<_> = tools::offered(&config.tools).iter().map(|tool| tool.name).collect();
            Outcome::error(format!("There is no tool `{name}`. You have: {}.", offered.join(", ")))
        }
    }
}

fn file(workspace: &str, call: &Call, trust: Trust) -> Outcome {
    let workspace = match Workspace::open(workspace) {
        Ok(workspace) => workspace,
        Err(error) => return Outcome::error(error.to_string()),
    };
    match call.name.as_str() {
        "read" => read::run(&workspace, &call.arguments),
        "write" => write::run(&workspace, &call.arguments),
        _ => edit::run(&workspace, &call.arguments, trust == Trust::Check),
    }
}

async fn command(link: &Link, runs: &Runs, config: &AgentConfig, turn: &str, call: &Call) -> Outcome {
    let run = run_id(turn, call.step);
    let params = match exec::plan(run.clone(), &call.arguments, config.tools.exec_wall_ms) {
        Ok(params) => params,
        Err(sentence) => return Outcome::error(sentence),
    };
    let _entered = runs.enter(&run, turn, call);
    match link.call::<ToolRun>(&params).await {
        Ok(exit) => exec::report(&exit),
        Err(CallError::Refused(error)) => Outcome::error(format!("The command was not run: {error}")),
        Err(error) => Outcome::error(format!("The command's outcome is unknown: {error}")),
    }
}

/// Kills a command, without waiting for it longer than the answer usually takes.
pub async fn kill(link: Link, run: String) {
    let params = ToolKillParams { run };
    let killed = tokio::time::timeout(Duration::from_secs(5), link.call::<ToolKill>(&params)).await;
    if !matches!(killed, Ok(Ok(_))) {
        tracing::warn!(run = params.run, "the command could not be killed; its own time limit will end it");
    }
}
