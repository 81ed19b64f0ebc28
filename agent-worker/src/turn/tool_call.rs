//! One tool call at the edge: files here, commands by way of the gateway.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use creel_ipc::ErrorClass;
use creel_ipc::msg::agent::{AgentConfig, ToolPhase, TurnTool};
use creel_ipc::msg::process::{
    ProcessKill, ProcessKillParams, ProcessList, ProcessListParams, ProcessPoll, ProcessPollParams,
    ProcessStart, ProcessStartParams, ProcessStatus, ProcessWrite, ProcessWriteParams,
};
use creel_ipc::msg::tool::{Refusal, ToolKill, ToolKillParams, ToolOutput, ToolRefused, ToolRun};
use creel_link::{CallError, Link};
use tokio::time::Instant;

use super::action::{Call, Trust};
use crate::tools::exec::Plan;
use crate::tools::process::Action;
use crate::tools::workspace::Workspace;
use crate::tools::{self, Outcome, edit, exec, process, read, write};

/// Answers in which all that is kept of a process fits.
const PARTS: usize = 8;
/// How often to look what a process does.
const LOOK: Duration = Duration::from_millis(100);

/// Commands that run, by run id: what they print is passed on to whoever watches.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    going: Arc<Mutex<HashMap<String, TurnTool>>>,
    /// How far the model has read what processes printed.
    read: Arc<Mutex<HashMap<String, u64>>>,
}

