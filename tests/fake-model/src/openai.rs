//! OpenAI's chat completions, as far as clients of many makers agree on it.

use serde_json::{Value, json};

use crate::script::{Act, Last};

/// The last message of a request.
pub(crate) fn last(body: &Value) -> Last {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let asked = messages.iter().rposition(|message| message["role"] == "user");
    let user = asked.map(|at| text(&messages[at]["content"])).unwrap_or_default();
    let since = &messages[asked.map_or(0, |at| at + 1)..];
    let answered = since.iter().filter(|message| message["role"] == "tool").count();
    let result = messages.last().filter(|message| message["role"] == "tool");
    Last::of(user, answered, result.map(|message| text(&message["content"])))
}

/// A string, or a list of parts of which the text ones count.
pub(crate) fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn chunk(id: &str, model: &str, delta: &Value, finish: Option<&str>) -> String {
    let chunk = json!({
        "id": id, "object": "chat.completion.chunk", "created": 1, "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    });
    format!("data: {chunk}\n\n")
}

fn usage(act: &Act) -> Value {
    let tokens = match act {
        Act::Say { pieces, .. } => pieces.len(),
        Act::Call { .. } => 8,
    };
    json!({"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens})
}

/// The events of a streamed answer: what comes first, one for each piece, and what comes last.
pub(crate) fn stream(id: &str, model: &str, act: &Act, with_usage: bool) -> (String, Vec<String>, String) {
    let first = chunk(id, model, &json!({"role": "assistant", "content": ""}), None);
    let (middle, finish) = match act {
        Act::Say { pieces, .. } => {
            (pieces.iter().map(|p| chunk(id, model, &json!({"content": p}), None)).collect(), "stop")
        }
        Act::Call { tool, arguments } => {
            // The arguments come torn, as real servers tear them.
            let cut = arguments.char_indices().nth(arguments.chars().count() / 2).map_or(0, |(at, _)| at);
            let (head, tail) = arguments.split_at(cut);
            let opening = json!({"tool_calls": [{"index": 0, "id": format!("call_{id}"), "type": "function",
                "function": {"name": tool, "arguments": head}}]});
            let rest = json!({"tool_calls": [{"index": 0, "function": {"arguments": tail}}]});
            (vec![chunk(id, model, &opening, None), chunk(id, model, &rest, None)], "tool_calls")
        }
    };
    let mut end = chunk(id, model, &json!({}), Some(finish));
    if with_usage {
        let usage = json!({"id": id, "object": "chat.completion.chunk", "created": 1, "model": model,
            "choices": [], "usage": usage(act)});
        end += &format!("data: {usage}\n\n");
    }
    end += "data: [DONE]\n\n";
    (first, middle, end)
}

/// The same answer in one piece.
pub(crate) fn whole(id: &str, model: &str, act: &Act) -> Value {
    let (message, finish) = match act {
        Act::Say { pieces, .. } => (json!({"role": "assistant", "content": pieces.concat()}), "stop"),
        Act::Call { tool, arguments } => (
            json!({"role": "assistant", "content": null, "tool_calls": [{"id": format!("call_{id}"),
                "type": "function", "function": {"name": tool, "arguments": arguments}}]}),
            "tool_calls",
        ),
    };
    json!({"id": id, "object": "chat.completion", "created": 1, "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage(act)})
}
