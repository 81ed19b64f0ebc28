//! What an agent's worker asks and tells.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use creel_ipc::msg::Empty;
use creel_ipc::msg::agent::{
    DeltaKind, StepBegin, StepEnd, TurnAbort, TurnAsk, TurnContext, TurnDelta, TurnDone, TurnDoneParams,
    TurnJournal, TurnModel, TurnRef, TurnTool,
};
use creel_ipc::msg::channel::{Draft, Route};
use creel_ipc::msg::tool::{ToolKill, ToolRefused, ToolRun};
use creel_ipc::{ErrorClass, Notify, Request, RpcError, rpc};
use creel_link::{Event, uptime_ms};
use serde_json::Value;
use tokio::time::Instant;

use super::processes;
use super::questions;
use super::refusals;
use super::worker::Attached;
use crate::core::{Core, channel_unit, now_ms};
use crate::hub::CoreEvent;
use crate::lane::{self, Signal};
use crate::store::{Finish, Kept, NewStep, Store, StoreError};

/// Between two drafts of one reply.
const DRAFT_EVERY: Duration = Duration::from_millis(300);
/// Before a write is tried again that found no room.
const RETRY: Duration = Duration::from_secs(1);

/// Goes on with the turns that the worker is in the middle of, and has it drop those that are not its any more.
/// Runs within the link's loop, so that nothing the worker says next can overtake it.
pub(super) async fn adopt(this: &Attached, running: &[TurnRef]) {
    let known: HashSet<String> = this.core.state().turns.keys().cloned().collect();
    for turn in running {
        if known.contains(&turn.turn) {
            continue;
        }
        let (who, named, asked_ms) = (this.core.who.clone(), turn.clone(), uptime_ms());
        match this.core.desk.write(move |store| store.adopt_turn(&who, &named)).await {
            Ok(Some(claimed)) => {
                tracing::info!("The turn {} goes on under this gateway.", turn.turn);
                this.core.hold_lane(&claimed, asked_ms);
                let registered = lane::register(&this.core, &claimed, Some(this.incarnation));
                let mut state = this.core.state();
                let Some((link, signals)) = registered else {
                    // This life of the agent ended meanwhile. The next one takes the turn up from its journal.
                    state.lanes.arrived(&claimed.lane, &claimed.agent, Instant::now(), Duration::ZERO);
                    this.core.wake.notify_one();
                    continue;
                };
                state.lanes.adopt(&claimed.lane, &claimed.agent, Instant::now());
                drop(state);
                tokio::spawn(lane::adopted(Arc::clone(&this.core), claimed, link, signals));
            }
            Ok(None) => {
                tracing::warn!("The turn {} does not belong to {} any more.", turn.turn, this.unit);
                let (link, turn) = (this.link.clone(), turn.clone());
                // Answered after the welcome; the loop must not wait for it.
                tokio::spawn(async move { link.call::<TurnAbort>(&turn).await });
            }
            Err(error) => tracing::error!("The turn {} cannot be taken over: {error}", turn.turn),
        }
    }
}

/// Takes what the worker says. Requests are answered by tasks of their own.
pub(super) async fn take(this: &Attached, event: Event) {
    match event {
        Event::Request { id, method, params } => {
            tokio::spawn(answer(this.clone(), id, method, params));
        }
        Event::Notification { method, params, .. } => tell(this, &method, params),
        Event::Stray { .. } => {}
    }
}

async fn answer(this: Attached, id: u64, method: String, params: Value) {
    match method.as_str() {
        TurnContext::METHOD => {
            reply::<TurnContext, _, _>(&this, id, params, |this, page| async move {
                read(&this.core, move |store| store.context_page(&page.turn, page.cursor)).await
            })
            .await;
        }
        TurnJournal::METHOD => {
            reply::<TurnJournal, _, _>(&this, id, params, |this, page| async move {
                read(&this.core, move |store| store.journal_page(&page.turn, page.cursor)).await
            })
            .await;
        }
        StepBegin::METHOD => {
            reply::<StepBegin, _, _>(&this, id, params, |this, step| async move {
                let new = NewStep {
                    step: step.step,
                    name: step.name,
                    call_id: step.call_id,
                    arguments: step.arguments,
                };
                durable(&this, move |store| store.begin_step(&step.turn, &new)).await
            })
            .await;
        }
        StepEnd::METHOD => {
            reply::<StepEnd, _, _>(&this, id, params, |this, step| async move {
                let entry = step.entry;
                durable(&this, move |store| store.end_step(&step.turn, step.step, &entry)).await?;
                Ok(Empty {})
            })
            .await;
        }
        TurnAsk::METHOD => reply::<TurnAsk, _, _>(&this, id, params, questions::ask).await,
        TurnDone::METHOD => reply::<TurnDone, _, _>(&this, id, params, done).await,
        ToolRun::METHOD => reply::<ToolRun, _, _>(&this, id, params, tools::run).await,
        ToolKill::METHOD => reply::<ToolKill, _, _>(&this, id, params, tools::kill).await,
        _ => processes::process(&this, id, &method, params).await,
    }
}

