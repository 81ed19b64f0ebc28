//! What no single key shows: references between parts, ids given twice, numbers that contradict each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::agents::positions;
use crate::channels::Channels;
use crate::config::Config;
use crate::endpoint::HostPattern;
use crate::fault::{Fault, did_you_mean};
use crate::gateway::AuthMode;
use crate::models::{Api, KNOWN_PROVIDERS};
use crate::node::{Node, NodeKind, Step};
use crate::paths::Paths;
use crate::scalar::{Id, ModelRef};

/// What the checks found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) faults: Vec<Fault>,
    pub(crate) warnings: Vec<Fault>,
}

/// Checks the configuration as a whole. `tree` is what it was read from, for the places.
pub(crate) fn check(config: &Config, tree: &Node, paths: Option<&Paths>) -> Findings {
    let mut check = Check { config, tree, findings: Findings::default() };
    check.limits();
    if !check.findings.faults.is_empty() {
        return check.findings;
    }
    check.agents();
    if let Some(paths) = paths {
        check.workspaces(paths);
    }
    check.bindings();
    check.channel_names();
    check.bots();
    check.providers();
    check.numbers();
    check.egress();
    check.store();
    check.unused();
    check.findings
}

struct Check<'a> {
    config: &'a Config,
    tree: &'a Node,
    findings: Findings,
}

/// A path from keys and list positions.
macro_rules! path {
    ($($step:expr),* $(,)?) => { [$(Step::from($step)),*] };
}

