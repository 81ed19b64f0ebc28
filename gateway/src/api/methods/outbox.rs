//! `outbox.*`: what was said, is being said, or may have been said.

use serde_json::{Value, json};

use crate::api::method::{Call, Method, Outcome, Reply, method};
use crate::api::params::{Kind, NAME, Shape, may, must};
use crate::hub::OutboxRow;

const LIST: Shape = Shape { fields: &[may("limit", Kind::Int(1, 1000))], open: false };
const ONE: Shape = Shape { fields: &[must("key", NAME)], open: false };

/// Rows.
pub(crate) const METHODS: &[Method] = &[
    method!("outbox.list", Read, &LIST, list),
    method!("outbox.retry", Admin, &ONE, retry),
    method!("outbox.drop", Admin, &ONE, give_up),
];

async fn retry(call: Call) -> Outcome {
    let key = call.text("key").unwrap_or_default();
    call.desk.hub.outbox_retry(key).await?;
    Ok(Reply::Now(json!({"ok": true, "key": key})))
}

async fn give_up(call: Call) -> Outcome {
    let key = call.text("key").unwrap_or_default();
    call.desk.hub.outbox_drop(key).await?;
    Ok(Reply::Now(json!({"ok": true, "key": key})))
}

async fn list(call: Call) -> Outcome {
    let limit = call.count("limit").unwrap_or(100) as u32;
    let rows = call.desk.hub.outbox_list(limit).await?;
    let rows: Vec<Value> = rows.iter().map(row).collect();
    Ok(Reply::Now(json!({"count": rows.len(), "rows": rows})))
}

fn row(row: &OutboxRow) -> Value {
    json!({
        "key": row.key, "channel": row.channel, "accountId": row.account, "to": row.to, "text": row.text,
        "state": row.state.as_str(), "partsSent": row.parts_sent, "error": row.error,
        "attempts": row.attempts, "createdAtMs": row.created_at_ms, "runId": row.run_id,
    })
}