impl Runs {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, TurnTool>> {
        self.going.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Runs a tool. `None` when an earlier life may have done it and nobody knows what became of it.
pub async fn run(
    link: Link,
    runs: Runs,
    config: Arc<AgentConfig>,
    turn: Arc<str>,
    call: Call,
    trust: Trust,
) -> Option<Outcome> {
    if call.name == "exec" && config.tools.allows(&call.name) {
        return command(&link, &runs, &config, &turn, &call, trust).await;
    }
    Some(known(link, runs, config, turn, call, trust).await)
}

/// Runs a tool of which there is no doubt.
async fn known(
    link: Link,
    runs: Runs,
    config: Arc<AgentConfig>,
    turn: Arc<str>,
    call: Call,
    trust: Trust,
) -> Outcome {
    let exists = config.tools.allows(&call.name);
    match call.name.as_str() {
        "process" if exists => process(&link, &runs, &turn, &call).await,
        "read" | "write" | "edit" if exists => {
            // A disk may hang; the link and the other turns must not hang with it.
            let (tool, path) =
                (call.name.clone(), call.arguments["path"].as_str().unwrap_or_default().to_owned());
            let done = tokio::task::spawn_blocking(move || file(&config.workspace, &call, trust)).await;
            let Ok((outcome, refused)) = done else { return Outcome::error("The tool was interrupted.") };
            if let Some(why) = refused {
                // The gateway fills in whose it is. One that is too busy to hear of it misses it.
                link.offer::<ToolRefused>(&ToolRefused { agent: String::new(), tool, path, why, more: None });
            }
            outcome
        }
        name => {
            let offered: Vec<_> = tools::offered(&config.tools).iter().map(|tool| tool.name).collect();
            Outcome::error(format!("There is no tool `{name}`. You have: {}.", offered.join(", ")))
        }
    }
}

/// What a file tool did, and why it refused, if it did.
fn file(workspace: &str, call: &Call, trust: Trust) -> (Outcome, Option<Refusal>) {
    let workspace = match Workspace::open(workspace) {
        Ok(workspace) => workspace,
        Err(error) => return (Outcome::error(error.to_string()), None),
    };
    let outcome = match call.name.as_str() {
        "read" => read::run(&workspace, &call.arguments),
        "write" => write::run(&workspace, &call.arguments),
        _ => edit::run(&workspace, &call.arguments, trust == Trust::Check),
    };
    (outcome, workspace.refused())
}

async fn command(
    link: &Link,
    runs: &Runs,
    config: &AgentConfig,
    turn: &str,
    call: &Call,
    trust: Trust,
) -> Option<Outcome> {
    let run = run_id(turn, call.step);
    let mut plan = match exec::plan(run.clone(), &call.arguments, config.tools.exec_wall_ms) {
        Ok(plan) => plan,
        Err(sentence) => return Some(Outcome::error(sentence)),
    };
    // Whether it goes on or has ended, the supervisor knows it by its run.
    plan.command.known_only = trust == Trust::Check;
    let outcome = match plan {
        Plan { command, leave_after: Some(patience), terminal } => {
            started(link, runs, ProcessStartParams { command, terminal }, patience).await
        }
        Plan { command, leave_after: None, .. } => {
            let _entered = runs.enter(&run, turn, call);
            link.call::<ToolRun>(&command).await.map(|exit| exec::report(&exit))
        }
    };
    match outcome {
        Ok(outcome) => Some(outcome),
        Err(CallError::Refused(error))
            if trust == Trust::Check && error.class() == ErrorClass::UnknownOutcome =>
        {
            None
        }
        Err(CallError::Refused(error)) => Some(Outcome::error(format!("The command was not run: {error}"))),
        Err(error) => Some(Outcome::error(format!("The command's outcome is unknown: {error}"))),
    }
}

/// Starts a process and waits for its end, but not for long.
async fn started(
    link: &Link,
    runs: &Runs,
    params: ProcessStartParams,
    patience: u64,
) -> Result<Outcome, CallError> {
    let process = link.call::<ProcessStart>(&params).await?.process;
    let status = news(link, process, 0, patience, |status| status.exit.is_some()).await?;
    runs.read().insert(status.process.clone(), status.next);
    Ok(match status.exit {
        Some(_) => process::report(&status),
        None => process::left_running(&status),
    })
}

/// How a process is, as soon as it is as awaited, at the latest after so many milliseconds.
async fn news(
    link: &Link,
    process: String,
    from: u64,
    patience: u64,
    awaited: impl Fn(&ProcessStatus) -> bool,
) -> Result<ProcessStatus, CallError> {
    let deadline = Instant::now() + Duration::from_millis(patience);
    // The gateway fills in whose it is.
    let params = ProcessPollParams { process, agent: String::new(), from };
    loop {
        let status = process::whole(link.call::<ProcessPoll>(&params).await?);
        if awaited(&status) || Instant::now() >= deadline {
            return Ok(status);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The tool `process`.
async fn process(link: &Link, runs: &Runs, turn: &str, call: &Call) -> Outcome {
    let action = match process::plan(&call.arguments) {
        Ok(action) => action,
        Err(sentence) => return Outcome::error(sentence),
    };
    match acted(link, runs, action, run_id(turn, call.step)).await {
        Ok(outcome) => outcome,
        Err(CallError::Refused(error)) => Outcome::error(error.message),
        Err(error) => Outcome::error(format!("The outcome is unknown: {error}")),
    }
}

/// `key` names the step, so that doing it again does nothing.
async fn acted(link: &Link, runs: &Runs, action: Action, key: String) -> Result<Outcome, CallError> {
    let agent = String::new();
    Ok(match action {
        Action::List => {
            process::list(&link.call::<ProcessList>(&ProcessListParams { agent }).await?.processes)
        }
        Action::Poll(session, patience) => {
            let from = runs.read().get(&session).copied().unwrap_or(0);
            let awaited = |status: &ProcessStatus| status.exit.is_some() || !status.text.is_empty();
            let status = news(link, session, from, patience, awaited).await?;
            runs.read().insert(status.process.clone(), status.next);
            process::report(&status)
        }
        Action::Log(session, first, limit) => {
            let mut whole = news(link, session, 0, 0, |_| true).await?;
            // One that prints faster than it can be read would go on for ever.
            for _ in 0..PARTS {
                let more = news(link, whole.process.clone(), whole.next, 0, |_| true).await?;
                if more.text.is_empty() {
                    break;
                }
                whole.text.push_str(&more.text);
                whole.next = more.next;
            }
            process::log(&whole, first, limit)
        }
        Action::Write(process, text, eof) => {
            let asked = text.len() as u64;
            let params = ProcessWriteParams { process, agent, key, text, eof };
            let written = link.call::<ProcessWrite>(&params).await?.bytes;
            match written == asked {
                true => Outcome::ok(format!("{written} bytes were written.")),
                false => Outcome::error(format!(
                    "Only {written} of {asked} bytes were written: it does not read what it was given before."
                )),
            }
        }
        Action::Kill(process) => {
            link.call::<ProcessKill>(&ProcessKillParams { process, agent }).await?;
            Outcome::ok("It is told to end, with everything it started.")
        }
    })
}

/// Kills a command, without waiting for it longer than the answer usually takes.
pub async fn kill(link: Link, run: String) {
    let params = ToolKillParams { run };
    let killed = tokio::time::timeout(Duration::from_secs(5), link.call::<ToolKill>(&params)).await;
    if !matches!(killed, Ok(Ok(_))) {
        tracing::warn!(run = params.run, "the command could not be killed; its own time limit will end it");
    }
}
