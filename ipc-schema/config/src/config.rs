//! The whole configuration, composed once.

use crate::agents::{Agent, AgentDefaults, Agents, Exec, Identity, ModelChoice, Thinking, Tools};
use crate::bindings::Binding;
use crate::channels::Channels;
use crate::elevated::Elevated;
use crate::gateway::Gateway;
use crate::messages::Messages;
use crate::models::Models;
use crate::noun::noun;
use crate::operation::{Egress, Logging, Supervisor};
use crate::sandbox::{Sandbox, ToolPolicy};
use crate::scalar::{Id, Pattern};
use crate::session::{DmScope, Session};
use crate::store::{Cluster, Store};

noun! {
    /// The operator's configuration. Every part has its defaults, so an absent file is a valid one.
    pub struct Config {
        /// A reference to this schema, for editors.
        "$schema" => schema: Option<String> = None;
        /// How clients reach the gateway.
        "gateway" => gateway: Gateway = Gateway::default();
        /// Who answers.
        "agents" => agents: Agents = Agents::default();
        /// Which agent answers which conversation.
        "bindings" => bindings: Vec<Binding> = Vec::new();
        /// Which messages share a conversation.
        "session" => session: Session = Session::default();
        /// How inbound messages are taken up.
        "messages" => messages: Messages = Messages::default();
        /// The platform accounts.
        "channels" => channels: Channels = Channels::default();
        /// The model providers.
        "models" => models: Models = Models::default();
        /// Isolation.
        "sandbox" => sandbox: Sandbox = Sandbox::default();
        /// What may be reached beyond what providers and platforms need.
        "egress" => egress: Egress = Egress::default();
        /// How units are kept running.
        "supervisor" => supervisor: Supervisor = Supervisor::default();
        /// What is logged.
        "logging" => logging: Logging = Logging::default();
        /// Where the state is kept.
        "store" => store: Store = Store::default();
        /// Several hosts on one database.
        "cluster" => cluster: Cluster = Cluster::default();
    }
}

/// One agent with everything composed: its own words first, then `agents.defaults`, then Creel's defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedAgent {
    /// Its id.
    pub id: Id,
    /// Whether it answers what no binding names.
    pub default: bool,
    /// A name for people.
    pub name: String,
    /// How it presents itself.
    pub identity: Identity,
    /// Regular expressions that count as a mention.
    pub mention_patterns: Vec<Pattern>,
    /// The models as the operator wrote them; empty means whatever provider is found at start.
    pub model: ModelChoice,
    /// How much a model thinks before it answers.
    pub thinking: Thinking,
    /// Seconds after which a turn is ended.
    pub timeout_seconds: u32,
    /// Model requests of one turn.
    pub max_iterations: u32,
    /// Tools, with both deny-lists joined.
    pub tools: Tools,
    /// What one tool run may use.
    pub tool_policy: ToolPolicy,
    /// The workspace as it is written, if it is.
    pub workspace: Option<std::path::PathBuf>,
}

impl Config {
    /// The agents in the order of the file; without any, `main`.
    pub fn agents(&self) -> Vec<ResolvedAgent> {
        let main = [Agent::default()];
        let list = if self.agents.list.is_empty() { main.as_slice() } else { self.agents.list.as_slice() };
        let default = self.default_agent();
        list.iter().map(|agent| self.resolve(agent, agent.id == default)).collect()
    }

    /// One agent.
    pub fn agent(&self, id: &str) -> Option<ResolvedAgent> {
        self.agents().into_iter().find(|agent| agent.id.as_str() == id)
    }

    /// The agent that answers what no binding names: the first with `default: true`, else the first, else `main`.
    pub fn default_agent(&self) -> Id {
        let list = &self.agents.list;
        list.iter()
            .find(|agent| agent.default)
            .or_else(|| list.first())
            .map_or_else(Id::main, |agent| agent.id.clone())
    }

    /// How direct messages are told apart: as written, else `main` while at most one sender is allowed over all
    /// accounts, else `per-channel-peer`. Pairing counts as many, because the next approval makes it so.
    pub fn dm_scope(&self) -> DmScope {
        use crate::channels::DmPolicy;
        self.session.dm_scope.unwrap_or_else(|| {
            let accounts = self.channels.enabled();
            let senders: usize = accounts
                .iter()
                .map(|account| match account.common.dm_policy {
                    DmPolicy::Disabled => 0,
                    DmPolicy::Allowlist if account.common.allow_from.iter().all(|entry| entry.0 != "*") => {
                        account.common.allow_from.len()
                    }
                    DmPolicy::Allowlist | DmPolicy::Pairing | DmPolicy::Open => 2,
                })
                .sum();
            if senders > 1 { DmScope::PerChannelPeer } else { DmScope::Main }
        })
    }

    fn resolve(&self, agent: &Agent, default: bool) -> ResolvedAgent {
        let defaults = &self.agents.defaults;
        let tools = tools(&agent.tools, &defaults.tools);
        ResolvedAgent {
            id: agent.id.clone(),
            default,
            name: agent
                .name
                .clone()
                .or_else(|| agent.identity.name.clone())
                .unwrap_or_else(|| agent.id.to_string()),
            identity: agent.identity.clone(),
            mention_patterns: agent.group_chat.mention_patterns.clone(),
            model: model(&agent.model, defaults),
            thinking: agent.thinking.unwrap_or(defaults.thinking),
            timeout_seconds: agent.timeout_seconds.unwrap_or(defaults.timeout_seconds),
            max_iterations: agent.max_iterations.unwrap_or(defaults.max_iterations),
            tool_policy: ToolPolicy {
                elevated: tools.elevated.as_ref().is_some_and(Elevated::is_open),
                ..ToolPolicy::compose(&self.sandbox, &defaults.sandbox, &agent.sandbox)
            },
            tools,
            workspace: agent
                .workspace
                .clone()
                .or_else(|| default.then(|| defaults.workspace.clone()).flatten()),
        }
    }
}

fn model(own: &ModelChoice, defaults: &AgentDefaults) -> ModelChoice {
    if *own == ModelChoice::default() {
        return defaults.model.clone();
    }
    // An agent that names only a primary model keeps the common fallbacks.
    let fallbacks = if own.fallbacks.is_empty() { &defaults.model.fallbacks } else { &own.fallbacks };
    ModelChoice {
        primary: own.primary.clone().or_else(|| defaults.model.primary.clone()),
        fallbacks: fallbacks.clone(),
    }
}

fn tools(own: &Tools, defaults: &Tools) -> Tools {
    let joined = |a: &[String], b: &[String]| {
        let mut all = a.to_vec();
        all.extend(b.iter().filter(|entry| !a.contains(entry)).cloned());
        all
    };
    Tools {
        allow: own.allow.clone().or_else(|| defaults.allow.clone()),
        deny: joined(&defaults.deny, &own.deny),
        exec: Exec {
            security: own.exec.security.or(defaults.exec.security),
            ask_interrupted_minutes: own
                .exec
                .ask_interrupted_minutes
                .or(defaults.exec.ask_interrupted_minutes),
            ..own.exec.clone()
        },
        elevated: own.elevated.clone().or_else(|| defaults.elevated.clone()),
    }
}
