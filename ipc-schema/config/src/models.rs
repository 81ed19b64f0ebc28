//! `models`: the providers and what their models can do.

use std::collections::BTreeMap;

use creel_ipc::Secret;

use crate::endpoint::BaseUrl;
use crate::noun::{noun, within, within_if_given, word};
use crate::scalar::Id;

noun! {
    /// The providers.
    pub struct Models {
        /// By id; the id is the part before the slash in a model's name.
        "providers" => providers: BTreeMap<Id, Provider> = BTreeMap::new();
    }
}

noun! {
    /// One provider. For ids that Creel knows, everything but the key may be left out.
    pub struct Provider {
        /// Where it is reached.
        "baseUrl" => base_url: Option<BaseUrl> = None;
        /// Which protocol it speaks.
        "api" => api: Option<Api> = None;
        /// The key.
        "apiKey" => api_key: Option<Secret> = None;
        /// Further headers of each request.
        "headers" => headers: BTreeMap<String, Secret> = BTreeMap::new();
        /// The models, for providers that do not list them.
        "models" => models: Vec<Model> = Vec::new();
    }
}

word! {
    /// The protocol of a provider.
    pub enum Api = OpenaiCompletions {
        /// Anthropic's Messages.
        "anthropic-messages" => AnthropicMessages,
        /// OpenAI's chat completions, which many others speak too.
        "openai-completions" => OpenaiCompletions,
        /// Built in: answers without any network.
        "demo" => Demo,
    }
}

noun! {
    /// One model.
    pub struct Model {
        /// The name that the provider knows.
        "id" => id: String = String::new();
        /// A name for people.
        "name" => name: Option<String> = None;
        /// Tokens that fit into one request and its answer.
        "contextWindow" => context_window: Option<u32> = None, check within_if_given(1, 100_000_000);
        /// Tokens of the longest answer.
        "maxTokens" => max_tokens: Option<u32> = None, check within_if_given(1, 100_000_000);
        /// Whether it thinks before it answers.
        "reasoning" => reasoning: bool = false;
        /// What it reads.
        "input" => input: Vec<Input> = vec![Input::Text];
        /// US dollars for a million tokens.
        "cost" => cost: Cost = Cost::default();
    }
}

word! {
    /// What a model reads.
    pub enum Input = Text {
        /// Text.
        "text" => Text,
        /// Pictures.
        "image" => Image,
    }
}

noun! {
    /// US dollars for a million tokens.
    pub struct Cost {
        /// Tokens of the request.
        "input" => input: f64 = 0.0, check within(0.0, 1e6);
        /// Tokens of the answer.
        "output" => output: f64 = 0.0, check within(0.0, 1e6);
        /// Tokens read from the provider's cache.
        "cacheRead" => cache_read: f64 = 0.0, check within(0.0, 1e6);
        /// Tokens written to the provider's cache.
        "cacheWrite" => cache_write: f64 = 0.0, check within(0.0, 1e6);
    }
}

/// The providers that need no address: id, protocol, address.
pub const KNOWN_PROVIDERS: &[(&str, Api, &str)] = &[
    ("anthropic", Api::AnthropicMessages, "https://api.anthropic.com"),
    ("openai", Api::OpenaiCompletions, "https://api.openai.com/v1"),
    ("ollama", Api::OpenaiCompletions, "http://127.0.0.1:11434/v1"),
    ("openrouter", Api::OpenaiCompletions, "https://openrouter.ai/api/v1"),
    ("deepseek", Api::OpenaiCompletions, "https://api.deepseek.com"),
    ("groq", Api::OpenaiCompletions, "https://api.groq.com/openai/v1"),
    ("mistral", Api::OpenaiCompletions, "https://api.mistral.ai/v1"),
    ("demo", Api::Demo, ""),
];

/// Protocol and address of a provider that Creel knows. `demo` has no address.
pub fn known_provider(id: &str) -> Option<(Api, Option<BaseUrl>)> {
    KNOWN_PROVIDERS
        .iter()
        .find(|(known, ..)| *known == id)
        .map(|(_, api, url)| (*api, BaseUrl::parse(url).ok()))
}

impl Provider {
    /// The protocol: the given one, the known one of this id, or `openai-completions`.
    pub fn effective_api(&self, id: &str) -> Api {
        self.api.or_else(|| known_provider(id).map(|(api, _)| api)).unwrap_or_default()
    }

    /// The address: the given one, or the known one of this id. Only `demo` needs none.
    pub fn effective_url(&self, id: &str) -> Option<BaseUrl> {
        self.base_url.clone().or_else(|| known_provider(id).and_then(|(_, url)| url))
    }
}
