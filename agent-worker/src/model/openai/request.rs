//! Building a request of the chat completions API.

use creel_ipc::msg::transcript::{Block, Entry};
use serde_json::{Value, json};

use crate::model::Ask;
use crate::model::compat::{Compat, ThinkingFormat};

/// The body.
pub(super) fn body(ask: &Ask<'_>) -> Value {
    let compat = Compat::of(ask.provider_id, &ask.provider.base_url, &ask.model.id);
    let mut body = json!({
        "model": ask.model.id,
        "stream": true,
        "stream_options": {"include_usage": true},
        "messages": messages(ask, &compat),
    });
    body[compat.max_tokens_field] = json!(ask.model.max_tokens);
    if compat.store {
        body["store"] = json!(false);
    }
    if !ask.tools.is_empty() {
        let tools = ask.tools.iter().map(|tool| {
            let mut function =
                json!({"name": tool.name, "description": tool.description, "parameters": tool.schema});
            if compat.strict_tools {
                function["strict"] = json!(false);
            }
            json!({"type": "function", "function": function})
        });
        body["tools"] = tools.collect();
    }
    think(ask, &compat, &mut body);
    body
}

fn think(ask: &Ask<'_>, compat: &Compat, body: &mut Value) {
    if !ask.model.reasoning {
        return;
    }
    let level = ask.thinking.filter(|level| *level != "off");
    match (compat.thinking, level) {
        (ThinkingFormat::Effort, Some(level)) => body["reasoning_effort"] = json!(level),
        (ThinkingFormat::OpenRouter, Some(level)) => body["reasoning"] = json!({"effort": level}),
        (ThinkingFormat::DeepSeek, Some(level)) => {
            body["thinking"] = json!({"type": "enabled"});
            body["reasoning_effort"] = json!(level);
        }
        (ThinkingFormat::DeepSeek, None) => body["thinking"] = json!({"type": "disabled"}),
        (ThinkingFormat::Enable, level) => body["enable_thinking"] = json!(level.is_some()),
        (ThinkingFormat::Effort | ThinkingFormat::OpenRouter, None) | (ThinkingFormat::None, _) => {}
    }
}

fn messages(ask: &Ask<'_>, compat: &Compat) -> Vec<Value> {
    let mut out = Vec::new();
    if !ask.system.is_empty() {
        let role = if compat.developer_role && ask.model.reasoning { "developer" } else { "system" };
        let content = if compat.anthropic_cache {
            json!([{"type": "text", "text": ask.system, "cache_control": {"type": "ephemeral"}}])
        } else {
            json!(ask.system)
        };
        out.push(json!({"role": role, "content": content}));
    }
    for entry in ask.messages {
        match entry {
            Entry::User { content, .. } => out.push(json!({"role": "user", "content": said(content, ask)})),
            Entry::Assistant { content, .. } => out.push(answered(content, compat)),
            Entry::ToolResult { tool_call_id, content, .. } => {
                out.push(json!({"role": "tool", "tool_call_id": tool_call_id, "content": plain(content)}));
            }
        }
    }
    if compat.anthropic_cache
        && let Some(last) = out.iter_mut().rev().find(|message| message["role"] == "user")
    {
        if let Value::String(text) = &last["content"] {
            last["content"] = json!([{"type": "text", "text": text}]);
        }
        if let Some(part) = last["content"].as_array_mut().and_then(|parts| parts.last_mut()) {
            part["cache_control"] = json!({"type": "ephemeral"});
        }
    }
    out
}

/// Plain text where it can be: not every server takes parts.
fn said(content: &[Block], ask: &Ask<'_>) -> Value {
    let images: Vec<Value> = content
        .iter()
        .filter_map(|block| match block {
            Block::Image { sha256, mime_type } => {
                let data = ask.images.get(sha256).filter(|_| ask.model.images)?;
                Some(json!({"type": "image_url", "image_url": {"url": format!("data:{mime_type};base64,{data}")}}))
            }
            _ => None,
        })
        .collect();
    let hidden = content.iter().filter(|block| matches!(block, Block::Image { .. })).count() - images.len();
    let mut text = plain(content);
    if hidden > 0 {
        text.push_str("\n[an image that is not shown here]");
    }
    if images.is_empty() {
        return json!(text);
    }
    std::iter::once(json!({"type": "text", "text": text})).chain(images).collect()
}

fn plain(content: &[Block]) -> String {
    let texts = content.iter().filter_map(|block| match block {
        Block::Text { text } => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn answered(content: &[Block], compat: &Compat) -> Value {
    let calls: Vec<Value> = content
        .iter()
        .filter_map(|block| match block {
            Block::ToolCall { id, name, arguments } => {
                let arguments = if arguments.is_object() { arguments.to_string() } else { "{}".to_owned() };
                let function = json!({"name": name, "arguments": arguments});
                Some(json!({"id": id, "type": "function", "function": function}))
            }
            _ => None,
        })
        .collect();
    let text = plain(content);
    // Some servers refuse null, others refuse to have nothing at all.
    let mut message = json!({"role": "assistant", "content": text});
    if !calls.is_empty() {
        if text.is_empty() {
            message["content"] = Value::Null;
        }
        message["tool_calls"] = Value::Array(calls);
    }
    if compat.echo_reasoning {
        let thinking = content.iter().filter_map(|block| match block {
            Block::Thinking { thinking, .. } => Some(thinking.as_str()),
            _ => None,
        });
        message["reasoning_content"] = json!(thinking.collect::<Vec<_>>().join("\n"));
    }
    message
}
