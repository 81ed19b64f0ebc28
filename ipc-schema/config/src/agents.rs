//! `agents`: who answers, with which model, tools and workspace.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::elevated::Elevated;
use crate::node::{Key, Node, NodeKind};
use crate::noun::{noun, within, within_if_given, word};
use crate::sandbox::AgentSandbox;
use crate::scalar::{Id, ModelRef, Pattern};
use crate::shape::{MapKey, Noun, Reading, Shape, Show};
use crate::unbuilt::Unbuilt;

/// The agents. Written as `list: [{id, …}]` or as `entries: {id: {…}}`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Agents {
    /// What holds for every agent that does not say otherwise.
    pub defaults: AgentDefaults,
    /// The agents in the order of the file; empty means one agent, `main`.
    pub list: Vec<Agent>,
}

noun! {
    /// What holds for every agent that does not say otherwise.
    pub struct AgentDefaults {
        /// The model, and those to fall back on.
        "model" => model: ModelChoice = ModelChoice::default();
        /// The workspace of the default agent.
        "workspace" => workspace: Option<PathBuf> = None;
        /// How much a model thinks before it answers.
        "thinkingDefault" => thinking: Thinking = Thinking::default();
        /// Seconds after which a turn is ended.
        "timeoutSeconds" => timeout_seconds: u32 = 600, check within(1, 172_800);
        /// Model requests of one turn.
        "maxIterations" => max_iterations: u32 = 50, check within(1, 10_000);
        /// Tools.
        "tools" => tools: Tools = Tools::default();
        /// Tool runs.
        "sandbox" => sandbox: AgentSandbox = AgentSandbox::default();
    }
}

noun! {
    /// One agent.
    pub struct Agent {
        /// Its id.
        "id" => id: Id = Id::main();
        /// Whether it answers what no binding names.
        "default" => default: bool = false;
        /// A name for people.
        "name" => name: Option<String> = None;
        /// Its folder of files.
        "workspace" => workspace: Option<PathBuf> = None;
        /// The model, and those to fall back on.
        "model" => model: ModelChoice = ModelChoice::default();
        /// How much a model thinks before it answers.
        "thinkingDefault" => thinking: Option<Thinking> = None;
        /// Seconds after which a turn is ended.
        "timeoutSeconds" => timeout_seconds: Option<u32> = None, check within_if_given(1, 172_800);
        /// Model requests of one turn.
        "maxIterations" => max_iterations: Option<u32> = None, check within_if_given(1, 10_000);
        /// How it presents itself.
        "identity" => identity: Identity = Identity::default();
        /// Groups.
        "groupChat" => group_chat: AgentGroupChat = AgentGroupChat::default();
        /// Tools.
        "tools" => tools: Tools = Tools::default();
        /// Tool runs.
        "sandbox" => sandbox: AgentSandbox = AgentSandbox::default();
    }
}

noun! {
    /// How an agent presents itself.
    pub struct Identity {
        /// Its name.
        "name" => name: Option<String> = None;
        /// Its sign, also used as a reaction.
        "emoji" => emoji: Option<String> = None;
    }
}

noun! {
    /// An agent in groups.
    pub struct AgentGroupChat {
        /// Regular expressions that count as a mention.
        "mentionPatterns" => mention_patterns: Vec<Pattern> = Vec::new();
    }
}

word! {
    /// How much a model thinks before it answers.
    pub enum Thinking = Off {
        /// Not at all.
        "off" => Off,
        /// As little as it can.
        "minimal" => Minimal,
        /// A little.
        "low" => Low,
        /// Some.
        "medium" => Medium,
        /// Much.
        "high" => High,
        /// As much as it can.
        "xhigh" => Xhigh,
    }
}

noun! {
    /// Which tools an agent has. A denied tool stays denied.
    pub struct Tools {
        /// The only tools; without it all. Entries are names, patterns in which `*` stands for any text, or the groups
        /// `group:fs` (read, write, edit) and `group:runtime` (exec).
        "allow" => allow: Option<Vec<String>> = None;
        /// Tools that are taken away, written in the same way.
        "deny" => deny: Vec<String> = Vec::new();
        /// Commands.
        "exec" => exec: Exec = Exec::default();
        /// For whom commands may leave the tool sandbox; without it for nobody. An agent's own replaces the one of the
        /// defaults.
        "elevated" => elevated: Option<Elevated> = None;
    }
}

noun! {
    /// Which commands an agent may run. Whatever is written here, each runs in the tool sandbox, unless `elevated` says otherwise.
    pub struct Exec {
        /// Which commands run at all; without it all.
        "security" => security: Option<ExecSecurity> = None;
        /// When the operator is asked.
        "ask" => ask: ExecAsk = ExecAsk::default();
        /// How many minutes people have to say whether a command is run again that was interrupted and of which nobody
        /// knows what became of it (15). Without an answer it is not. With 0 nobody is asked.
        "askInterruptedMinutes" => ask_interrupted_minutes: Option<u32> = None, check within_if_given(0, 10_080);
        /// Not built yet: commands that run without a question.
        "allowlist" => allowlist: Unbuilt = Unbuilt;
        /// Not built yet: seconds that a question waits.
        "approvalSeconds" => approval_seconds: Unbuilt = Unbuilt;
    }
}

