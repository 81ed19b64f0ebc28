//! Messages of Pi's files and our entries.
//!
//! Roles and blocks are the same, but for images: Pi's files have them within, and ours by the hash of a file that is kept
//! elsewhere. In either direction an image becomes a sentence.

use serde_json::{Map, Value, json};

use crate::msg::transcript::{Block, Entry, StopReason, Usage};

/// A message as Pi writes it.
pub fn message_of(entry: &Entry) -> Value {
    let mut message = serde_json::to_value(entry).unwrap_or_default();
    if let Entry::Assistant { usage, .. } = entry {
        let total = usage.input + usage.output + usage.cache_read + usage.cache_write;
        message["usage"]["totalTokens"] = json!(total);
        // What it cost is not known here, and readers add it up.
        message["usage"]["cost"] =
            json!({"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "total": 0});
    }
    for block in message["content"].as_array_mut().into_iter().flatten() {
        if block["type"] == "image" {
            let (mime, sha256) = (text(block, "mimeType"), text(block, "sha256"));
            *block = json!({"type": "text", "text": format!("[An image of type {mime}, SHA-256 {sha256}, is not in this file]")});
        }
    }
    message
}

/// The entry that a message is, or stands for; `None` for one that no model gets to read.
pub(super) fn entry_of(message: &Value) -> Option<Entry> {
    let timestamp = message["timestamp"].as_i64().unwrap_or(0);
    let content = || blocks(&message["content"]);
    let entry = match message["role"].as_str()? {
        "user" => Entry::User { content: content(), timestamp },
        "assistant" => Entry::Assistant {
            content: content(),
            api: text(message, "api"),
            provider: text(message, "provider"),
            model: text(message, "model"),
            usage: usage(&message["usage"]),
            stop_reason: stop_reason(&message["stopReason"]),
            error_message: message["errorMessage"].as_str().map(str::to_owned),
            timestamp,
        },
        "toolResult" => Entry::ToolResult {
            tool_call_id: text(message, "toolCallId"),
            tool_name: text(message, "toolName"),
            content: content(),
            is_error: message["isError"] == true,
            timestamp,
        },
        "bashExecution" if message["excludeFromContext"] != true => {
            let said = format!("{}\n{}", text(message, "command"), text(message, "output"));
            at(note("A person ran this command, and this is what it printed", &said), timestamp)
        }
        "custom" => at(note("Note", &text_of(&message["content"])), timestamp),
        "branchSummary" => at(
            note("Summary of another branch of this conversation", message["summary"].as_str()?),
            timestamp,
        ),
        "compactionSummary" => {
            at(note("Summary of what was said before", message["summary"].as_str()?), timestamp)
        }
        _ => return None,
    };
    Some(entry)
}

/// Something that nobody said in these words.
pub(super) fn note(what: &str, said: &str) -> Entry {
    Entry::User { content: vec![Block::text(format!("[{what}]\n{}", said.trim()))], timestamp: 0 }
}

fn at(entry: Entry, moment: i64) -> Entry {
    match entry {
        Entry::User { content, .. } => Entry::User { content, timestamp: moment },
        other => other,
    }
}

/// The text of a content, which is a string or blocks.
pub(super) fn text_of(content: &Value) -> String {
    let texts = blocks(content).into_iter().filter_map(|block| match block {
        Block::Text { text } => Some(text),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn blocks(content: &Value) -> Vec<Block> {
    match content {
        Value::String(text) => vec![Block::text(text)],
        Value::Array(blocks) => blocks.iter().filter_map(block).collect(),
        _ => Vec::new(),
    }
}

fn block(block: &Value) -> Option<Block> {
    Some(match block["type"].as_str()? {
        "text" => Block::text(text(block, "text")),
        "thinking" => Block::Thinking {
            thinking: text(block, "thinking"),
            thinking_signature: block["thinkingSignature"].as_str().map(str::to_owned),
        },
        "toolCall" => Block::ToolCall {
            id: text(block, "id"),
            name: text(block, "name"),
            arguments: match &block["arguments"] {
                Value::Object(arguments) => Value::Object(arguments.clone()),
                _ => Value::Object(Map::new()),
            },
        },
        "image" => Block::text(format!("[An image of type {} was here]", text(block, "mimeType"))),
        _ => return None,
    })
}

fn text(of: &Value, field: &str) -> String {
    of[field].as_str().unwrap_or_default().to_owned()
}

fn usage(usage: &Value) -> Usage {
    let count = |field: &str| usage[field].as_u64().unwrap_or(0);
    Usage {
        input: count("input"),
        output: count("output"),
        cache_read: count("cacheRead"),
        cache_write: count("cacheWrite"),
    }
}

fn stop_reason(word: &Value) -> StopReason {
    serde_json::from_value(word.clone()).unwrap_or(StopReason::Stop)
}
