//! Carries out what the turn's core decides.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use creel_ipc::msg::agent::{
    AgentConfig, Model, Reply, ToolPhase, TurnDelta, TurnDoneParams, TurnModel, TurnOutcome, TurnStartParams,
    TurnTool,
};
use creel_ipc::msg::transcript::Usage;
use creel_link::{CallError, Link, Vitals};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::action::{Action, Call, Ending, Input, Timer};
use super::core::{Core, Setup};
use super::deltas::Deltas;
use super::journal::{Journal, refused};
use super::model_call::{self, Prompt};
use super::tool_call::{self, Runs};
use super::{tokens, window};
use crate::model::http::Http;
use crate::prompt;
use crate::prompt::input::is_image;
use crate::tools::workspace::Workspace;
use crate::tools::{self, truncate};

/// Characters of a tool's result that are shown to whoever watches.
const SHOWN_RESULT: usize = 4000;
/// Bytes of an image that is sent to a model.
const MAX_IMAGE: u64 = 5 * 1024 * 1024;

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

enum Unready {
    Aborted,
    Sentence(String),
    Gateway(CallError),
}

impl From<CallError> for Unready {
    fn from(error: CallError) -> Self {
        Self::Gateway(error)
    }
}

async fn prepare(
    desk: &Desk,
    config: &Arc<AgentConfig>,
    start: &TurnStartParams,
    journal: &Journal,
) -> Result<(Core, Prompt), Unready> {
    let models = models(config, start.model.as_deref()).map_err(Unready::Sentence)?;
    let notes = {
        let (workspace, main) = (config.workspace.clone(), start.session.main);
        tokio::task::spawn_blocking(move || {
            Workspace::open(&workspace).map(|workspace| prompt::notes(&workspace, main))
        })
        .await
    };
    let notes = match notes {
        Ok(Ok(notes)) => notes,
        Ok(Err(error)) => {
            // An agent without files can still talk.
            tracing::warn!(%error, "the workspace's files are not read");
            Vec::new()
        }
        Err(_) => Vec::new(),
    };
    let system = prompt::system(config, &start.session, &notes, &jiff::Zoned::now());
    let tools = tools::offered(&config.tools);
    let overhead = tokens::of_text(&system)
        + tools
            .iter()
            .map(|t| tokens::of_text(&t.schema.to_string()) + tokens::of_text(t.description))
            .sum::<u64>();
    let room = models.iter().map(|model| window::budget(model, overhead)).max().unwrap_or(0);
    let history = if start.history > 0 { journal.history(room).await? } else { Vec::new() };
    let steps = if start.journal > 0 { journal.steps().await? } else { Vec::new() };
    let sees = models.iter().any(|model| model.images);
    let group = start.session.chat_kind != "direct";
    let input = prompt::input::entry(&start.input, group, sees);
    let images = if sees { images(desk, start).await } else { Default::default() };
    let api =
        |model: &Model| config.providers.get(&model.provider).map_or_else(String::new, |p| p.api.clone());
    let core = Core::new(Setup {
        models: models.iter().map(|model| (model.clone(), api(model))).collect(),
        history,
        input,
        journal: steps,
        overhead,
        max_iterations: config.max_iterations,
        turn_ms: config.turn_timeout_ms,
        first_byte_ms: config.first_byte_ms,
        inactivity_ms: config.inactivity_ms,
    });
    Ok((core, Prompt { config: Arc::clone(config), models, system, tools, images }))
}

/// The models to try. One that a person chose is taken strictly: nobody else answers in its place.
fn models(config: &AgentConfig, chosen: Option<&str>) -> Result<Vec<Model>, String> {
    let Some(chosen) = chosen else { return Ok(config.models.clone()) };
    let name = |model: &Model| format!("{}/{}", model.provider, model.id);
    if let Some(model) = config.models.iter().find(|model| name(model) == chosen || model.id == chosen) {
        return Ok(vec![model.clone()]);
    }
    let known = chosen
        .split_once('/')
        .filter(|(provider, id)| config.providers.contains_key(*provider) && !id.is_empty());
    match known {
        // Not in the configuration: a window that nearly every current model has.
        Some((provider, id)) => Ok(vec![Model {
            provider: provider.to_owned(),
            id: id.to_owned(),
            context_window: 128_000,
            max_tokens: 8_192,
            reasoning: false,
            images: false,
        }]),
        None => {
            let models: Vec<String> = config.models.iter().map(name).collect();
            Err(format!(
                "The session asks for the model `{chosen}`, which is not configured. Choose one of: {}.",
                models.join(", ")
            ))
        }
    }
}

