//! One model call at the edge: HTTP, or the built-in demo.

use std::sync::Arc;
use std::time::Duration;

use creel_ipc::msg::agent::{AgentConfig, Model};
use creel_ipc::msg::transcript::Entry;
use tokio::sync::mpsc;

use super::action::Input;
use crate::model::http::Http;
use crate::model::{Ask, Class, Ev, Images, ModelError, Sink, ToolSpec, demo};

/// What all calls of a turn have in common.
#[derive(Debug)]
pub struct Prompt {
    /// The agent.
    pub config: Arc<AgentConfig>,
    /// The models of the turn.
    pub models: Vec<Model>,
    /// How much they think.
    pub thinking: Option<String>,
    /// The system prompt.
    pub system: String,
    /// Tools on offer.
    pub tools: Vec<ToolSpec>,
    /// Images of the input.
    pub images: Images,
}

/// The turn's inbox, as one call sees it.
struct Inbox {
    attempt: u64,
    inbox: mpsc::Sender<Input>,
}

impl Sink for Inbox {
    async fn send(&self, events: Vec<Ev>) -> bool {
        // A turn that is over has no inbox any more: then nobody wants to hear.
        self.inbox.send(Input::Model { attempt: self.attempt, events }).await.is_ok()
    }
}

/// Carries out call `attempt`; its events go to `inbox`, the last one being an end or a failure.
pub async fn run(
    prompt: Arc<Prompt>,
    http: Arc<Http>,
    pace: Duration,
    (attempt, model, messages): (u64, usize, Vec<Entry>),
    inbox: mpsc::Sender<Input>,
) {
    let inbox = Inbox { attempt, inbox };
    let fail = |class, message: String| vec![Ev::Fail(ModelError::new(class, message))];
    let Some(model) = prompt.models.get(model) else {
        inbox.send(fail(Class::Unknown, "It is not configured".to_owned())).await;
        return;
    };
    let Some(provider) = prompt.config.providers.get(&model.provider) else {
        let known: Vec<&str> = prompt.config.providers.keys().map(String::as_str).collect();
        let message = format!("Its provider is not configured; there are: {}", known.join(", "));
        inbox.send(fail(Class::Format, message)).await;
        return;
    };
    let ask = Ask {
        provider_id: &model.provider,
        provider,
        model,
        thinking: prompt.thinking.as_deref(),
        system: &prompt.system,
        messages: &messages,
        tools: &prompt.tools,
        images: &prompt.images,
    };
    if provider.api != "demo" {
        if let Err(error) = http.stream(&ask, &inbox).await {
            inbox.send(vec![Ev::Fail(error)]).await;
        }
        return;
    }
    let events = demo::answer(&ask);
    if pace.is_zero() {
        inbox.send(events).await;
        return;
    }
    for event in events {
        if matches!(event, Ev::Text { .. }) {
            tokio::time::sleep(pace).await;
        }
        if !inbox.send(vec![event]).await {
            return;
        }
    }
}