pub(super) async fn reply<M, F, A>(this: &Attached, id: u64, params: Value, work: F)
where
    M: Request,
    F: FnOnce(Attached, M::Params) -> A,
    A: Future<Output = Result<M::Result, RpcError>>,
{
    let outcome = match rpc::params::<M::Params>(M::METHOD, params) {
        Ok(params) => work(this.clone(), params).await,
        Err(error) => Err(error),
    };
    this.link.answer::<M>(id, outcome).await;
}

fn wire(error: &StoreError) -> RpcError {
    let class = match error {
        StoreError::Fenced(_) => ErrorClass::Conflict,
        StoreError::Full(_) | StoreError::Away(_) | StoreError::Closed => ErrorClass::Transient,
        StoreError::Unusable { .. } | StoreError::Engine(_) => ErrorClass::Transient,
    };
    RpcError::new(class, error.to_string())
}

async fn read<T, F>(core: &Arc<Core>, call: F) -> Result<T, RpcError>
where
    T: Send + 'static,
    F: FnOnce(&mut dyn Store) -> Kept<T> + Send + 'static,
{
    core.desk.read(call).await.map_err(|error| wire(&error))
}

/// Writes for a turn. While there is no room the agent simply waits: its work is not lost.
pub(super) async fn durable<T, F>(this: &Attached, call: F) -> Result<T, RpcError>
where
    T: Send + 'static,
    F: Fn(&mut dyn Store) -> Kept<T> + Clone + Send + 'static,
{
    loop {
        let outcome = this.core.desk.write(call.clone()).await;
        this.core.note_store(&outcome);
        match outcome {
            Ok(done) => {
                this.core.vitals.progress();
                return Ok(done);
            }
            Err(error @ (StoreError::Full(_) | StoreError::Away(_))) => {
                tracing::error!("{} has to wait: {error}", this.unit);
                tokio::select! {
                    () = tokio::time::sleep(RETRY) => {}
                    () = this.gone.cancelled() => return Err(wire(&error)),
                }
            }
            Err(error) => return Err(wire(&error)),
        }
    }
}

async fn done(this: Attached, done: TurnDoneParams) -> Result<Empty, RpcError> {
    let finish = Finish {
        outcome: done.outcome,
        error: done.error,
        replies: done.replies,
        usage: done.usage,
        parked: false,
        now_ms: now_ms(),
    };
    let (turn, ending) = (done.turn.clone(), finish.clone());
    let finished = durable(&this, move |store| store.finish_turn(&turn, &ending)).await?;
    lane::announce(&this.core, &finished, finish);
    if let Some(running) = this.core.state().turns.get(&done.turn.turn) {
        // A full queue holds an ending already.
        let _full = running.signal.try_send(Signal::Done { pending: finished.pending });
    }
    Ok(Empty {})
}

fn tell(this: &Attached, method: &str, params: Value) {
    match method {
        TurnDelta::METHOD => {
            let Ok(delta) = rpc::params::<TurnDelta>(method, params) else { return };
            let Some((run, session_key)) = named(this, &delta.turn) else { return };
            if delta.kind == DeltaKind::Text {
                show_draft(this, &delta);
            }
            this.core.tell(CoreEvent::Delta { run, session_key, kind: delta.kind, text: delta.text });
        }
        TurnTool::METHOD => {
            let Ok(tool) = rpc::params::<TurnTool>(method, params) else { return };
            let Some((run, session_key)) = named(this, &tool.turn) else { return };
            this.core.tell(CoreEvent::Tool { run, session_key, tool });
        }
        TurnModel::METHOD => {
            let Ok(model) = rpc::params::<TurnModel>(method, params) else { return };
            let Some((run, session_key)) = named(this, &model.turn) else { return };
            if let Some(running) = this.core.state().turns.get_mut(&model.turn) {
                if model.again {
                    running.draft.truncate(running.answer_from);
                }
                running.answer_from = running.draft.len();
            }
            let TurnModel { provider, model, again, .. } = model;
            this.core.tell(CoreEvent::RunModel { run, session_key, provider, model, again });
        }
        ToolRefused::METHOD => {
            let Ok(told) = rpc::params::<ToolRefused>(method, params) else { return };
            refusals::pass_on(this, told);
        }
        _ => tracing::debug!("{} told of {method}, which is not known here.", this.unit),
    }
}

/// What clients call a turn, if this very worker has it.
fn named(this: &Attached, turn: &str) -> Option<(String, String)> {
    let state = this.core.state();
    let running = state.turns.get(turn).filter(|running| running.agent == this.name())?;
    Some((running.run.clone(), running.lane.clone()))
}