async fn images(desk: &Desk, start: &TurnStartParams) -> crate::model::Images {
    let Some(folder) = desk.blobs.clone() else { return Default::default() };
    let wanted: Vec<String> = start
        .input
        .iter()
        .flat_map(|message| &message.attachments)
        .filter(|file| is_image(&file.mime) && file.bytes <= MAX_IMAGE)
        .map(|file| file.sha256.clone())
        .collect();
    let read = tokio::task::spawn_blocking(move || {
        use base64::Engine;
        let workspace = folder.to_str().and_then(|folder| Workspace::open(folder).ok());
        let read = |sha256: String| {
            let (file, _) = workspace.as_ref()?.read(&format!("in/{sha256}")).ok()?;
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::Read::take(file, MAX_IMAGE), &mut bytes).ok()?;
            Some((sha256, base64::engine::general_purpose::STANDARD.encode(bytes)))
        };
        wanted.into_iter().filter_map(read).collect()
    });
    read.await.unwrap_or_default()
}

fn ending(outcome: TurnOutcome, error: Option<String>) -> Ending {
    Ending { outcome, error, replies: Vec::new(), usage: Usage::default() }
}

async fn end(journal: &Journal, ended: Ending) {
    let replies: Vec<Reply> =
        ended.replies.into_iter().map(|text| Reply { text, attachments: Vec::new() }).collect();
    let done = journal
        .done(|turn| TurnDoneParams {
            turn,
            outcome: ended.outcome,
            error: ended.error.clone(),
            replies: replies.clone(),
            usage: ended.usage,
        })
        .await;
    match done.as_ref().map_err(refused) {
        Ok(()) | Err(Input::Lost) => {}
        Err(_) => {
            let error = done.err().map_or_else(String::new, |error| error.to_string());
            tracing::error!(error, "the end of the turn was refused");
            // Most likely the replies are too much for a frame.
            let sentence = format!("The answer could not be handed over. {error}");
            let short = journal
                .done(|turn| TurnDoneParams {
                    turn,
                    outcome: TurnOutcome::Failed,
                    error: Some(sentence.clone()),
                    replies: Vec::new(),
                    usage: ended.usage,
                })
                .await;
            if let Err(error) = short {
                tracing::error!(%error, "the end of the turn was refused again");
            }
        }
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
    deltas: Deltas,
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
            asking: None,
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
            let input = tokio::select! {
                biased;
                () = raised(&mut abort), if !aborted => {
                    aborted = true;
                    Some(Input::Abort)
                }
                input = self.inbox.recv() => input,
                timer = due(&self.timers, self.deltas.due()) => timer.map(Input::Timer),
            };
            self.reap();
            actions = match input {
                Some(input) => {
                    self.desk.vitals.progress();
                    self.watch(&input);
                    if let Input::Timer(timer) = &input {
                        self.timers.remove(timer);
                    }
                    core.take(input, now_ms())
                }
                None => {
                    self.flush();
                    Vec::new()
                }
            };
        }
    }

    fn perform(&mut self, action: Action) {
        // What is shown keeps its order: text before the tool that it announces.
        if !matches!(action, Action::Delta(..) | Action::Timer(..)) {
            self.flush();
        }
        match action {
            Action::Ask { attempt, model, messages } => {
                if let Some(model) = self.prompt.models.get(model) {
                    self.desk.link.offer::<TurnModel>(&TurnModel {
                        turn: self.turn.as_ref().to_owned(),
                        provider: model.provider.clone(),
                        model: model.id.clone(),
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
                    let outcome = tool.await;
                    // Nobody listens any more when the turn is over.
                    let _over = sender.send(Input::Ran { step, outcome }).await;
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

    /// Tells whoever watches about a tool that is done.
    fn watch(&mut self, input: &Input) {
        if let Input::Ran { step, outcome } = input
            && let Some((call, since)) = self.running.remove(step)
        {
            let text = truncate::head(&outcome.text, SHOWN_RESULT).to_owned();
            let duration_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.show(&call, ToolPhase::End { text, is_error: outcome.is_error, duration_ms });
        }
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

    fn reap(&mut self) {
        for tasks in [&mut self.writes, &mut self.tools, &mut self.model] {
            while tasks.try_join_next().is_some() {}
        }
    }
}

/// Waits for the next timer, or (`None`) for the moment when text should leave.
async fn due(timers: &HashMap<Timer, Instant>, text: Option<Instant>) -> Option<Timer> {
    let first = timers.iter().min_by_key(|(_, at)| **at);
    match (first, text) {
        (Some((_, at)), Some(text)) if text <= *at => {
            tokio::time::sleep_until(text).await;
            None
        }
        (Some((timer, at)), _) => {
            tokio::time::sleep_until(*at).await;
            Some(*timer)
        }
        (None, Some(text)) => {
            tokio::time::sleep_until(text).await;
            None
        }
        (None, None) => std::future::pending().await,
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
