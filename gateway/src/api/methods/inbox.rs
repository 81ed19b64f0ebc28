//! `inbox.*`: messages that were set aside, and questions that wait for an answer.

use serde_json::{Value, json};

use crate::api::method::{Call, Method, Outcome, Reply, method};
use crate::api::params::{Kind, Shape, may, must};
use crate::hub::{ParkedRow, QuestionAnswer, QuestionRow};

const LIST: Shape = Shape { fields: &[may("limit", Kind::Int(1, 1000))], open: false };
const ONE: Shape = Shape { fields: &[must("id", Kind::Int(1, i64::MAX))], open: false };

const ANSWER: Shape = Shape {
    fields: &[must("id", Kind::Int(1, i64::MAX)), must("answer", Kind::Word(&["again", "skip", "stop"]))],
    open: false,
};

/// Rows.
pub(crate) const METHODS: &[Method] = &[
    method!("inbox.list", Read, &LIST, list),
    method!("inbox.retry", Admin, &ONE, retry),
    method!("inbox.drop", Admin, &ONE, give_up),
    method!("inbox.answer", Approvals, &ANSWER, answer),
];

async fn list(call: Call) -> Outcome {
    let limit = call.count("limit").unwrap_or(100) as u32;
    let rows = call.desk.hub.inbox_list(limit).await?;
    let rows: Vec<Value> = rows.iter().map(row).collect();
    let questions = call.desk.hub.questions(limit).await?;
    let questions: Vec<Value> = questions.iter().map(question).collect();
    Ok(Reply::Now(json!({"count": rows.len(), "rows": rows, "questions": questions})))
}

async fn answer(call: Call) -> Outcome {
    let id = call.count("id").unwrap_or_default();
    let said = match call.text("answer") {
        Some("again") => QuestionAnswer::Again,
        Some("stop") => QuestionAnswer::Stop,
        _ => QuestionAnswer::Skip,
    };
    let key = call.desk.hub.answer(id, said).await?;
    Ok(Reply::Now(json!({"ok": true, "id": id, "sessionKey": key})))
}

async fn retry(call: Call) -> Outcome {
    let id = call.count("id").unwrap_or_default();
    let key = call.desk.hub.inbox_retry(id).await?;
    Ok(Reply::Now(json!({"ok": true, "id": id, "sessionKey": key})))
}

async fn give_up(call: Call) -> Outcome {
    let id = call.count("id").unwrap_or_default();
    call.desk.hub.inbox_drop(id).await?;
    Ok(Reply::Now(json!({"ok": true, "id": id})))
}

fn row(row: &ParkedRow) -> Value {
    json!({
        "id": row.id, "channel": row.channel, "accountId": row.account, "sessionKey": row.session_key,
        "sender": row.sender, "text": row.text, "atMs": row.at_ms, "attempts": row.attempts,
        "parkedAtMs": row.parked_at_ms, "error": row.error,
    })
}

fn question(row: &QuestionRow) -> Value {
    json!({
        "id": row.id, "sessionKey": row.session_key, "tool": row.tool, "what": row.what,
        "askedAtMs": row.asked_at_ms, "expiresAtMs": row.expires_at_ms,
    })
}
