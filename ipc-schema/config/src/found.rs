//! Providers that are found at start: by keys in the environment, or because Ollama answers on this machine.

use std::collections::BTreeMap;

use creel_ipc::Secret;

use crate::Env;
use crate::config::{Config, ResolvedAgent};
use crate::endpoint::BaseUrl;
use crate::models::{Api, KNOWN_PROVIDERS, Model, known_provider};
use crate::scalar::{Id, ModelRef};

/// The model of a provider when the operator names none.
const FIRST_MODELS: &[(&str, &str)] =
    &[("anthropic", "claude-sonnet-4-5"), ("openai", "gpt-5"), ("demo", "demo")];
const OLLAMA_PORT: u16 = 11434;

/// What was found, in the order of preference.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// Providers that are ready to be used.
    pub providers: Vec<FoundProvider>,
    /// Keys of the environment by provider, for providers that the file names without a key.
    pub keys: BTreeMap<String, Secret>,
}

/// One provider that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundProvider {
    /// Its id.
    pub id: Id,
    /// Its protocol.
    pub api: Api,
    /// Its address.
    pub url: Option<BaseUrl>,
    /// The models it offers, the first being the one to use; may be empty.
    pub models: Vec<String>,
    /// Whether only a probe of this machine showed it, and the operator wrote nothing of it.
    pub probed: bool,
}

/// Ollama answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OllamaAnswer {
    /// Where, as `host:port`.
    pub at: String,
    /// The models that it has.
    pub models: Vec<String>,
}

/// The variable in which whoever probed notes the answer for every process that plans.
pub const OLLAMA_NOTE: &str = "CREEL_OLLAMA_FOUND";

impl OllamaAnswer {
    /// The answer as one variable: the address, then the models, separated by spaces.
    pub fn note(&self) -> String {
        std::iter::once(&self.at).chain(&self.models).map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// The answer that was noted in an environment.
    pub fn noted(env: &Env) -> Option<Self> {
        let mut words = env.get(OLLAMA_NOTE)?.split_whitespace().map(str::to_owned);
        Some(Self { at: words.next()?, models: words.collect() })
    }
}

/// A provider as it is used: the file's words over what was found.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectiveProvider {
    /// Its protocol.
    pub api: Api,
    /// Its address; none for `demo`.
    pub url: Option<BaseUrl>,
    /// Its key.
    pub key: Option<Secret>,
    /// Further headers of each request.
    pub headers: BTreeMap<String, Secret>,
    /// What the file says of its models.
    pub models: Vec<Model>,
    /// See [`FoundProvider::probed`].
    pub probed: bool,
}

/// Looks through the environment and the answer of a probe. Pure; whoever calls does the probing.
///
/// `<PROVIDER>_API_KEY` gives a key, `ANTHROPIC_BASE_URL` and `OPENAI_BASE_URL` another address, `OLLAMA_HOST`
/// says where Ollama is.
pub fn discovered_providers(env: &Env, ollama: Option<&OllamaAnswer>) -> Found {
    let given = |name: &str| env.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    let mut found = Found::default();
    for (id, ..) in KNOWN_PROVIDERS {
        if let Some(key) = given(&format!("{}_API_KEY", id.to_uppercase())) {
            found.keys.insert((*id).to_owned(), Secret::new(key));
        }
    }
    for id in ["anthropic", "openai"] {
        if let (true, Some((api, url)), Some(name)) =
            (found.keys.contains_key(id), known_provider(id), Id::new(id))
        {
            let moved =
                given(&format!("{}_BASE_URL", id.to_uppercase())).and_then(|url| BaseUrl::parse(url).ok());
            let models =
                FIRST_MODELS.iter().filter(|(p, _)| *p == id).map(|(_, m)| (*m).to_owned()).collect();
            found.providers.push(FoundProvider { id: name, api, url: moved.or(url), models, probed: false });
        }
    }
    let written = given("OLLAMA_HOST").and_then(ollama_url);
    let probed = written.is_none();
    let url = written.or_else(|| ollama.and_then(|answer| ollama_url(&answer.at)));
    if let (Some(url), Some(id)) = (url, Id::new("ollama")) {
        let models = ollama.map(|answer| answer.models.clone()).unwrap_or_default();
        found.providers.push(FoundProvider {
            id,
            api: Api::OpenaiCompletions,
            url: Some(url),
            models,
            probed,
        });
    }
    found
}

