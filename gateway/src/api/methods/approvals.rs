//! `exec.approval.*`: questions about interrupted commands, as OpenClaw's clients ask their people about commands.

use creel_ipc::msg::agent::Decision;
use serde_json::{Value, json};

use crate::api::fault::Fault;
use crate::api::method::{Call, Method, Outcome, Reply, method};
use crate::api::params::{Kind, NAME, NOTHING, Shape, must};
use crate::api::run::agent_of;
use crate::hub::{QuestionAnswer, QuestionRow};

/// What is allowed is allowed once: there is no rule that could be kept.
const RESOLVE: Shape =
    Shape { fields: &[must("id", NAME), must("decision", Kind::Word(&["allow-once", "deny"]))], open: false };

/// Rows.
pub(crate) const METHODS: &[Method] = &[
    method!("exec.approval.list", Approvals, &NOTHING, list),
    method!("exec.approval.resolve", Approvals, &RESOLVE, resolve),
];

async fn list(call: Call) -> Outcome {
    let rows = call.desk.hub.questions(1_000).await?;
    Ok(Reply::Now(rows.iter().map(requested).collect()))
}

async fn resolve(call: Call) -> Outcome {
    let id = call.text("id").unwrap_or_default();
    let answer = match call.text("decision") {
        Some("allow-once") => QuestionAnswer::Again,
        _ => QuestionAnswer::Skip,
    };
    let number = id.parse().map_err(|_| Fault::Params {
        method: "exec.approval.resolve".to_owned(),
        complaint: "at /id: must be the id of a question".to_owned(),
    })?;
    call.desk.hub.answer(number, answer).await?;
    Ok(Reply::Now(json!({"ok": true})))
}

/// A question as a command that waits for its approval.
pub(crate) fn requested(row: &QuestionRow) -> Value {
    json!({
        "id": row.id.to_string(),
        "request": {
            "command": row.what, "cwd": null, "host": "sandbox", "security": null, "ask": "interrupted",
            "agentId": agent_of(&row.session_key), "resolvedPath": null, "sessionKey": row.session_key,
        },
        "createdAtMs": row.asked_at_ms, "expiresAtMs": row.expires_at_ms,
    })
}

/// What became of a question.
pub(crate) fn resolved(id: u64, decision: Decision, now_ms: i64) -> Value {
    let word = if decision == Decision::Again { "allow-once" } else { "deny" };
    json!({"id": id.to_string(), "decision": word, "resolvedBy": null, "ts": now_ms})
}
