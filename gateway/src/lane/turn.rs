//! One turn, from the claim of its lane to its end.

use std::sync::Arc;
use std::time::Duration;

use creel_ipc::msg::agent::{
    Author, Reply, SessionRef, TurnAbort, TurnOutcome, TurnRef, TurnStart, TurnStartParams,
};
use creel_ipc::msg::channel::{Route, Typing};
use creel_ipc::msg::transcript::Usage;
use creel_ipc::{ErrorClass, Request};
use creel_link::{CallError, Link, uptime_ms};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use crate::core::{Core, agent_unit, channel_unit, now_ms};
use crate::hub::{CoreEvent, Happening, SessionPhase};
use crate::inbound;
use crate::route;
use crate::store::{Claimed, Finish, Finished, LaneClaim};

/// Beyond the agent's own limit, before the gateway steps in.
const GRACE: Duration = Duration::from_secs(15);
/// From an abort to the gateway's own ending of the turn.
const ABORT_WITHIN: Duration = Duration::from_secs(10);
/// The worker hides the typing indicator by itself after a minute.
const TYPING_EVERY: Duration = Duration::from_secs(30);
/// Before a lane is tried again that could not be claimed.
const RETRY: Duration = Duration::from_millis(500);

/// What a running turn is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Its end is durable; so many messages of its lane wait.
    Done {
        /// How many.
        pending: u32,
    },
    /// Its agent's link ended.
    Lost,
    /// Its lane is another host's now, or may be.
    Fenced,
    /// Somebody wants it to stop.
    Abort,
    /// People are asked about it, and its time stands still.
    Asked,
    /// They have answered, or are not waited for here any more.
    Answered,
}

/// A turn that an agent has.
#[derive(Debug)]
pub(crate) struct Running {
    pub run: String,
    pub lane: String,
    pub agent: String,
    /// Incarnation of the agent's worker.
    pub incarnation: u64,
    /// The account that it came in on.
    pub account: String,
    pub route: Option<Route>,
    /// Who wrote what it answers; `None` for those whom no platform vouches for.
    pub authors: Vec<Option<Author>>,
    /// The answer so far, for drafts.
    pub draft: String,
    /// Where the current model answer begins in it.
    pub answer_from: usize,
    pub drafted: Option<Instant>,
    pub signal: mpsc::Sender<Signal>,
}

/// Takes up a lane that is marked as running: one turn, from its claim to its end.
pub(crate) async fn run_lane(core: Arc<Core>, lane: String) {
    let more = take_up(&core, &lane).await;
    leave(&core, &lane, more);
}

/// Runs the turn of a lane that is marked as running and was claimed already.
pub(crate) async fn run_claimed(core: Arc<Core>, claimed: Claimed) {
    let lane = claimed.lane.clone();
    let more = run(&core, claimed).await;
    leave(&core, &lane, more);
}

/// The lane is free again. `None` means that it should be tried again in a moment.
fn leave(core: &Arc<Core>, lane: &str, more: Option<bool>) {
    let after = if more.is_none() { RETRY } else { Duration::ZERO };
    {
        let mut state = core.state();
        state.lanes_held.remove(lane);
        state.lanes.ended(lane, more.unwrap_or(true), Instant::now(), after);
    }
    core.wake.notify_one();
}

/// How a lane is claimed at this moment.
pub(crate) fn claim_of(core: &Core, lane: &str) -> LaneClaim {
    let settings = core.settings();
    let now_ms = now_ms();
    LaneClaim {
        who: core.who.clone(),
        lane: lane.to_owned(),
        turn: uuid::Uuid::now_v7().to_string(),
        merge: inbound::merges(&settings.config, lane, None),
        fresh_id: uuid::Uuid::now_v7().to_string(),
        stale_before_ms: inbound::stale_before(&settings.config, lane, None, now_ms),
        by_channel: inbound::ways(&settings.config, lane, now_ms),
        now_ms,
    }
}

/// Says whether there is more to do; `None` when it should be tried again in a moment.
async fn take_up(core: &Arc<Core>, lane: &str) -> Option<bool> {
    let (claim, asked_ms) = (claim_of(core, lane), uptime_ms());
    let claimed = core.desk.write(move |store| store.claim_lane(&claim)).await;
    core.note_store(&claimed);
    match claimed {
        Ok(Some(claimed)) => {
            core.hold_lane(&claimed, asked_ms);
            run(core, claimed).await
        }
        Ok(None) => Some(false),
        Err(error) => {
            tracing::error!("The lane {lane} cannot be taken up: {error}");
            None
        }
    }
}

