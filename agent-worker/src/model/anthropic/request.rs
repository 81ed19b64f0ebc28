//! Building a request of the Messages API.

use creel_ipc::msg::agent::Model;
use creel_ipc::msg::transcript::{Block, Entry};
use serde_json::{Map, Value, json};

use crate::model::Ask;
use crate::model::draft::REDACTED;

/// The smallest budget that the API takes.
const MIN_BUDGET: u64 = 1024;

/// The body.
pub(super) fn body(ask: &Ask<'_>) -> Value {
    let thinking = Thinking::of(ask);
    let mut body = json!({
        "model": ask.model.id,
        "max_tokens": ask.model.max_tokens,
        "stream": true,
        "messages": messages(ask, thinking != Thinking::Off),
    });
    if !ask.system.is_empty() {
        body["system"] =
            json!([{"type": "text", "text": ask.system, "cache_control": {"type": "ephemeral"}}]);
    }
    if !ask.tools.is_empty() {
        let last = ask.tools.len() - 1;
        let tools = ask.tools.iter().enumerate().map(|(n, tool)| {
            let mut tool =
                json!({"name": tool.name, "description": tool.description, "input_schema": tool.schema});
            if n == last {
                tool["cache_control"] = json!({"type": "ephemeral"});
            }
            tool
        });
        body["tools"] = tools.collect();
    }
    match thinking {
        Thinking::Off => {}
        Thinking::Budget(tokens) => body["thinking"] = json!({"type": "enabled", "budget_tokens": tokens}),
        Thinking::Adaptive(effort) => {
            body["thinking"] = json!({"type": "adaptive"});
            body["output_config"] = json!({"effort": effort});
        }
    }
    body
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thinking {
    Off,
    Budget(u64),
    Adaptive(&'static str),
}

impl Thinking {
    fn of(ask: &Ask<'_>) -> Self {
        if !ask.model.reasoning || !may_think(ask) {
            return Self::Off;
        }
        let (budget, effort) = match ask.thinking {
            Some("minimal") => (1024, "low"),
            Some("low") => (2048, "low"),
            Some("medium") => (8192, "medium"),
            Some("high") => (16_384, "high"),
            Some("xhigh") => (32_768, "xhigh"),
            _ => return Self::Off,
        };
        if is_adaptive(&ask.model.id) {
            return Self::Adaptive(effort);
        }
        // The budget is a part of the answer's tokens and must leave room for the answer.
        let budget = budget.min(ask.model.max_tokens / 2);
        if budget < MIN_BUDGET { Self::Off } else { Self::Budget(budget) }
    }
}

/// In the middle of a tool loop, the API wants the answer to begin with its thinking; one that came without it (from
/// another model) can only be continued without.
fn may_think(ask: &Ask<'_>) -> bool {
    let last_answer = ask.messages.iter().rev().find_map(|entry| match entry {
        Entry::User { .. } => Some(true),
        Entry::Assistant { content, .. } => Some(
            matches!(content.first(), Some(block) if own(entry, ask.model, ask.provider_id) && signed(block)),
        ),
        Entry::ToolResult { .. } => None,
    });
    last_answer.unwrap_or(true)
}

/// Models that set the budget themselves: Claude 4.6 and later.
fn is_adaptive(id: &str) -> bool {
    let Some(rest) = id.split("claude-").nth(1) else { return false };
    // `claude-3-7-sonnet`: the older order of words.
    if rest.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let mut numbers = rest.split('-').skip(1).map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        // `claude-sonnet-4-20250514` has a date where later names have a minor version.
        (Some(major), Some(minor)) if minor < 1000 => (major, minor) >= (4, 6),
        (Some(major), _) => (5..1000).contains(&major),
        (None, _) => false,
    }
}

fn signed(block: &Block) -> bool {
    matches!(block, Block::Thinking { thinking_signature: Some(_), .. })
}

/// Whether the entry came from this very model: only then are its signatures valid.
fn own(entry: &Entry, model: &Model, provider: &str) -> bool {
    matches!(entry, Entry::Assistant { model: id, provider: from, api, .. }
        if *id == model.id && from == provider && api == "anthropic-messages")
}

fn messages(ask: &Ask<'_>, thinking: bool) -> Vec<Value> {
    let mut out: Vec<(&'static str, Vec<Value>)> = Vec::new();
    for entry in ask.messages {
        let (role, blocks) = match entry {
            Entry::User { content, .. } => ("user", said(content, ask)),
            Entry::Assistant { content, .. } => {
                let keep = thinking && own(entry, ask.model, ask.provider_id);
                ("assistant", content.iter().filter_map(|block| answered(block, keep)).collect())
            }
            Entry::ToolResult { tool_call_id, content, is_error, .. } => {
                let mut result = json!({
                    "type": "tool_result",
                    "tool_use_id": id(tool_call_id),
                    "content": said(content, ask),
                });
                if *is_error {
                    result["is_error"] = json!(true);
                }
                ("user", vec![result])
            }
        };
        if blocks.is_empty() {
            continue;
        }
        match out.last_mut() {
            Some((last, merged)) if *last == role => merged.extend(blocks),
            _ => out.push((role, blocks)),
        }
    }
    // The longest prefix that the next call will share.
    if let Some(block) =
        out.iter_mut().rev().find(|(role, _)| *role == "user").and_then(|(_, b)| b.last_mut())
    {
        block["cache_control"] = json!({"type": "ephemeral"});
    }
    out.into_iter().map(|(role, content)| json!({"role": role, "content": content})).collect()
}

fn said(content: &[Block], ask: &Ask<'_>) -> Vec<Value> {
    let mut blocks: Vec<Value> = content
        .iter()
        .filter_map(|block| match block {
            Block::Text { text } if !text.trim().is_empty() => Some(json!({"type": "text", "text": text})),
            Block::Image { sha256, mime_type } => {
                Some(match ask.images.get(sha256).filter(|_| ask.model.images) {
                    Some(data) => json!({
                        "type": "image",
                        "source": {"type": "base64", "media_type": mime_type, "data": data},
                    }),
                    None => json!({"type": "text", "text": "[an image that is not shown here]"}),
                })
            }
            _ => None,
        })
        .collect();
    if blocks.is_empty() {
        blocks.push(json!({"type": "text", "text": "(empty)"}));
    }
    blocks
}

fn answered(block: &Block, thinking: bool) -> Option<Value> {
    match block {
        Block::Text { text } => (!text.trim().is_empty()).then(|| json!({"type": "text", "text": text})),
        Block::Thinking { thinking: text, thinking_signature: Some(signature) } if thinking => {
            Some(match signature.strip_prefix(REDACTED) {
                Some(data) => json!({"type": "redacted_thinking", "data": data}),
                None => json!({"type": "thinking", "thinking": text, "signature": signature}),
            })
        }
        Block::Thinking { .. } | Block::Image { .. } => None,
        Block::ToolCall { id: call, name, arguments } => {
            let input = if arguments.is_object() { arguments.clone() } else { Value::Object(Map::new()) };
            Some(json!({"type": "tool_use", "id": id(call), "name": name, "input": input}))
        }
    }
}

/// Ids of other providers may have characters that this API refuses.
fn id(id: &str) -> String {
    id.chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' })
        .take(64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_adaptive_models() {
        for (id, adaptive) in [
            ("claude-sonnet-4-5", false),
            ("claude-sonnet-4-5-20250929", false),
            ("claude-sonnet-4-20250514", false),
            ("claude-opus-4-6", true),
            ("anthropic/claude-opus-4-7-20260101", true),
            ("claude-haiku-5", true),
            ("claude-3-7-sonnet-latest", false),
            ("gpt-5", false),
        ] {
            assert_eq!(is_adaptive(id), adaptive, "{id}");
        }
    }
}