/// `OLLAMA_HOST` may be a host, `host:port` or an address; the server's own "every address" means this machine.
fn ollama_url(text: &str) -> Option<BaseUrl> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let authority = rest.split('/').next()?;
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    let bare_v6 = authority.matches(':').count() > 1 && !authority.starts_with('[');
    let authority = match (has_port && !bare_v6, bare_v6) {
        (true, _) => authority.to_owned(),
        (false, true) => format!("[{authority}]:{OLLAMA_PORT}"),
        (false, false) => format!("{authority}:{OLLAMA_PORT}"),
    };
    let authority = authority.replacen("0.0.0.0:", "127.0.0.1:", 1).replacen("[::]:", "[::1]:", 1);
    BaseUrl::parse(&format!("{scheme}://{authority}/v1")).ok()
}

impl Found {
    /// The same without keys, for whoever only plans.
    #[must_use]
    pub fn without_keys(mut self) -> Self {
        self.keys.clear();
        self
    }
}

impl Config {
    /// Every provider that can be used. The file's words win over what was found; `demo` is there when nothing
    /// else is, or when a model names it.
    pub fn providers(&self, found: &Found) -> BTreeMap<Id, EffectiveProvider> {
        let mut all: BTreeMap<Id, EffectiveProvider> = BTreeMap::new();
        for provider in &found.providers {
            all.insert(
                provider.id.clone(),
                EffectiveProvider {
                    api: provider.api,
                    url: provider.url.clone(),
                    key: found.keys.get(provider.id.as_str()).cloned(),
                    headers: BTreeMap::new(),
                    models: Vec::new(),
                    probed: provider.probed,
                },
            );
        }
        for (id, written) in &self.models.providers {
            let before = all.remove(id);
            all.insert(
                id.clone(),
                EffectiveProvider {
                    api: written.effective_api(id),
                    url: written
                        .base_url
                        .clone()
                        .or_else(|| before.and_then(|found| found.url))
                        .or_else(|| written.effective_url(id)),
                    key: written.api_key.clone().or_else(|| found.keys.get(id.as_str()).cloned()),
                    headers: written.headers.clone(),
                    models: written.models.clone(),
                    probed: false,
                },
            );
        }
        for model in self.named_models() {
            if let (false, Some((api, url))) =
                (all.contains_key(&model.provider), known_provider(&model.provider))
            {
                all.insert(
                    model.provider.clone(),
                    EffectiveProvider {
                        api,
                        url,
                        key: found.keys.get(model.provider.as_str()).cloned(),
                        headers: BTreeMap::new(),
                        models: Vec::new(),
                        probed: false,
                    },
                );
            }
        }
        if let (true, Some(id)) = (all.is_empty(), Id::new("demo")) {
            all.insert(
                id,
                EffectiveProvider {
                    api: Api::Demo,
                    url: None,
                    key: None,
                    headers: BTreeMap::new(),
                    models: Vec::new(),
                    probed: false,
                },
            );
        }
        all
    }

    /// The models that an agent uses, the first being the one to ask first. Never empty: what the agent names,
    /// else the first model that the file lists, else the first that was found, else `demo/demo`.
    pub fn model_chain(&self, agent: &ResolvedAgent, found: &Found) -> Vec<ModelRef> {
        let primary = agent.model.primary.clone().unwrap_or_else(|| self.first_model(found));
        let mut chain = vec![primary];
        for model in &agent.model.fallbacks {
            if !chain.contains(model) {
                chain.push(model.clone());
            }
        }
        chain
    }

    fn first_model(&self, found: &Found) -> ModelRef {
        let written = self.models.providers.iter().find_map(|(id, provider)| {
            let model = provider.models.first().map(|model| model.id.clone()).or_else(|| {
                FIRST_MODELS
                    .iter()
                    .find(|(known, _)| *known == id.as_str())
                    .map(|(_, model)| (*model).to_owned())
            })?;
            Some(ModelRef { provider: id.clone(), model })
        });
        let found = || {
            found.providers.iter().find_map(|provider| {
                Some(ModelRef { provider: provider.id.clone(), model: provider.models.first()?.clone() })
            })
        };
        let demo = || ModelRef { provider: Id::new("demo").unwrap_or_else(Id::main), model: "demo".into() };
        written.or_else(found).unwrap_or_else(demo)
    }

    fn named_models(&self) -> Vec<ModelRef> {
        self.agents()
            .into_iter()
            .flat_map(|agent| agent.model.primary.into_iter().chain(agent.model.fallbacks))
            .collect()
    }
}
