//! `sessions.*`: the conversations.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::catalog;
use crate::api::desk::{Desk, now_ms};
use crate::api::fault::{Fault, Protocol};
use crate::api::method::{Call, Method, Outcome, Reply, method};
use crate::api::params::{COUNT, Kind, NAME, Shape, TEXT, may, must};
use crate::hub::{SessionFilter, SessionRow, SessionSearch};

const LIST_FIELDS: &[crate::api::params::Field] = &[
    may("limit", Kind::Int(1, i64::MAX)),
    may("offset", COUNT),
    may("activeMinutes", Kind::Int(1, 60 * 24 * 3650)),
    may("requireLastInteraction", Kind::Bool),
    may("sortBy", Kind::Word(&["updatedAt", "lastInteractionAt"])),
    may("includeGlobal", Kind::Bool),
    may("includeUnknown", Kind::Bool),
    may("configuredAgentsOnly", Kind::Bool),
    may("includeDerivedTitles", Kind::Bool),
    may("includeLastMessage", Kind::Bool),
    may("includePeople", Kind::Bool),
    may("ownerFirst", Kind::Bool),
    may("label", Kind::Text(0, 512)),
    may("spawnedBy", TEXT),
    may("agentId", TEXT),
    may("search", TEXT),
    may("archived", Kind::Any),
];
const LIST: Shape = Shape { fields: LIST_FIELDS, open: false };
const DESCRIBE: Shape = Shape {
    fields: &[
        must("key", NAME),
        may("includeDerivedTitles", Kind::Bool),
        may("includeLastMessage", Kind::Bool),
    ],
    open: false,
};

const SEARCH: Shape = Shape {
    fields: &[
        must("query", Kind::Text(0, 4096)),
        may("agentId", TEXT),
        may("sessionKeys", Kind::Texts),
        may("limit", Kind::Int(1, FOUND)),
    ],
    open: false,
};

/// Rows.
pub(crate) const METHODS: &[Method] = &[
    method!("sessions.list", Read, &LIST, list),
    method!("sessions.describe", Read, &DESCRIBE, describe),
    method!("sessions.search", Read, &SEARCH, search),
    method!("sessions.subscribe", Read, &LIST, subscribe),
];

/// Rows of one answer.
const MOST: u64 = 1000;
/// Entries that a search finds at most, and unless it is told otherwise.
const FOUND: i64 = 25;

pub(crate) fn row(desk: &Desk, row: &SessionRow) -> Value {
    let (provider, model) = match row.model.as_deref().and_then(|model| model.split_once('/')) {
        Some((provider, model)) => (Some(provider), Some(model)),
        None => (None, row.model.as_deref()),
    };
    let run = row.running.then(|| desk.run_of(&row.key)).flatten();
    json!({
        "key": row.key, "kind": row.kind, "chatType": row.kind, "agentId": row.agent, "sessionId": row.session_id,
        "updatedAt": row.updated_at_ms, "lastActivityAt": row.updated_at_ms, "displayName": row.label.as_ref().or(row.title.as_ref()),
        "label": row.label, "channel": row.channel, "lastChannel": row.channel, "lastAccountId": row.account,
        "isMain": row.key.ends_with(":main"), "hasActiveRun": row.running,
        "activeRunIds": run.into_iter().collect::<Vec<_>>(), "status": if row.running { "running" } else { "done" },
        "state": row.phase.as_str(), "thinkingLevel": row.thinking, "sendPolicy": row.silent.then_some("deny"), "queueMode": row.queue,
        "modelProvider": provider, "model": model, "messageCount": row.entries,
    })
}

async fn listed(call: &Call) -> Result<Value, Fault> {
    let limit = call.count("limit").unwrap_or(200).min(MOST);
    let offset = call.count("offset").unwrap_or(0).min(100_000);
    let now = now_ms();
    let filter = SessionFilter {
        agent: call.text("agentId").map(str::to_owned),
        active_since_ms: call.count("activeMinutes").map(|minutes| now - minutes as i64 * 60_000),
        search: call.text("search").or_else(|| call.text("label")).map(str::to_owned),
        limit: (limit + offset + 1) as u32,
        ..SessionFilter::default()
    };
    let rows = call.desk.hub.sessions_list(filter).await?;
    let has_more = rows.len() as u64 > offset + limit;
    let page = rows.iter().skip(offset as usize).take(limit as usize);
    let page: Vec<Value> = page.map(|found| row(&call.desk, found)).collect();
    let defaults = catalog::defaults(&call.desk);
    let count = page.len();
    Ok(match call.caller.protocol {
        Protocol::V3 => {
            json!({"ts": now, "path": "", "count": count, "defaults": defaults, "sessions": page})
        }
        Protocol::V4 => json!({
            "ts": now, "path": "", "count": count, "totalCount": rows.len() - usize::from(has_more),
            "limitApplied": limit, "nextOffset": has_more.then_some(offset + limit), "hasMore": has_more,
            "owners": [], "defaults": defaults, "sessions": page,
        }),
    })
}

async fn list(call: Call) -> Outcome {
    Ok(Reply::Now(listed(&call).await?))
}

async fn search(call: Call) -> Outcome {
    let keys = call.params.get("sessionKeys").and_then(Value::as_array);
    let search = SessionSearch {
        words: call.text("query").unwrap_or_default().to_owned(),
        agent: call.text("agentId").map(str::to_owned),
        sessions: keys.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
        limit: call.count("limit").unwrap_or(FOUND as u64) as u32,
    };
    let found = call.desk.hub.sessions_search(search).await?;
    // Newest first is the only order: the score says no more than the place in it.
    let results = found.hits.iter().zip(1_u32..).map(|(hit, place)| {
        json!({
            "sessionKey": hit.key, "sessionId": hit.session_id, "messageId": hit.seq.to_string(), "role": hit.role,
            "timestamp": hit.at_ms, "snippet": hit.snippet, "score": 1.0 / f64::from(place),
        })
    });
    let mut answer = json!({"results": results.collect::<Vec<_>>()});
    for (word, holds) in [("indexing", found.indexing), ("truncated", found.more)] {
        if holds {
            answer[word] = true.into();
        }
    }
    Ok(Reply::Now(answer))
}

async fn describe(call: Call) -> Outcome {
    let key = call.desk.hub.resolve_session_key(call.text("key").unwrap_or_default())?;
    let found = find(&call.desk, &key).await?;
    Ok(Reply::Now(json!({"session": found.map(|found| row(&call.desk, &found))})))
}

/// The row of one session.
pub(crate) async fn find(desk: &Desk, key: &str) -> Result<Option<SessionRow>, Fault> {
    let filter =
        SessionFilter { search: Some(key.to_owned()), limit: MOST as u32, ..SessionFilter::default() };
    let rows = desk.hub.sessions_list(filter).await?;
    Ok(rows.into_iter().find(|row| row.key == key))
}

/// The row of one session, as clients read it.
pub(crate) async fn described(desk: &Desk, key: &str) -> Result<(Option<String>, Value), Fault> {
    let found = find(desk, key).await?;
    let id = found.as_ref().map(|found| found.session_id.clone());
    Ok((id, found.map_or(Value::Null, |found| row(desk, &found))))
}

async fn subscribe(call: Call) -> Outcome {
    if let Some(client) = &call.caller.client {
        client.sessions.store(true, Ordering::Relaxed);
    }
    if call.params.is_empty() {
        return Ok(Reply::Now(json!({"subscribed": true})));
    }
    Ok(Reply::Now(json!({"subscribed": true, "list": listed(&call).await?})))
}
