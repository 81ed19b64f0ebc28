//! Carries out what the turn's core decides.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use creel_ipc::msg::agent::{
    AgentConfig, Decision, ToolPhase, TurnDelta, TurnModel, TurnOutcome, TurnStartParams, TurnTool,
};
use creel_link::{Busy, Link, Vitals};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::action::{Action, Call, Ending, Input, Timer};
use super::alarm::Alarm;
use super::core::Core;
use super::deltas::Deltas;
use super::farewell::{end, ending};
use super::journal::{Journal, refused};
use super::model_call::{self, Prompt};
use super::prepare::{Unready, prepare};
use super::tool_call::{self, Runs};
use crate::model::Ev;
use crate::model::http::Http;
use crate::tools::truncate;

/// Characters of a tool's result that are shown to whoever watches.
const SHOWN_RESULT: usize = 4000;

/// What every turn of this worker uses.
#[derive(Debug, Clone)]
pub struct Desk {
    /// The gateway.
    pub link: Link,
    /// Progress and work, as the gateway's pings see it.
    pub vitals: Vitals,
    /// The way to providers.
    pub http: Arc<Http>,
    /// Commands that run.
    pub runs: Runs,
    /// Where attachments lie.
    pub blobs: Option<PathBuf>,
    /// Between two words of the demo model.
    pub demo_pace: Duration,
}

/// Runs a turn from its start to the gateway's receipt of its end.
pub async fn run(
    desk: Desk,
    config: Arc<AgentConfig>,
    start: TurnStartParams,
    epoch: Arc<AtomicU64>,
    mut abort: watch::Receiver<bool>,
) {
    let journal = Journal::new(desk.link.clone(), &start.turn.turn, epoch);
    let turn: Arc<str> = start.turn.turn.as_str().into();
    let limit = Duration::from_millis(config.turn_timeout_ms);
    let busy = desk.vitals.busy();
    let prepared = tokio::select! {
        prepared = tokio::time::timeout(limit, prepare(&desk, &config, &start, &journal)) => prepared,
        () = raised(&mut abort) => Ok(Err(Unready::Aborted)),
    };
    let (core, prompt) = match prepared {
        Ok(Ok(prepared)) => prepared,
        Ok(Err(Unready::Sentence(sentence))) => {
            return end(&journal, ending(TurnOutcome::Failed, Some(sentence))).await;
        }
        Ok(Err(Unready::Aborted)) => return end(&journal, ending(TurnOutcome::Aborted, None)).await,
        Ok(Err(Unready::Gateway(error))) => match refused(&error) {
            Input::Refused { reason } => {
                let sentence = format!("The conversation could not be read. {reason}");
                return end(&journal, ending(TurnOutcome::Failed, Some(sentence))).await;
            }
            _ => return tracing::info!(turn = &*turn, %error, "the turn is somebody else's"),
        },
        Err(_) => {
            let sentence = "The conversation could not be read in the time of the turn.".to_owned();
            return end(&journal, ending(TurnOutcome::TimedOut, Some(sentence))).await;
        }
    };
    drop(busy);
    let drive = Drive::new(desk, config, turn, journal.clone(), prompt);
    if let Some(ended) = drive.run(core, abort).await {
        end(&journal, ended).await;
    }
}

/// Waits until somebody wants the turn to stop. Forever, when nobody can want it any more.
async fn raised(abort: &mut watch::Receiver<bool>) {
    if abort.wait_for(|abort| *abort).await.is_err() {
        std::future::pending::<()>().await;
    }
}

struct Drive {
    desk: Desk,
    config: Arc<AgentConfig>,
    turn: Arc<str>,
    journal: Journal,
    prompt: Arc<Prompt>,
    sender: mpsc::Sender<Input>,
    inbox: mpsc::Receiver<Input>,
    writes: JoinSet<()>,
    tools: JoinSet<()>,
    running: HashMap<u32, (Call, Instant)>,
    asking: Option<AbortHandle>,
    model: JoinSet<()>,
    timers: HashMap<Timer, Instant>,
    alarm: Alarm,
    deltas: Deltas,
    busy: Option<Busy>,
}

