//! What a turn needs before it can begin: prompt, history, journal, images.

use std::sync::Arc;

use creel_ipc::msg::agent::{AgentConfig, Model, TurnStartParams};
use creel_link::CallError;

use super::core::{Core, Setup};
use super::drive::Desk;
use super::journal::Journal;
use super::model_call::Prompt;
use super::{tokens, window};
use crate::prompt::{self, input::is_image};
use crate::tools::{self, workspace::Workspace};

/// Bytes of an image that is sent to a model.
const MAX_IMAGE: u64 = 5 * 1024 * 1024;

/// Why a turn cannot begin.
pub(super) enum Unready {
    /// Somebody wants it to stop.
    Aborted,
    /// A sentence for the person.
    Sentence(String),
    /// The gateway refused what it needs.
    Gateway(CallError),
}

impl From<CallError> for Unready {
    fn from(error: CallError) -> Self {
        Self::Gateway(error)
    }
}

/// Gathers everything.
pub(super) async fn prepare(
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
    let thinking = start.thinking.clone().or_else(|| config.thinking.clone());
    Ok((core, Prompt { config: Arc::clone(config), models, thinking, system, tools, images }))
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