impl Exec {
    /// How long people have to say what becomes of an interrupted command; `None` when nobody is asked.
    pub fn patience_for_interrupted(&self) -> Option<std::time::Duration> {
        let minutes = self.ask_interrupted_minutes.unwrap_or(15);
        (minutes > 0).then(|| std::time::Duration::from_secs(u64::from(minutes) * 60))
    }
}

word! {
    /// Which commands run at all.
    pub enum ExecSecurity = Full {
        /// None: the tool is not offered, and the gateway refuses a command that is asked for nevertheless.
        "deny" => Deny,
        /// All.
        "full" => Full,
    }
    not built: "allowlist"
}

word! {
    /// When the operator is asked.
    pub enum ExecAsk = Off {
        /// Never.
        "off" => Off,
    }
    not built: "on-miss", "always"
}

/// A model and those to fall back on. Written as `"provider/model"` or as `{primary, fallbacks}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct ModelChoice {
    /// The first to be asked.
    pub primary: Option<ModelRef>,
    /// The next ones, in order.
    pub fallbacks: Vec<ModelRef>,
}

const CHOICE: &[&str] = &["primary", "fallbacks"];

impl Shape for ModelChoice {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        if node.as_text().is_some() {
            return Some(Self { primary: Some(ModelRef::read(node, at)?), fallbacks: Vec::new() });
        }
        if node.as_table().is_none() {
            return at.wrong_kind(node, "\"provider/model\" or { primary, fallbacks }");
        }
        let table = at.table(node, CHOICE)?;
        Some(Self {
            primary: table.get("primary").and_then(|n| ModelRef::read(n, at)),
            fallbacks: table.get("fallbacks").and_then(|n| Vec::read(n, at)).unwrap_or_default(),
        })
    }
    fn show(&self, show: Show) -> Value {
        json!({"primary": self.primary.show(show), "fallbacks": self.fallbacks.show(show)})
    }
    fn schema() -> Value {
        json!({"anyOf": [
            ModelRef::schema(),
            {"type": "object", "additionalProperties": false,
             "properties": {"primary": ModelRef::schema(), "fallbacks": Vec::<ModelRef>::schema()}},
        ]})
    }
}

const KEYS: &[&str] = &["defaults", "list", "entries"];

impl Shape for Agents {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        let table = at.table(node, KEYS)?;
        let defaults = table.get("defaults").and_then(|n| AgentDefaults::read(n, at)).unwrap_or_default();
        let list = match (table.get("list"), table.get("entries")) {
            (Some(_), Some(entries)) => {
                at.fault(
                    entries.mark,
                    "the agents are given twice, as list and as entries",
                    "keep one of the two",
                );
                Vec::new()
            }
            (Some(list), None) => listed(list, at)?,
            (None, Some(entries)) => entered(entries, at)?,
            (None, None) => Vec::new(),
        };
        Some(Self { defaults, list })
    }
    fn show(&self, show: Show) -> Value {
        json!({"defaults": self.defaults.show(show), "list": self.list.show(show)})
    }
    fn schema() -> Value {
        let mut entry = Agent::properties();
        entry.remove("id");
        let mut properties = Map::new();
        properties.insert("defaults".into(), AgentDefaults::schema());
        properties.insert("list".into(), Vec::<Agent>::schema());
        properties.insert(
            "entries".into(),
            json!({"type": "object", "additionalProperties": crate::schema::closed(entry)}),
        );
        crate::schema::closed(properties)
    }
}

fn listed(list: &Node, at: &mut Reading<'_>) -> Option<Vec<Agent>> {
    let NodeKind::List(items) = &list.kind else {
        return at.wrong_kind(list, "a list [ … ]");
    };
    for item in items {
        if item.as_table().is_some() && item.get("id").is_none() {
            at.fault(item.mark, "this agent has no id", "add id: \"main\" or another name");
        }
    }
    Vec::read(list, at)
}

fn entered(entries: &Node, at: &mut Reading<'_>) -> Option<Vec<Agent>> {
    let NodeKind::Table(entries) = &entries.kind else {
        return at.wrong_kind(entries, "a table { … }");
    };
    let mut agents = Vec::with_capacity(entries.len());
    for (key, entry) in entries {
        let id = Id::read_key(&key.text, key.mark, at);
        if let (Some(id), Some(agent)) = (id, Agent::read(entry, at)) {
            if let Some(inner) = entry.get("id")
                && inner.as_text() != Some(id.as_str())
            {
                at.fault(inner.mark, format!("this id differs from the entry's name \"{id}\""), "remove it");
            }
            agents.push(Agent { id, ..agent });
        }
    }
    Some(agents)
}

/// Where an agent of either notation stands, for faults that are found later.
pub(crate) fn positions(root: &Node) -> Vec<(String, crate::node::Mark, &Node)> {
    let agents = root.get("agents");
    let listed = match agents.and_then(|n| n.get("list")).map(|n| &n.kind) {
        Some(NodeKind::List(items)) => items.as_slice(),
        _ => &[],
    };
    let entered: &[(Key, Node)] =
        agents.and_then(|n| n.get("entries")).and_then(Node::as_table).unwrap_or_default();
    let listed = listed.iter().filter_map(|item| {
        let id = item.get("id")?;
        Some((id.as_text()?.to_owned(), id.mark, item))
    });
    listed.chain(entered.iter().map(|(key, item)| (key.text.clone(), key.mark, item))).collect()
}
