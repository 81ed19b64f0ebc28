//! What there is: methods, agents, models.

use serde_json::{Value, json};

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

/// Rows.
pub(crate) const METHODS: &[Method] = &[
    method!("methods.list", Read, &NOTHING, list),
    method!("agents.list", Read, &NOTHING, agents),
    method!("agent.identity.get", Read, &IDENTITY, identity),
    method!("models.list", Read, &MODELS, models),
];

async fn list(_: Call) -> Outcome {
    let rows = methods::ALL.iter().copied().flatten();
    let rows: Vec<Value> = rows.map(|row| json!({"name": row.name, "scope": row.scope.as_str()})).collect();
    Ok(Reply::Now(json!({"methods": rows})))
}

async fn agents(call: Call) -> Outcome {
    let default = call.desk.hub.default_agent();
    let agents: Vec<Value> =
        call.desk.hub.agents().into_iter().map(|(id, name)| json!({"id": id, "name": name})).collect();
    Ok(Reply::Now(json!({"defaultId": default, "mainKey": "main", "scope": "per-sender", "agents": agents})))
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

/// The models are the agents' own knowledge; the gateway only knows which ones sessions asked for.
async fn models(_: Call) -> Outcome {
    Ok(Reply::Now(json!({"models": []})))
}

/// Names of all methods.
pub(crate) fn names() -> Vec<String> {
    method::names()
}
