//! `chat.*`: talking to an agent in a session.

use creel_ipc::msg::transcript::{Block, Entry};
use serde_json::{Map, Value, json};

use super::{catalog, sessions};
use crate::api::fault::{Fault, Protocol};
use crate::api::method::{Call, Method, Outcome, Reply, method};
use crate::api::params::{COUNT, Kind, NAME, Shape, TEXT, may, must};
use crate::api::run::usage;
use crate::hub::{ChatSend, RunState, StoredEntry};

const KEY: Kind = Kind::Text(1, 512);
const SEND: Shape = Shape {
    fields: &[
        must("sessionKey", KEY),
        may("agentId", TEXT),
        may("sessionId", TEXT),
        must("message", TEXT),
        may("thinking", TEXT),
        may("fastMode", Kind::Any),
        may("queueMode", Kind::Word(&["steer", "followup", "collect", "interrupt"])),
        may("deliver", Kind::Bool),
        may("originatingChannel", TEXT),
        may("originatingTo", TEXT),
        may("originatingAccountId", TEXT),
        may("originatingThreadId", TEXT),
        may("replyToId", TEXT),
        may("attachments", Kind::List),
        may("timeoutMs", COUNT),
        may("suppressCommandInterpretation", Kind::Bool),
        may("expectedLeafEntryId", Kind::Nullable(&TEXT)),
        may("expectedSessionRoutingContract", TEXT),
        may("expectedPermissionMode", Kind::Nullable(&TEXT)),
        may("expectedToolOverrides", Kind::Any),
        must("idempotencyKey", NAME),
    ],
    open: false,
};
const HISTORY: Shape = Shape {
    fields: &[
        must("sessionKey", NAME),
        may("agentId", TEXT),
        may("cursor", TEXT),
        may("limit", Kind::Int(1, 1000)),
        may("offset", COUNT),
        may("pendingBefore", COUNT),
        may("inputRunIds", Kind::Texts),
        may("messageId", TEXT),
        may("sessionId", TEXT),
        may("maxChars", Kind::Int(1, 500_000)),
    ],
    open: false,
};
const STARTUP: Shape = Shape {
    fields: &[
        must("sessionKey", NAME),
        may("agentId", TEXT),
        may("limit", Kind::Int(1, 1000)),
        may("maxBytes", COUNT),
        may("maxChars", Kind::Int(1, 500_000)),
    ],
    open: true,
};
const ABORT: Shape = Shape {
    fields: &[
        must("sessionKey", NAME),
        may("agentId", TEXT),
        may("runId", NAME),
        may("preserveSideRuns", Kind::Bool),
    ],
    open: false,
};

/// Rows.
pub(crate) const METHODS: &[Method] = &[
    method!("chat.send", Write, &SEND, send).large(),
    method!("chat.history", Read, &HISTORY, history),
    method!("chat.startup", Read, &STARTUP, startup),
    method!("chat.abort", Write, &ABORT, abort),
];

/// Entries of a history when nothing is said.
const HISTORY_LIMIT: u64 = 200;

/// Bytes of a history.
const HISTORY_BYTES: usize = 6 * 1024 * 1024;

/// Files cannot come this way yet; dropping them silently would be worse.
pub(crate) fn no_files(call: &Call) -> Result<(), Fault> {
    match call.params.get("attachments").and_then(Value::as_array) {
        Some(files) if !files.is_empty() => {
            Err(Fault::invalid("Files cannot be sent this way yet; send the message without `attachments`."))
        }
        _ => Ok(()),
    }
}

async fn send(call: Call) -> Outcome {
    no_files(&call)?;
    let desk = &call.desk;
    let key = call.text("sessionKey").unwrap_or_default();
    let message = call.text("message").unwrap_or_default();
    if message.trim().eq_ignore_ascii_case("/stop") {
        let runs = desk.hub.chat_abort(key, None).await?;
        return Ok(Reply::Now(json!({"ok": true, "aborted": !runs.is_empty(), "runIds": runs})));
    }
    let run = call.text("idempotencyKey").unwrap_or_default();
    desk.remember_echo(run, key);
    let accepted = desk
        .hub
        .chat_send(ChatSend {
            session_key: key.to_owned(),
            message: message.to_owned(),
            idempotency_key: run.to_owned(),
            client: call.caller.name.clone(),
            attachments: Vec::new(),
        })
        .await?;
    let status = if accepted.duplicate {
        let status = desk.hub.run_wait(&accepted.run_id, 0).await?;
        if matches!(status.state, RunState::Ended(_)) { "ok" } else { "in_flight" }
    } else {
        "started"
    };
    Ok(Reply::Now(json!({"runId": accepted.run_id, "status": status})))
}

async fn abort(call: Call) -> Outcome {
    let hub = &call.desk.hub;
    let key = call.text("sessionKey").unwrap_or_default();
    let canonical = hub.resolve_session_key(key)?;
    if let Some(run) = call.text("runId") {
        let status = hub.run_wait(run, 0).await;
        if status.is_ok_and(|status| status.session_key != canonical) {
            return Err(Fault::invalid("runId does not match sessionKey"));
        }
    }
    let runs = hub.chat_abort(&canonical, call.text("runId")).await?;
    Ok(Reply::Now(json!({"ok": true, "aborted": !runs.is_empty(), "runIds": runs})))
}

async fn history(call: Call) -> Outcome {
    Ok(Reply::Now(past(&call).await?))
}

