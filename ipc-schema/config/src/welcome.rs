//! What a worker is told: the part of the configuration that concerns it, in the words of the wire.

use creel_ipc::SecretJson;
use creel_ipc::msg::agent::{AgentConfig, Model, Provider, ToolPolicy};
use creel_ipc::msg::channel::ChannelConfig;
use creel_ipc::msg::policy::EXEC;

use crate::agents::ExecSecurity;
use crate::channels::{Common, Streaming};
use crate::config::{Config, ResolvedAgent};
use crate::found::{EffectiveProvider, Found};
use crate::models::Input;
use crate::paths::Paths;
use crate::scalar::ModelRef;
use crate::shape::{Noun, Show};

/// Milliseconds without an event after which a model counts as silent: far away, and on this machine or network.
const SILENCE_MS: (u64, u64) = (120_000, 300_000);

/// What is assumed of a model that the file does not describe.
struct Assumed {
    context_window: u64,
    max_tokens: u64,
    reasoning: bool,
    images: bool,
}

/// The large hosted models are much alike; of any other little can be assumed.
fn assumed(provider: &str) -> Assumed {
    match provider {
        "anthropic" | "openai" => {
            Assumed { context_window: 200_000, max_tokens: 8_192, reasoning: true, images: true }
        }
        "demo" => Assumed { context_window: 200_000, max_tokens: 8_192, reasoning: false, images: false },
        _ => Assumed { context_window: 32_768, max_tokens: 4_096, reasoning: false, images: false },
    }
}

impl Config {
    /// What an agent's worker is told, secrets included. `None` when there is no such agent.
    pub fn agent_config(&self, id: &str, paths: &Paths, found: &Found) -> Option<AgentConfig> {
        let agent = self.agent(id)?;
        let providers = self.providers(found);
        let chain = self.model_chain(&agent, found);
        let near = chain
            .iter()
            .filter_map(|model| providers.get(&model.provider)?.url.as_ref())
            .any(|url| url.endpoint().is_private());
        let silence = if near { SILENCE_MS.1 } else { SILENCE_MS.0 };
        let models = chain.iter().map(|model| described(model, providers.get(&model.provider))).collect();
        Some(AgentConfig {
            agent: agent.id.to_string(),
            name: Some(agent.name.clone()),
            workspace: paths.workspace(&agent).to_string_lossy().into_owned(),
            models,
            max_iterations: agent.max_iterations,
            turn_timeout_ms: u64::from(agent.timeout_seconds) * 1000,
            first_byte_ms: silence,
            inactivity_ms: silence,
            tools: agent.wire_tools(),
            thinking: Some(agent.thinking.word().to_owned()),
            log_level: Some(self.logging.level.word().to_owned()),
            providers: providers
                .into_iter()
                .filter(|(id, provider)| !provider.probed || chain.iter().any(|model| model.provider == *id))
                .map(|(id, provider)| (id.to_string(), told(provider)))
                .collect(),
        })
    }

    /// What a channel account's worker is told, secrets included. `None` when there is no such account.
    pub fn channel_config(&self, channel: &str, account: &str) -> Option<ChannelConfig> {
        let account = self.channels.account(channel, account)?;
        let mut settings = account.settings(Show::Revealed);
        if let Some(settings) = settings.as_object_mut() {
            // Who may write and what is answered is decided by the gateway; absent keys are simply left out.
            settings.retain(|key, value| !Common::KEYS.contains(&key.as_str()) && !value.is_null());
        }
        Some(ChannelConfig {
            channel: account.channel.to_owned(),
            account: account.id.to_string(),
            settings: SecretJson::new(settings),
            streaming: account.common.streaming != Streaming::Off,
            text_limit: account.common.text_chunk_limit,
            log_level: Some(self.logging.level.word().to_owned()),
        })
    }
}

fn told(provider: EffectiveProvider) -> Provider {
    Provider {
        base_url: provider.url.map(|url| url.as_str().to_owned()).unwrap_or_default(),
        api: provider.api.word().to_owned(),
        api_key: provider.key,
        headers: provider
            .headers
            .into_iter()
            .map(|(name, value)| (name, value.expose().to_owned()))
            .collect(),
    }
}

fn described(model: &ModelRef, provider: Option<&EffectiveProvider>) -> Model {
    let assumed = assumed(&model.provider);
    let written =
        provider.and_then(|provider| provider.models.iter().find(|written| written.id == model.model));
    Model {
        provider: model.provider.to_string(),
        id: model.model.clone(),
        context_window: written.and_then(|m| m.context_window).map_or(assumed.context_window, u64::from),
        max_tokens: written.and_then(|m| m.max_tokens).map_or(assumed.max_tokens, u64::from),
        reasoning: written.map_or(assumed.reasoning, |m| m.reasoning),
        images: written.map_or(assumed.images, |m| m.input.contains(&Input::Image)),
    }
}

impl ResolvedAgent {
    /// Which tools the agent has, in the words of the wire: there an empty list of allowed tools means all of them,
    /// while who writes an empty list means none.
    pub fn wire_tools(&self) -> ToolPolicy {
        let none = self.tools.allow.as_ref().is_some_and(Vec::is_empty);
        let mut deny = if none { vec!["*".to_owned()] } else { self.tools.deny.clone() };
        if self.tools.exec.security == Some(ExecSecurity::Deny) {
            deny.push(EXEC.to_owned());
        }
        ToolPolicy {
            allow: self.tools.allow.clone().unwrap_or_default(),
            deny,
            exec_wall_ms: u64::from(self.tool_policy.wall_seconds) * 1000,
            elevated: self.tool_policy.elevated,
        }
    }
}