/// Runs a claimed turn to its end. Says what [`take_up`] says.
async fn run(core: &Arc<Core>, mut claimed: Claimed) -> Option<bool> {
    if claimed.settings.silent {
        // No typing, no draft; the store adds nothing to the outbox, whoever ends the turn.
        claimed.route = None;
    }
    {
        let mut state = core.state();
        if state.phases.of(&claimed.lane, 1) == SessionPhase::Paused {
            state.phases.note(&claimed.lane, Happening::TakenUp);
        }
        if claimed.fresh {
            state.phases.note(&claimed.lane, Happening::Close);
            state.phases.note(&claimed.lane, Happening::Done);
        }
    }
    let most = core.settings().config.messages.inbound.park_after;
    if claimed.falls >= most {
        let Claimed { agent, lane, .. } = &claimed;
        let times = if most == 1 { "once".to_owned() } else { format!("{most} times") };
        tracing::error!(
            "A message of {lane} was set aside: the agent {agent} fell {times} at the same place of it. \
             `creel inbox` shows it."
        );
        let sentence = format!(
            "I could not answer this: the agent {agent} fell {times} at the same place of it. The message was \
             set aside; `creel inbox` shows it to the operator, and `creel logs agent:{agent}` says why."
        );
        return end_here(core, &claimed, TurnOutcome::Failed, Some(sentence), None, true).await;
    }
    if claimed.fresh && claimed.input.iter().all(|input| input.text.trim().is_empty()) {
        let told = Reply { text: "A new session begins.".to_owned(), attachments: Vec::new() };
        return end_here(core, &claimed, TurnOutcome::Done, None, Some(told), false).await;
    }
    start(core, claimed).await
}

/// Ends a turn that no agent has.
async fn end_here(
    core: &Arc<Core>,
    claimed: &Claimed,
    outcome: TurnOutcome,
    error: Option<String>,
    reply: Option<Reply>,
    parked: bool,
) -> Option<bool> {
    let finish = Finish {
        outcome,
        error,
        replies: reply.into_iter().collect(),
        usage: Usage::default(),
        parked,
        now_ms: now_ms(),
    };
    finish_turn(core, &claimed.turn, finish).await.map(|finished| finished.pending > 0)
}

/// Makes the end of a turn durable and tells everybody. `None` when it was refused or could not be written.
async fn finish_turn(core: &Arc<Core>, turn: &TurnRef, finish: Finish) -> Option<Finished> {
    let (named, ending) = (turn.clone(), finish.clone());
    let finished = core.desk.write(move |store| store.finish_turn(&named, &ending)).await;
    core.note_store(&finished);
    match finished {
        Ok(finished) => {
            announce(core, &finished, finish);
            Some(finished)
        }
        Err(error) => {
            tracing::error!("The end of turn {} was not stored: {error}", turn.turn);
            None
        }
    }
}

/// Tells clients and the pump of an end that is durable.
pub(crate) fn announce(core: &Arc<Core>, finished: &Finished, finish: Finish) {
    if finished.already {
        return;
    }
    core.vitals.progress();
    core.state().phases.note(&finished.lane, Happening::Ended);
    if let Some(account) = &finished.account {
        core.wake_pump(account);
    }
    let text: Vec<String> = finish.replies.into_iter().map(|reply| reply.text).collect();
    core.tell(CoreEvent::RunEnded {
        run: finished.run.clone(),
        session_key: finished.lane.clone(),
        outcome: finish.outcome,
        error: finish.error,
        text: text.join("\n\n"),
        usage: finish.usage,
    });
    core.tell(CoreEvent::SessionChanged { key: finished.lane.clone() });
}