/// Shows the answer so far where the account wants that.
fn show_draft(this: &Attached, delta: &TurnDelta) {
    let settings = this.core.settings();
    let mut state = this.core.state();
    let draft: Option<(String, Route, String)> = state.turns.get_mut(&delta.turn).and_then(|running| {
        let route = running.route.clone()?;
        let (channel, account) = running.account.split_once(':')?;
        let streams = settings.config.channels.account(channel, account)?.common.streaming;
        if streams == creel_config::channels::Streaming::Off {
            return None;
        }
        running.draft.push_str(&delta.text);
        if running.drafted.is_some_and(|at| at.elapsed() < DRAFT_EVERY) {
            return None;
        }
        running.drafted = Some(Instant::now());
        Some((running.account.clone(), route, running.draft.clone()))
    });
    let Some((account, route, text)) = draft else { return };
    if let Some(worker) = state.workers.get(&channel_unit(&account)).filter(|worker| worker.ready) {
        worker.link.offer::<Draft>(&Draft { draft: delta.turn.clone(), route, text });
    }
}

pub(super) mod tools {
    //! Tool runs, relayed: the supervisor runs them, and the agent cannot say whose they are.

    use creel_config::sandbox::session_name;
    use creel_ipc::msg::Empty;
    use creel_ipc::msg::policy::EXEC;
    use creel_ipc::msg::tool::{ToolExit, ToolKill, ToolKillParams, ToolOutput, ToolRun, ToolRunParams};
    use creel_ipc::{ErrorClass, RpcError};
    use creel_link::{CallError, Link};

    use super::Attached;
    use crate::core::Core;
    use crate::lane::Running;
    use crate::links::elevated;
    use crate::route;

    pub(in crate::links) fn supervisor(core: &Core) -> Result<Link, RpcError> {
        let missing = || RpcError::new(ErrorClass::Transient, "The supervisor does not answer.");
        core.supervisor.clone().ok_or_else(missing)
    }

    pub(in crate::links) fn wire(error: CallError) -> RpcError {
        match error {
            CallError::Refused(error) => error,
            other => RpcError::new(other.class(), other.to_string()),
        }
    }

    pub(crate) async fn run(this: Attached, mut params: ToolRunParams) -> Result<ToolExit, RpcError> {
        may_run(&this)?;
        attribute(&this, &mut params)?;
        let run = params.run.clone();
        let owner =
            this.core.state().tool_runs.entry(run.clone()).or_insert_with(|| this.unit.clone()).clone();
        if owner != this.unit {
            return Err(RpcError::new(
                ErrorClass::BadRequest,
                format!("The run {run} belongs to another agent; name runs by turn and step."),
            ));
        }
        let outcome = supervisor(&this.core)?.call::<ToolRun>(&params).await.map_err(wire);
        this.core.state().tool_runs.remove(&run);
        outcome
    }

    /// Says whose a command is and for whom it may leave the sandbox, whatever the worker said.
    pub(in crate::links) fn attribute(this: &Attached, params: &mut ToolRunParams) -> Result<(), RpcError> {
        this.name().clone_into(&mut params.agent);
        let lane = lane(this, &params.run);
        let settings = this.core.settings();
        params.main =
            lane.as_ref().is_some_and(|lane| *lane == route::main_key(&settings.config, this.name()));
        params.session = lane.as_deref().map(session_name);
        params.elevated_for = if params.elevated { elevated::vouch(this, &params.run)? } else { Vec::new() };
        Ok(())
    }

    /// The session of a run.
    fn lane(this: &Attached, run: &str) -> Option<String> {
        of_turn(this, run, |turn| turn.lane.clone())
    }

    /// Something of the turn that a run is named after, if this agent has that turn.
    pub(in crate::links) fn of_turn<T>(
        this: &Attached,
        run: &str,
        take: impl FnOnce(&Running) -> T,
    ) -> Option<T> {
        let (turn, _) = run.rsplit_once(':')?;
        this.core.state().turns.get(turn).filter(|turn| turn.agent == this.name()).map(take)
    }

    /// The worker is told which tools it has; one that was taken over may not care.
    pub(in crate::links) fn may_run(this: &Attached) -> Result<(), RpcError> {
        let agent = this.core.settings().config.agent(this.name());
        if agent.is_some_and(|agent| agent.wire_tools().allows(EXEC)) {
            return Ok(());
        }
        tracing::warn!("{} asked for a command, and the configuration denies it commands.", this.unit);
        Err(RpcError::new(
            ErrorClass::BadRequest,
            format!(
                "The agent {} may run no commands; the operator's tools.exec, tools.allow and tools.deny say which tools it has.",
                this.name()
            ),
        ))
    }

    pub(crate) async fn kill(this: Attached, params: ToolKillParams) -> Result<Empty, RpcError> {
        let mine = this.core.state().tool_runs.get(&params.run) == Some(&this.unit);
        if mine {
            supervisor(&this.core)?.call::<ToolKill>(&params).await.map_err(wire)?;
        }
        Ok(Empty {})
    }

    /// Passes on what a run printed.
    pub(in crate::links) fn output(core: &Core, output: &ToolOutput) {
        let state = core.state();
        let worker = state.tool_runs.get(&output.run).and_then(|unit| state.workers.get(unit));
        if let Some(worker) = worker {
            worker.link.offer::<ToolOutput>(output);
        }
    }
}