impl Drive {
    fn new(desk: Desk, config: Arc<AgentConfig>, turn: Arc<str>, journal: Journal, prompt: Prompt) -> Self {
        let (sender, inbox) = mpsc::channel(64);
        Self {
            deltas: Deltas::new(turn.as_ref().to_owned()),
            prompt: Arc::new(prompt),
            writes: JoinSet::new(),
            tools: JoinSet::new(),
            model: JoinSet::new(),
            running: HashMap::new(),
            timers: HashMap::new(),
            alarm: Alarm::default(),
            asking: None,
            busy: None,
            desk,
            config,
            turn,
            journal,
            sender,
            inbox,
        }
    }

    async fn run(mut self, mut core: Core, mut abort: watch::Receiver<bool>) -> Option<Ending> {
        let mut aborted = false;
        let mut actions = core.begin(now_ms());
        loop {
            for action in actions {
                match action {
                    Action::Finish(ended) => {
                        self.flush();
                        return Some(ended);
                    }
                    Action::Drop => {
                        self.cancel_tools();
                        return None;
                    }
                    action => self.perform(action),
                }
            }
            self.count_as_busy();
            // Text leaves here when it may, also while a fast model leaves the alarm no time to ring.
            let now = Instant::now();
            self.flush_due(now);
            let next = self.timers.values().copied().chain(self.deltas.due()).min();
            self.alarm.set(next.unwrap_or(now + Duration::from_secs(3600)));
            let input = tokio::select! {
                biased;
                () = raised(&mut abort), if !aborted => {
                    aborted = true;
                    Some(Input::Abort)
                }
                input = self.inbox.recv() => input,
                () = self.alarm.rings() => self.due().map(Input::Timer),
            };
            actions = match input {
                Some(input) => {
                    self.desk.vitals.progress();
                    self.watch(&input);
                    core.take(input, now_ms())
                }
                None => Vec::new(),
            };
        }
    }

    fn perform(&mut self, action: Action) {
        // What is shown keeps its order: text before the tool that it announces.
        if !matches!(action, Action::Delta(..) | Action::Timer(..)) {
            self.flush();
        }
        match action {
            Action::Ask { attempt, model, messages, again } => {
                if let Some(model) = self.prompt.models.get(model) {
                    self.desk.link.offer::<TurnModel>(&TurnModel {
                        turn: self.turn.as_ref().to_owned(),
                        provider: model.provider.clone(),
                        model: model.id.clone(),
                        again,
                    });
                }
                let call = model_call::run(
                    Arc::clone(&self.prompt),
                    Arc::clone(&self.desk.http),
                    self.desk.demo_pace,
                    (attempt, model, messages),
                    self.sender.clone(),
                );
                self.asking = Some(self.model.spawn(call));
            }
            Action::CancelAsk => {
                if let Some(asking) = self.asking.take() {
                    asking.abort();
                }
            }
            Action::Delta(kind, text) => {
                if let Some(before) = self.deltas.push(kind, text) {
                    self.desk.link.offer::<TurnDelta>(&before);
                }
            }
            Action::Begin(call) => {
                let journal = self.journal.clone();
                self.write(async move { journal.begin(call).await });
            }
            Action::End { step, entry } => {
                let journal = self.journal.clone();
                self.write(async move { journal.end(step, entry).await });
            }
            Action::Run(call, trust) => {
                self.show(&call, ToolPhase::Start { arguments: call.arguments.clone() });
                self.running.insert(call.step, (call.clone(), Instant::now()));
                let sender = self.sender.clone();
                let step = call.step;
                let (link, runs) = (self.desk.link.clone(), self.desk.runs.clone());
                let tool =
                    tool_call::run(link, runs, Arc::clone(&self.config), Arc::clone(&self.turn), call, trust);
                self.tools.spawn(async move {
                    let input = match tool.await {
                        Some(outcome) => Input::Ran { step, outcome },
                        None => Input::Doubtful { step },
                    };
                    // Nobody listens any more when the turn is over.
                    let _over = sender.send(input).await;
                });
            }
            Action::Consult(call) => {
                let (journal, sender) = (self.journal.clone(), self.sender.clone());
                // A wait for people is like one for a tool: it may take long, and ends with the turn.
                self.tools.spawn(async move {
                    let input = journal.consult(call).await;
                    let _over = sender.send(input).await;
                });
            }
            Action::CancelTools => self.cancel_tools(),
            Action::Timer(timer, Some(ms)) => {
                self.timers.insert(timer, Instant::now() + Duration::from_millis(ms));
            }
            Action::Timer(timer, None) => {
                self.timers.remove(&timer);
            }
            // Handled by the loop.
            Action::Finish(_) | Action::Drop => {}
        }
    }