async fn start(core: &Arc<Core>, claimed: Claimed) -> Option<bool> {
    let Some((link, signals)) = register(core, &claimed, None) else {
        core.state().phases.note(&claimed.lane, Happening::Lost);
        return Some(true);
    };
    let settings = core.settings();
    let channel = claimed.route.as_ref().map(|_| channel_of(&claimed.account).to_owned());
    let params = TurnStartParams {
        turn: claimed.turn.clone(),
        session: SessionRef {
            key: claimed.lane.clone(),
            id: claimed.session_id.clone(),
            main: claimed.lane == route::main_key(&settings.config, &claimed.agent),
            chat_kind: claimed.kind.clone(),
            channel,
        },
        input: claimed.input.clone(),
        history: claimed.history,
        journal: claimed.journal,
        model: claimed.model.clone(),
        thinking: claimed.settings.thinking.clone(),
    };
    let files: Vec<_> = claimed.input.iter().flat_map(|input| input.attachments.clone()).collect();
    let (from, to) = (channel_unit(&claimed.account), agent_unit(&claimed.agent));
    for missing in settings.blobs.hand_over(&from, &to, &files).await {
        tracing::warn!("{}", missing.sentence);
    }
    match begin(core, &link, &params).await {
        Ok(()) => core.state().phases.note(&claimed.lane, Happening::Begun),
        Err(CallError::Closed { .. }) => return lost(core, &claimed).await,
        Err(error) => {
            core.state().turns.remove(&claimed.turn.turn);
            let sentence = format!("The agent {} refused the message: {error}", claimed.agent);
            return end_here(core, &claimed, TurnOutcome::Failed, Some(sentence), None, false).await;
        }
    }
    wait(core, claimed, link, signals).await
}

/// Hands the turn to its agent. An agent that is busy is asked again: that is no fall of it.
async fn begin(core: &Core, link: &Link, params: &TurnStartParams) -> Result<(), CallError> {
    loop {
        let wait = match link.call::<TurnStart>(params).await {
            Ok(_) => return Ok(()),
            Err(CallError::Refused(error))
                if matches!(error.class(), ErrorClass::Transient | ErrorClass::RetryAfter) =>
            {
                let wait = error.data.as_ref().and_then(|data| data.retry_after_ms);
                wait.map_or(RETRY, |ms| Duration::from_millis(ms.min(60_000)))
            }
            Err(error) => return Err(error),
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = core.stopping.cancelled() => return Err(CallError::Closed { method: TurnStart::METHOD }),
        }
    }
}

/// Goes on with a turn that its agent still runs, under a gateway that took over.
pub(crate) async fn adopted(
    core: Arc<Core>,
    mut claimed: Claimed,
    link: Link,
    signals: mpsc::Receiver<Signal>,
) {
    if claimed.settings.silent {
        claimed.route = None;
    }
    let lane = claimed.lane.clone();
    core.state().phases.note(&lane, Happening::Begun);
    let more = wait(&core, claimed, link, signals).await;
    leave(&core, &lane, more);
}

/// Notes the turn as running. `None` when its agent is not there, or not in the life that is meant.
pub(crate) fn register(
    core: &Arc<Core>,
    claimed: &Claimed,
    life: Option<u64>,
) -> Option<(Link, mpsc::Receiver<Signal>)> {
    let (signal, signals) = mpsc::channel(8);
    let link = {
        let mut state = core.state();
        let worker = state.workers.get(&agent_unit(&claimed.agent)).filter(|worker| {
            !worker.link.is_closed() && life.is_none_or(|life| life == worker.incarnation)
        })?;
        let (link, incarnation) = (worker.link.clone(), worker.incarnation);
        let running = Running {
            run: claimed.run.clone(),
            lane: claimed.lane.clone(),
            agent: claimed.agent.clone(),
            incarnation,
            account: claimed.account.clone(),
            route: claimed.route.clone().filter(|_| !claimed.settings.silent),
            authors: claimed.input.iter().map(|message| message.author.clone()).collect(),
            draft: String::new(),
            answer_from: 0,
            drafted: None,
            signal,
        };
        state.turns.insert(claimed.turn.turn.clone(), running);
        link
    };
    core.tell(CoreEvent::RunStarted {
        run: claimed.run.clone(),
        session_key: claimed.lane.clone(),
        agent: claimed.agent.clone(),
        channel: claimed.route.as_ref().map(|_| channel_of(&claimed.account).to_owned()),
        at_ms: now_ms(),
    });
    Some((link, signals))
}

