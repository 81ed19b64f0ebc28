//! Anthropic's Messages.

use serde_json::{Value, json};

use crate::openai::text;
use crate::script::{Act, Last};

/// The last message of a request; a tool result is a block of a user message.
pub(crate) fn last(body: &Value) -> Last {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_user: Vec<&Value> = messages.iter().filter(|message| message["role"] == "user").collect();
    let result = |message: &Value| {
        let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
        blocks.iter().rev().find(|block| block["type"] == "tool_result").map(|block| text(&block["content"]))
    };
    let asked = of_user.iter().rposition(|message| result(message).is_none());
    let user = asked.map(|at| text(&of_user[at]["content"])).unwrap_or_default();
    let since = &of_user[asked.map_or(0, |at| at + 1)..];
    Last::of(user, since.len(), since.last().and_then(|message| result(message)))
}

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
}

/// The events of a streamed answer: what comes first, one for each piece, and what comes last.
pub(crate) fn stream(id: &str, model: &str, act: &Act) -> (String, Vec<String>, String) {
    let (block, deltas, stop): (Value, Vec<Value>, _) = match act {
        Act::Say { pieces, .. } => (
            json!({"type": "text", "text": ""}),
            pieces.iter().map(|piece| json!({"type": "text_delta", "text": piece})).collect(),
            "end_turn",
        ),
        Act::Call { tool, arguments } => (
            json!({"type": "tool_use", "id": format!("toolu_{id}"), "name": tool, "input": {}}),
            vec![json!({"type": "input_json_delta", "partial_json": arguments})],
            "tool_use",
        ),
    };
    let start = json!({"type": "message_start", "message": {"id": id, "type": "message", "role": "assistant",
        "model": model, "content": [], "stop_reason": null, "usage": {"input_tokens": 10, "output_tokens": 1}}});
    let first = event(&start)
        + &event(&json!({"type": "content_block_start", "index": 0, "content_block": block}))
        + &event(&json!({"type": "ping"}));
    let middle = deltas
        .iter()
        .map(|delta| event(&json!({"type": "content_block_delta", "index": 0, "delta": delta})))
        .collect();
    let end = event(&json!({"type": "content_block_stop", "index": 0}))
        + &event(&json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null},
            "usage": {"output_tokens": deltas.len()}}))
        + &event(&json!({"type": "message_stop"}));
    (first, middle, end)
}

/// The same answer in one piece.
pub(crate) fn whole(id: &str, model: &str, act: &Act) -> Value {
    let (block, stop) = match act {
        Act::Say { pieces, .. } => (json!({"type": "text", "text": pieces.concat()}), "end_turn"),
        Act::Call { tool, arguments } => (
            json!({"type": "tool_use", "id": format!("toolu_{id}"), "name": tool,
                "input": serde_json::from_str::<Value>(arguments).unwrap_or_default()}),
            "tool_use",
        ),
    };
    json!({"id": id, "type": "message", "role": "assistant", "model": model, "content": [block],
        "stop_reason": stop, "usage": {"input_tokens": 10, "output_tokens": 8}})
}