    fn write(&mut self, write: impl Future<Output = Input> + Send + 'static) {
        let sender = self.sender.clone();
        self.writes.spawn(async move {
            let input = write.await;
            // Nobody listens any more when the turn is over.
            let _over = sender.send(input).await;
        });
    }

    fn cancel_tools(&mut self) {
        self.tools.abort_all();
        for (step, (call, _)) in self.running.drain() {
            if call.name == "exec" {
                // Outlives the turn: the command must die even when the turn is over first.
                tokio::spawn(tool_call::kill(self.desk.link.clone(), tool_call::run_id(&self.turn, step)));
            }
        }
    }

    /// Tells whoever watches about a tool that is done, and the log about a model that failed.
    fn watch(&mut self, input: &Input) {
        if let Input::Model { events, .. } = input
            && let Some(Ev::Fail(error)) = events.last()
        {
            tracing::warn!(turn = &*self.turn, class = ?error.class, %error, "a model call failed");
        }
        match input {
            Input::Ran { step, outcome } => self.show_end(*step, &outcome.text, outcome.is_error),
            Input::Decided { step, decision } if *decision != Decision::Again => {
                self.show_end(*step, "It was interrupted, and is not run again.", true);
            }
            _ => {}
        }
    }

    fn show_end(&mut self, step: u32, text: &str, is_error: bool) {
        let Some((call, since)) = self.running.remove(&step) else { return };
        let text = truncate::head(text, SHOWN_RESULT).to_owned();
        let duration_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.show(&call, ToolPhase::End { text, is_error, duration_ms });
    }

    fn show(&mut self, call: &Call, phase: ToolPhase) {
        self.desk.link.offer::<TurnTool>(&TurnTool {
            turn: self.turn.as_ref().to_owned(),
            call_id: call.id.clone(),
            name: call.name.clone(),
            phase,
        });
    }

    fn flush(&mut self) {
        if let Some(delta) = self.deltas.flush()
            && !self.desk.link.offer::<TurnDelta>(&delta)
        {
            self.deltas.put_back(delta);
        }
    }

    /// Takes a timer that is due.
    fn due(&mut self) -> Option<Timer> {
        let now = Instant::now();
        let (timer, _) = self.timers.iter().find(|(_, at)| **at <= now)?;
        let timer = *timer;
        self.timers.remove(&timer);
        Some(timer)
    }

    fn flush_due(&mut self, now: Instant) {
        if self.deltas.due().is_some_and(|at| at <= now) {
            self.flush();
        }
    }

    /// Waiting for a model or a tool is no work: those waits have timers of their own. Everything else must get on.
    fn count_as_busy(&mut self) {
        self.reap();
        let waits =
            !self.model.is_empty() || !self.tools.is_empty() || self.timers.contains_key(&Timer::Retry);
        if waits {
            self.busy = None;
        } else if self.busy.is_none() {
            self.busy = Some(self.desk.vitals.busy());
        }
    }

    fn reap(&mut self) {
        for tasks in [&mut self.writes, &mut self.tools, &mut self.model] {
            while tasks.try_join_next().is_some() {}
        }
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