async fn wait(
    core: &Arc<Core>,
    claimed: Claimed,
    link: Link,
    mut signals: mpsc::Receiver<Signal>,
) -> Option<bool> {
    let limit = core.settings().config.agent(&claimed.agent).map_or(600, |agent| agent.timeout_seconds);
    let mut deadline = Instant::now() + Duration::from_secs(u64::from(limit)) + GRACE;
    let mut ending: Option<TurnOutcome> = None;
    let mut asked_at: Option<Instant> = None;
    let mut typing = tokio::time::interval(TYPING_EVERY);
    typing.set_missed_tick_behavior(MissedTickBehavior::Delay);
    if !core.holds_lane(&claimed) {
        // It was lost before the turn could be told.
        return fenced(core, &claimed, &link);
    }
    let more = loop {
        tokio::select! {
            biased;
            signal = signals.recv() => match signal {
                Some(Signal::Done { pending }) => break Some(pending > 0),
                Some(Signal::Lost) | None => return lost(core, &claimed).await,
                Some(Signal::Fenced) => return fenced(core, &claimed, &link),
                Some(Signal::Abort) if ending.is_none() => {
                    ending = Some(TurnOutcome::Aborted);
                    deadline = Instant::now() + ABORT_WITHIN;
                    abort(&link, &claimed.turn);
                }
                Some(Signal::Abort) => {}
                Some(Signal::Asked) => {
                    asked_at.get_or_insert_with(Instant::now);
                    show_typing(core, &claimed, false);
                }
                Some(Signal::Answered) => {
                    deadline += asked_at.take().map_or(Duration::ZERO, |since| since.elapsed());
                    show_typing(core, &claimed, true);
                }
            },
            () = tokio::time::sleep_until(deadline), if asked_at.is_none() || ending.is_some() => match ending {
                None => {
                    ending = Some(TurnOutcome::TimedOut);
                    deadline = Instant::now() + ABORT_WITHIN;
                    abort(&link, &claimed.turn);
                }
                Some(outcome) => {
                    let sentence = format!("The agent {} did not end this in time.", claimed.agent);
                    break end_here(core, &claimed, outcome, Some(sentence), None, false).await;
                }
            },
            _ = typing.tick() => show_typing(core, &claimed, asked_at.is_none()),
            () = core.stopping.cancelled() => return Some(true),
        }
    };
    show_typing(core, &claimed, false);
    core.state().turns.remove(&claimed.turn.turn);
    more
}

/// An agent is gone that had the turn: one of its falls, unless this gateway is what ends.
async fn lost(core: &Arc<Core>, claimed: &Claimed) -> Option<bool> {
    if core.stopping.is_cancelled() {
        return Some(true);
    }
    tracing::warn!(
        "The agent {} is gone in the middle of turn {}; it will be taken up again from its journal.",
        claimed.agent,
        claimed.turn.turn
    );
    {
        let mut state = core.state();
        state.phases.note(&claimed.lane, Happening::Lost);
        let incarnation = state.turns.remove(&claimed.turn.turn).map(|running| running.incarnation);
        // Until its link's own task has noticed, too, nothing more is started on it.
        let worker = state.workers.get_mut(&agent_unit(&claimed.agent));
        if let Some(worker) = worker.filter(|worker| Some(worker.incarnation) == incarnation) {
            worker.ready = false;
        }
    }
    let turn = claimed.turn.clone();
    let noted = core.desk.write(move |store| store.fell(&turn)).await;
    core.note_store(&noted);
    if let Err(error) = noted {
        tracing::warn!("This fall of {} is not counted: {error}", claimed.agent);
    }
    Some(true)
}

/// Another host may be at the lane: the agent drops the turn, and nothing more is said of it here.
fn fenced(core: &Arc<Core>, claimed: &Claimed, link: &Link) -> Option<bool> {
    tracing::warn!("The turn {} is left to the host that has its lane now.", claimed.turn.turn);
    abort(link, &claimed.turn);
    let mut state = core.state();
    state.phases.note(&claimed.lane, Happening::Lost);
    state.turns.remove(&claimed.turn.turn);
    Some(false)
}

fn abort(link: &Link, turn: &TurnRef) {
    let (link, turn) = (link.clone(), turn.clone());
    tokio::spawn(async move {
        if let Err(error) = link.call::<TurnAbort>(&turn).await {
            tracing::warn!("The turn {} could not be aborted: {error}", turn.turn);
        }
    });
}

fn show_typing(core: &Arc<Core>, claimed: &Claimed, on: bool) {
    let Some(route) = claimed.route.clone() else { return };
    if let Some(worker) = core.state().workers.get(&channel_unit(&claimed.account)).filter(|w| w.ready) {
        worker.link.offer::<Typing>(&Typing { route, on });
    }
}

/// The channel of an account such as `telegram:default`.
fn channel_of(account: &str) -> &str {
    account.split(':').next().unwrap_or(account)
}