/// All that a page of a conversation needs, in one answer.
async fn startup(call: Call) -> Outcome {
    let mut answer = past(&call).await?;
    answer["metadata"] = catalog::about(&call.desk, call.text("agentId"));
    Ok(Reply::Now(answer))
}

async fn past(call: &Call) -> Result<Value, Fault> {
    let desk = &call.desk;
    let asked = call.text("sessionKey").unwrap_or_default();
    let key = desk.hub.resolve_session_key(asked)?;
    let limit = call.count("limit").unwrap_or(HISTORY_LIMIT);
    let mut entries = desk.hub.chat_history(&key, limit as u32 + 1).await?;
    let mut has_more = entries.len() as u64 > limit;
    if has_more {
        entries.remove(0);
    }
    let most = call.count("maxBytes").map_or(HISTORY_BYTES, |bytes| HISTORY_BYTES.min(bytes as usize));
    let all = entries.len();
    let messages = newest(entries.iter().map(message).collect(), most);
    has_more |= messages.len() < all;
    let (session_id, info) = sessions::described(desk, &key).await?;
    if call.caller.protocol == Protocol::V3 {
        let mut answer = json!({"sessionKey": asked, "messages": messages, "thinkingLevel": "off"});
        if let Some(id) = session_id {
            answer["sessionId"] = id.into();
        }
        return Ok(answer);
    }
    let total = info["messageCount"].as_u64().unwrap_or(messages.len() as u64);
    let mut answer = json!({
        "sessionKey": asked, "messages": messages, "pendingInputs": {"items": [], "total": 0},
        "hasMore": has_more, "totalMessages": total,
        "defaults": catalog::defaults(desk),
        "sessionInfo": info, "thinkingLevel": "off",
    });
    if let Some(id) = session_id {
        answer["sessionId"] = id.into();
    }
    if let Some(run) = desk.run_of(&key) {
        answer["inFlightRun"] = json!({"runId": run});
    }
    Ok(answer)
}

/// The newest messages that fit in so many bytes; the last one always does.
fn newest(mut messages: Vec<Value>, most: usize) -> Vec<Value> {
    let mut bytes = 0;
    let fits = messages.iter().rev().take_while(|message| {
        let first = bytes == 0;
        bytes += message.to_string().len();
        first || bytes <= most
    });
    let keep = fits.count();
    messages.split_off(messages.len() - keep)
}

/// An entry of the transcript, as clients read it.
pub(crate) fn message(stored: &StoredEntry) -> Value {
    let mut message = match serde_json::to_value(&stored.entry) {
        Ok(Value::Object(message)) => message,
        _ => Map::new(),
    };
    let mut meta = json!({
        "id": format!("{}:{}", stored.run_id, stored.seq), "seq": stored.seq, "recordTimestampMs": stored.at_ms,
    });
    if !stored.run_id.is_empty() {
        meta["runId"] = stored.run_id.as_str().into();
    }
    match &stored.entry {
        Entry::User { content, .. } => {
            if let [Block::Text { text }] = content.as_slice() {
                message.insert("content".to_owned(), text.as_str().into());
            }
            if !stored.run_id.is_empty() {
                let key = format!("{}:user", stored.run_id);
                meta["idempotencyKey"] = key.as_str().into();
                message.insert("idempotencyKey".to_owned(), key.into());
            }
        }
        Entry::Assistant { usage: tokens, .. } => {
            message.insert("usage".to_owned(), usage(tokens));
        }
        Entry::ToolResult { .. } => {}
    }
    message.insert("__openclaw".to_owned(), meta);
    message.into()
}

#[cfg(test)]
mod tests {
    use creel_ipc::msg::transcript::{StopReason, Usage};

    use super::*;

    #[test]
    fn a_history_keeps_its_newest_part_within_its_bytes() {
        let messages: Vec<Value> = (0..10).map(|n| json!(format!("{n:08}"))).collect();
        assert_eq!(newest(messages.clone(), 35), messages[7..]);
        assert_eq!(newest(messages.clone(), 1), messages[9..]);
        assert_eq!(newest(messages.clone(), 1000), messages);
        assert!(newest(Vec::new(), 10).is_empty());
    }

    #[test]
    fn entries_read_as_the_recorded_messages() {
        let stored = |entry| StoredEntry { seq: 3, entry, at_ms: 9, run_id: "r".to_owned() };
        let user = message(&stored(Entry::User { content: vec![Block::text("hi")], timestamp: 7 }));
        assert_eq!(
            user,
            json!({
                "role": "user", "content": "hi", "timestamp": 7, "idempotencyKey": "r:user",
                "__openclaw": {"id": "r:3", "seq": 3, "recordTimestampMs": 9, "runId": "r", "idempotencyKey": "r:user"},
            })
        );
        let assistant = message(&stored(Entry::Assistant {
            content: vec![Block::text("hello")],
            api: "openai-completions".into(),
            provider: "fake".into(),
            model: "fake-1".into(),
            usage: Usage { input: 100, output: 8, ..Usage::default() },
            stop_reason: StopReason::Stop,
            error_message: None,
            timestamp: 8,
        }));
        assert_eq!(assistant["stopReason"], "stop");
        assert_eq!(assistant["usage"]["totalTokens"], 108);
        assert_eq!(assistant["content"][0], json!({"type": "text", "text": "hello"}));
    }
}