mod routes;
mod store;
mod unused;

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.into())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl Check<'_> {
    fn fault(&mut self, path: impl Into<Vec<Step>>, what: impl Into<String>, fix: impl Into<String>) {
        let path = path.into();
        let mark = self.tree.mark_along(&path);
        self.findings.faults.push(Fault { mark, path: Some(path), what: what.into(), fix: fix.into() });
    }

    /// More than any machine serves. What comes after may compare each with each.
    fn limits(&mut self) {
        let config = self.config;
        let accounts = config.channels.all().len();
        let counted = [
            (path!["agents"].to_vec(), "agents", config.agents.list.len(), 1000),
            (path!["bindings"].to_vec(), "bindings", config.bindings.len(), 10_000),
            (path!["channels"].to_vec(), "accounts", accounts, 1000),
            (path!["models", "providers"].to_vec(), "providers", config.models.providers.len(), 250),
        ];
        for (path, what, count, most) in counted {
            if count > most {
                self.fault(path, format!("{count} {what} are too many"), format!("keep at most {most}"));
            }
        }
    }

    fn agents(&mut self) {
        let mut seen = BTreeSet::new();
        let mut default: Option<String> = None;
        for (id, mark, agent) in positions(self.tree) {
            if !seen.insert(id.clone()) {
                self.findings.faults.push(Fault {
                    mark,
                    path: None,
                    what: format!("the agent id \"{id}\" is given twice"),
                    fix: "give each agent an id of its own".into(),
                });
            }
            if let Some(flag) = agent.get("default").filter(|n| n.kind == NodeKind::Bool(true)) {
                match &default {
                    Some(first) => self.findings.warnings.push(Fault {
                        mark: flag.mark,
                        path: None,
                        what: format!("\"{id}\" is a second default agent and \"{first}\" is used"),
                        fix: "keep default: true on one agent".into(),
                    }),
                    None => default = Some(id),
                }
            }
        }
        let config = self.config;
        let main = &config.agents.defaults.model;
        self.model_refs(&["agents", "defaults"], main.primary.iter().chain(&main.fallbacks));
        for agent in &config.agents.list {
            let refs = agent.model.primary.iter().chain(&agent.model.fallbacks);
            let place = positions(self.tree).into_iter().find(|(id, ..)| id == agent.id.as_str());
            let at = place.and_then(|(_, _, node)| node.get("model")).map(|node| node.mark);
            self.unknown_providers(refs, |check, model, hint| {
                let (what, fix) = unknown_provider(model, hint);
                let mark = at.unwrap_or_default();
                check.findings.faults.push(Fault { mark, path: None, what, fix });
            });
        }
    }

    /// Nobody's workspace may show Creel's own files, and two agents in one folder are worth a word.
    fn workspaces(&mut self, paths: &Paths) {
        let own = [
            paths.state(),
            paths.logs(),
            paths.home.join("agents"),
            paths.runtime.clone(),
            paths.config.clone(),
        ];
        let mut taken: BTreeMap<PathBuf, Id> = BTreeMap::new();
        for agent in self.config.agents() {
            let workspace = paths.workspace(&agent);
            let place = positions(self.tree).into_iter().find(|(id, ..)| id == agent.id.as_str());
            let mark = place
                .map(|(_, mark, node)| node.get("workspace").map_or(mark, |node| node.mark))
                .unwrap_or_else(|| self.tree.mark_along(&path!["agents", "defaults", "workspace"]));
            if let Some(seen) =
                own.iter().find(|own| own.starts_with(&workspace) || workspace.starts_with(own))
            {
                self.findings.faults.push(Fault {
                    mark,
                    path: None,
                    what: format!(
                        "the workspace {} of agent \"{}\" overlaps {}, which is Creel's own",
                        workspace.display(),
                        agent.id,
                        seen.display()
                    ),
                    fix: "name a folder that holds nothing but the agent's files".into(),
                });
            }
            if let Some(other) = taken.insert(workspace.clone(), agent.id.clone()) {
                self.findings.warnings.push(Fault {
                    mark,
                    path: None,
                    what: format!(
                        "\"{}\" shares the workspace {} with \"{other}\"",
                        agent.id,
                        workspace.display()
                    ),
                    fix:
                        "give each agent a folder of its own, unless they are meant to see each other's files"
                            .into(),
                });
            }
        }
    }

    fn model_refs<'m>(&mut self, at: &[&str], refs: impl Iterator<Item = &'m ModelRef>) {
        let mut path: Vec<Step> = at.iter().map(|key| Step::from(*key)).collect();
        path.push(Step::from("model"));
        self.unknown_providers(refs, |check, model, hint| {
            let (what, fix) = unknown_provider(model, hint);
            check.fault(path.clone(), what, fix);
        });
    }

    fn unknown_providers<'m>(
        &mut self,
        refs: impl Iterator<Item = &'m ModelRef>,
        mut report: impl FnMut(&mut Self, &ModelRef, String),
    ) {
        let mut known: Vec<&str> = self.config.models.providers.keys().map(|id| id.as_str()).collect();
        known.extend(KNOWN_PROVIDERS.iter().map(|(id, ..)| *id));
        for model in refs {
            if !known.contains(&model.provider.as_str()) {
                let hint = did_you_mean(&model.provider, known.iter().copied());
                report(self, model, hint);
            }
        }
    }

    fn tree_has(&self, path: &[Step]) -> bool {
        let mut here = Some(self.tree);
        for step in path {
            here = match (step, here.map(|node| &node.kind)) {
                (Step::Key(key), _) => here.and_then(|node| node.get(key)),
                (Step::Index(index), Some(NodeKind::List(items))) => items.get(*index),
                _ => None,
            };
        }
        here.is_some()
    }

    /// Whether every entry of a list was read. Otherwise the typed list is shorter than the written one, and
    /// places would be off.
    fn is_whole(&self, path: &[Step], read: usize) -> bool {
        let mut here = Some(self.tree);
        for step in path {
            if let Step::Key(key) = step {
                here = here.and_then(|node| node.get(key));
            }
        }
        matches!(here.map(|node| &node.kind), Some(NodeKind::List(items)) if items.len() == read)
    }

    fn unknown_channel(&mut self, path: impl Into<Vec<Step>>, name: &str) {
        let hint = did_you_mean(name, Channels::KNOWN.iter().copied());
        self.fault(
            path,
            format!("there is no channel \"{name}\""),
            format!("use one of: {}{hint}", Channels::KNOWN.join(", ")),
        );
    }

    fn channel_names(&mut self) {
        let config = self.config;
        let queue = &config.messages.queue;
        let named = queue
            .by_channel
            .keys()
            .map(|name| (vec!["messages", "queue", "byChannel"], name))
            .chain(
                queue
                    .debounce_ms_by_channel
                    .keys()
                    .map(|name| (vec!["messages", "queue", "debounceMsByChannel"], name)),
            )
            .chain(
                config.session.reset_by_channel.keys().map(|name| (vec!["session", "resetByChannel"], name)),
            );
        for (at, name) in named {
            if !Channels::KNOWN.contains(&name.as_str()) {
                let mut path: Vec<Step> = at.into_iter().map(Step::from).collect();
                path.push(Step::Key(name.clone()));
                self.unknown_channel(path, name);
            }
        }
    }

    fn providers(&mut self) {
        let config = self.config;
        for (id, provider) in &config.models.providers {
            let at = || path!["models", "providers", id.as_str()];
            if provider.effective_url(id).is_none()
                && provider.effective_api(id) != Api::Demo
                && !self.tree_has(&path!["models", "providers", id.as_str(), "baseUrl"])
            {
                let hint = did_you_mean(id, KNOWN_PROVIDERS.iter().map(|(known, ..)| *known));
                self.fault(
                    at(),
                    format!("the provider \"{id}\" has no baseUrl and is none that Creel knows"),
                    format!("add baseUrl: \"https://…\"{hint}"),
                );
            }
            let listed = path!["models", "providers", id.as_str(), "models"];
            let whole = self.is_whole(&listed, provider.models.len());
            for (index, model) in provider.models.iter().enumerate() {
                if whole && model.id.is_empty() {
                    self.fault(
                        path!["models", "providers", id.as_str(), "models", index],
                        "this model has no id",
                        "add the id that the provider knows",
                    );
                }
            }
            for name in provider.headers.keys() {
                let odd = |c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c));
                if name.is_empty() || name.contains(odd) {
                    self.fault(
                        path!["models", "providers", id.as_str(), "headers", name.as_str()],
                        format!("\"{name}\" is no header name"),
                        "use letters, digits and -",
                    );
                }
            }
        }
    }

    fn numbers(&mut self) {
        let config = self.config;
        let backoff = &config.supervisor.backoff;
        if backoff.initial_ms > backoff.max_ms {
            self.fault(
                path!["supervisor", "backoff", "initialMs"],
                format!(
                    "the first wait of {} ms is longer than the longest of {} ms",
                    backoff.initial_ms, backoff.max_ms
                ),
                "make initialMs at most maxMs",
            );
        }
        if config.gateway.auth.mode == AuthMode::Password && config.gateway.auth.password.is_none() {
            self.fault(
                path!["gateway", "auth", "mode"],
                "mode \"password\" needs a password",
                "add gateway.auth.password, or use mode \"token\"",
            );
        }
    }

    fn egress(&mut self) {
        let config = self.config;
        let private = &config.egress.allow_private;
        if self.is_whole(&path!["egress", "allow"], config.egress.allow.len()) {
            for (index, entry) in
                config.egress.allow.iter().enumerate().filter(|(_, entry)| entry.is_private())
            {
                self.fault(
                    path!["egress", "allow", index],
                    format!("{} is on this machine or in a private network", entry.host),
                    "move it to egress.allowPrivate if agents may reach it",
                );
            }
        }
        if self.is_whole(&path!["sandbox", "allow"], config.sandbox.allow.len()) {
            let meant = |entry: &HostPattern| {
                private.iter().any(|allowed| (&allowed.host, allowed.port) == (&entry.host, entry.port))
            };
            let listed = config.sandbox.allow.iter().enumerate();
            for (index, entry) in listed.filter(|(_, entry)| entry.is_private() && !meant(entry)) {
                self.fault(
                    path!["sandbox", "allow", index],
                    format!("{} is on this machine or in a private network", entry.host),
                    "add it to egress.allowPrivate too if commands may reach it",
                );
            }
        }
    }
}

fn unknown_provider(model: &ModelRef, hint: String) -> (String, String) {
    (
        format!("the model \"{model}\" needs a provider \"{}\", and there is none", model.provider),
        format!("add models.providers.{}, or name a known one{hint}", model.provider),
    )
}
