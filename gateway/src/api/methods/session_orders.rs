//! `sessions.patch`, `sessions.reset`, `sessions.delete` and `sessions.cleanup`: what is decided about conversations.

use serde_json::{Value, json};

use super::{catalog, sessions};
use crate::api::desk::now_ms;
use crate::api::fault::Fault;
use crate::api::method::{Call, Method, Outcome, Reply, method};
use crate::api::params::{Kind, NAME, Shape, TEXT, may, must};
use crate::api::scope::Scope;
use crate::hub::{HubError, SessionChange, SessionPrune};

const NAMED: Kind = Kind::Nullable(&NAME);

/// Of what OpenClaw's clients can set, that which has an effect here. The rest is refused by name.
const PATCH: Shape = Shape {
    fields: &[
        must("key", NAME),
        may("agentId", TEXT),
        may("expectedSessionId", TEXT),
        may("label", Kind::Nullable(&Kind::Text(1, 512))),
        may("model", NAMED),
        may("thinkingLevel", NAMED),
        may("queueMode", NAMED),
        may("sendPolicy", Kind::Nullable(&Kind::Word(&["allow", "deny"]))),
    ],
    open: false,
};
const RESET: Shape = Shape {
    fields: &[must("key", NAME), may("agentId", TEXT), may("reason", Kind::Word(&["new", "reset"]))],
    open: false,
};
const DELETE: Shape = Shape {
    fields: &[
        must("key", NAME),
        may("agentId", TEXT),
        may("deleteTranscript", Kind::Bool),
        may("expectedSessionId", TEXT),
    ],
    open: false,
};
const CLEANUP: Shape = Shape {
    fields: &[
        may("dryRun", Kind::Bool),
        may("pruneAfterMs", Kind::Int(0, 100 * 366 * 86_400_000)),
        may("maxEntries", Kind::Int(0, 1_000_000)),
    ],
    open: false,
};

/// Rows.
pub(crate) const METHODS: &[Method] = &[
    method!("sessions.patch", Write, &PATCH, patch),
    method!("sessions.reset", Admin, &RESET, reset),
    method!("sessions.delete", Admin, &DELETE, delete),
    method!("sessions.cleanup", Admin, &CLEANUP, cleanup),
];

/// A member that may be `null`; absent ones are `None`.
fn nullable(call: &Call, name: &str) -> Option<Option<String>> {
    call.params.get(name).map(|value| value.as_str().map(str::to_owned))
}

/// Refuses when the session's transcript is another than the client believes.
async fn expected(call: &Call) -> Result<(), Fault> {
    let Some(expected) = call.text("expectedSessionId") else { return Ok(()) };
    let key = call.desk.hub.resolve_session_key(call.text("key").unwrap_or_default())?;
    let found = sessions::find(&call.desk, &key).await?.map(|row| row.session_id);
    if found.as_deref() == Some(expected) {
        return Ok(());
    }
    let sentence = format!("The session {key} began afresh meanwhile; look at it again.");
    Err(HubError::conflict(sentence).into())
}

async fn patch(call: Call) -> Outcome {
    let silent = nullable(&call, "sendPolicy").map(|word| word.as_deref() == Some("deny"));
    if silent.is_some() && !call.caller.scopes.allow(Scope::Admin) {
        return Err(Fault::MissingScope(Scope::Admin));
    }
    expected(&call).await?;
    let change = SessionChange {
        key: call.text("key").unwrap_or_default().to_owned(),
        label: nullable(&call, "label"),
        model: nullable(&call, "model"),
        thinking: nullable(&call, "thinkingLevel"),
        silent,
        queue: nullable(&call, "queueMode"),
    };
    let found = call.desk.hub.session_change(change).await?;
    let row = sessions::row(&call.desk, &found);
    let defaults = catalog::defaults(&call.desk);
    let of = |name: &str| if row[name].is_null() { defaults[name].clone() } else { row[name].clone() };
    let resolved = json!({
        "modelProvider": of("modelProvider"), "model": of("model"), "thinkingLevel": row["thinkingLevel"],
    });
    Ok(Reply::Now(json!({"ok": true, "path": "", "key": found.key, "entry": row, "resolved": resolved})))
}

async fn reset(call: Call) -> Outcome {
    let (key, id) = call.desk.hub.session_reset(call.text("key").unwrap_or_default()).await?;
    Ok(Reply::Now(json!({"ok": true, "key": key, "entry": {"sessionId": id, "updatedAt": now_ms()}})))
}

async fn delete(call: Call) -> Outcome {
    expected(&call).await?;
    if call.params.get("deleteTranscript") == Some(&Value::Bool(false)) {
        return Err(Fault::invalid(
            "A session is deleted with everything that was said in it; `sessions.export` keeps it before.",
        ));
    }
    let (key, deleted) = call.desk.hub.session_delete(call.text("key").unwrap_or_default()).await?;
    Ok(Reply::Now(json!({"ok": true, "key": key, "deleted": deleted, "archived": []})))
}

async fn cleanup(call: Call) -> Outcome {
    let dry_run = call.params.get("dryRun") == Some(&Value::Bool(true));
    let prune = SessionPrune {
        after_ms: call.count("pruneAfterMs").and_then(|ms| i64::try_from(ms).ok()),
        most: call.count("maxEntries").and_then(|most| u32::try_from(most).ok()),
        dry_run,
    };
    let hub = call.desk.hub.clone();
    Ok(Reply::Later(Box::pin(async move {
        let rows = hub.sessions_prune(prune).await?;
        let rows: Vec<Value> = rows
            .iter()
            .map(|row| {
                json!({
                    "key": row.key, "sessionId": row.session_id, "updatedAt": row.updated_at_ms,
                    "messageCount": row.entries, "reason": row.why.as_str(),
                })
            })
            .collect();
        Ok(json!({"dryRun": dry_run, "count": rows.len(), "sessions": rows}))
    })))
}
