//! What there is: methods, agents, models.

use creel_ipc::msg::agent::Model;
use serde_json::{Value, json};

use crate::api::desk::Desk;
use crate::api::method::{self, Call, Method, Outcome, Reply, method};
use crate::api::methods;
use crate::api::params::{Kind, NAME, NOTHING, Shape, TEXT, may};

const IDENTITY: Shape = Shape { fields: &[may("agentId", NAME), may("sessionKey", TEXT)], open: false };
const MODELS: Shape = Shape {
    fields: &[
        may("agentId", NAME),
        may("view", NAME),
        may("refresh", Kind::Bool),
        may("preparedOnly", Kind::Bool),
        may("includeProviderCapabilities", Kind::Bool),
        may("includeDetails", Kind::Bool),
    ],
    open: false,
};

const COMMANDS: Shape = Shape {
    fields: &[
        may("sessionKey", TEXT),
        may("agentId", TEXT),
        may("provider", TEXT),
        may("scope", Kind::Word(&["text", "native", "both"])),
        may("includeArgs", Kind::Bool),
    ],
    open: false,
};

/// Rows.
pub(crate) const METHODS: &[Method] = &[
    method!("methods.list", Read, &NOTHING, list),
    method!("agents.list", Read, &NOTHING, agents),
    method!("agent.identity.get", Read, &IDENTITY, identity),
    method!("models.list", Read, &MODELS, models),
    method!("commands.list", Read, &COMMANDS, commands),
    method!("chat.metadata", Read, &IDENTITY, metadata),
];

async fn list(_: Call) -> Outcome {
    let rows = methods::ALL.iter().copied().flatten();
    let rows: Vec<Value> = rows.map(|row| json!({"name": row.name, "scope": row.scope.as_str()})).collect();
    Ok(Reply::Now(json!({"methods": rows})))
}

async fn agents(call: Call) -> Outcome {
    let hub = &call.desk.hub;
    let row = |(id, name): (String, String)| {
        let models = hub.models(&id);
        let models: Vec<String> =
            models.iter().map(|model| format!("{}/{}", model.provider, model.id)).collect();
        let (primary, fallbacks) = (models.first(), models.get(1..).unwrap_or_default());
        json!({"id": id, "name": name, "model": {"primary": primary, "fallbacks": fallbacks}})
    };
    let agents: Vec<Value> = hub.agents().into_iter().map(row).collect();
    Ok(Reply::Now(json!({
        "defaultId": hub.default_agent(), "mainKey": hub.main_session().0, "scope": "per-sender", "agents": agents,
    })))
}

async fn identity(call: Call) -> Outcome {
    let hub = &call.desk.hub;
    let asked = match (call.text("agentId"), call.text("sessionKey")) {
        (Some(agent), _) => agent.to_owned(),
        (None, Some(key)) => crate::api::run::agent_of(&hub.resolve_session_key(key)?).to_owned(),
        (None, None) => hub.default_agent(),
    };
    let name = hub.agents().into_iter().find(|(id, _)| *id == asked).map(|(_, name)| name);
    let source = if name.is_some() { "config" } else { "default" };
    Ok(Reply::Now(json!({
        "agentId": asked, "name": name.unwrap_or_else(|| "Assistant".to_owned()), "nameSource": source,
    })))
}

/// What the agents ask, each model once; the first is the default agent's own.
async fn models(call: Call) -> Outcome {
    Ok(Reply::Now(json!({"models": models_of(&call.desk, call.text("agentId"))})))
}

fn models_of(desk: &Desk, agent: Option<&str>) -> Vec<Value> {
    let hub = &desk.hub;
    let agents = match agent {
        Some(agent) => vec![agent.to_owned()],
        None => hub.agents().into_iter().map(|(id, _)| id).collect(),
    };
    let mut rows: Vec<Value> = Vec::new();
    for model in agents.iter().flat_map(|agent| hub.models(agent)) {
        let row = row(&model, rows.is_empty());
        if !rows.iter().any(|known| known["id"] == row["id"] && known["provider"] == row["provider"]) {
            rows.push(row);
        }
    }
    rows
}

async fn commands(_: Call) -> Outcome {
    Ok(Reply::Now(json!({"commands": commands_of()})))
}

/// What may be written instead of a message.
fn commands_of() -> Value {
    json!([{
        "name": "stop", "nativeName": "stop", "textAliases": ["/stop"], "category": "session",
        "description": "Stop what the agent is doing.", "source": "native", "scope": "both", "acceptsArgs": false,
    }])
}

async fn metadata(call: Call) -> Outcome {
    Ok(Reply::Now(about(&call.desk, call.text("agentId"))))
}

/// What a client offers beside a conversation.
pub(crate) fn about(desk: &Desk, agent: Option<&str>) -> Value {
    json!({"models": models_of(desk, agent), "commands": commands_of()})
}

fn row(model: &Model, is_default: bool) -> Value {
    let input: &[&str] = if model.images { &["text", "image"] } else { &["text"] };
    let tags: &[&str] = if is_default { &["default"] } else { &[] };
    json!({
        "id": model.id, "name": model.id, "provider": model.provider, "contextWindow": model.context_window,
        "reasoning": model.reasoning, "input": input, "tags": tags, "available": true,
    })
}

/// What a session uses that names nothing itself.
pub(crate) fn defaults(desk: &Desk) -> Value {
    match desk.hub.models(&desk.hub.default_agent()).first() {
        Some(model) => json!({
            "modelProvider": model.provider, "model": model.id, "contextTokens": model.context_window,
        }),
        None => json!({"modelProvider": null, "model": null, "contextTokens": null}),
    }
}

/// Names of all methods.
pub(crate) fn names() -> Vec<String> {
    method::names()
}
