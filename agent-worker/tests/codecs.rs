//! The wire formats, byte by byte: answers from files, requests as snapshots.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests count as tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use creel_agent::model::{Ask, Auth, Draft, Ev, Images, ToolSpec, codec};
use creel_agent::turn::repair::repair;
use creel_ipc::Secret;
use creel_ipc::msg::agent::{Model, Provider};
use creel_ipc::msg::transcript::{Block, Entry, StopReason, Usage};
use proptest::prelude::*;
use serde_json::{Value, json};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 5);
    files
}

fn events(api: &str, chunks: &[&[u8]]) -> Vec<Ev> {
    let mut codec = codec(api).unwrap();
    let mut events = Vec::new();
    for chunk in chunks {
        codec.feed(chunk, &mut events);
    }
    codec.finish(&mut events);
    events
}

/// What becomes of an answer.
fn outcome(events: &[Ev]) -> Value {
    let ends = events.iter().filter(|event| matches!(event, Ev::End | Ev::Fail(_))).count();
    assert_eq!(ends, 1, "{events:?}");
    let mut draft = Draft::default();
    events.iter().for_each(|event| draft.take(event));
    let failure = |error: &creel_agent::model::ModelError| json!({"class": format!("{:?}", error.class), "error": error.message});
    match events.last() {
        Some(Ev::Fail(error)) => failure(error),
        Some(Ev::End) => match draft.finish() {
            Ok(answer) => json!({"stop": answer.stop, "content": answer.content, "usage": answer.usage}),
            Err(error) => failure(&error),
        },
        other => panic!("the last event is {other:?}"),
    }
}

fn golden(api: &str, folder: &str) {
    for file in files(folder) {
        let bytes = std::fs::read(&file).unwrap();
        let whole = events(api, &[&bytes]);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(events(api, &single), whole, "{}", file.display());
        let name = format!("{folder}__{}", file.file_stem().unwrap().to_string_lossy());
        insta::assert_json_snapshot!(name, outcome(&whole));
    }
}

#[test]
fn answers_of_anthropic_messages() {
    golden("anthropic-messages", "anthropic");
}

#[test]
fn answers_of_openai_completions() {
    golden("openai-completions", "openai");
}

fn spoilt() -> impl Strategy<Value = (usize, usize, Vec<(usize, u8)>)> {
    (any::<usize>(), any::<usize>(), proptest::collection::vec((any::<usize>(), any::<u8>()), 0..8))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn spoilt_answers_end_exactly_once((which, cut, flips) in spoilt()) {
        for (api, folder) in [("anthropic-messages", "anthropic"), ("openai-completions", "openai")] {
            let files = files(folder);
            let mut bytes = std::fs::read(&files[which % files.len()]).unwrap();
            bytes.truncate(cut % (bytes.len() + 1));
            let len = bytes.len();
            for (at, byte) in &flips {
                if let Some(spoilt) = bytes.get_mut(at % len.max(1)) {
                    *spoilt = *byte;
                }
            }
            let (head, tail) = bytes.split_at(bytes.len() / 2);
            outcome(&events(api, &[head, tail]));
        }
    }
}

fn assistant(api: &str, model: &str, content: Vec<Block>) -> Entry {
    Entry::Assistant {
        content,
        api: api.to_owned(),
        provider: "p".to_owned(),
        model: model.to_owned(),
        usage: Usage::default(),
        stop_reason: StopReason::ToolUse,
        error_message: None,
        timestamp: 0,
    }
}

fn user(content: Vec<Block>) -> Entry {
    Entry::User { content, timestamp: 0 }
}

fn conversation() -> Vec<Entry> {
    let signed = |text: &str| Block::Thinking {
        thinking: text.to_owned(),
        thinking_signature: (!text.is_empty()).then(|| "sig".to_owned()),
    };
    let call = |id: &str, arguments: Value| Block::ToolCall {
        id: id.to_owned(),
        name: "exec".to_owned(),
        arguments,
    };
    let result = |id: &str, text: &str, is_error: bool| Entry::ToolResult {
        tool_call_id: id.to_owned(),
        tool_name: "exec".to_owned(),
        content: vec![Block::text(text)],
        is_error,
        timestamp: 0,
    };
    repair(vec![
        user(vec![Block::text("before")]),
        assistant(
            "openai-completions",
            "other",
            vec![signed("not mine"), call("a|b.c", json!({"command": "ls"}))],
        ),
        result("a|b.c", "x", false),
        user(vec![
            Block::text("look"),
            Block::Image { sha256: "aa".to_owned(), mime_type: "image/png".to_owned() },
        ]),
        assistant(
            "anthropic-messages",
            "m",
            vec![signed("mine"), Block::text("I look."), call("c", json!("{broken")), call("d", json!({}))],
        ),
        result("c", "", true),
        result("d", "fine", false),
    ])
}

fn body(
    api: &str,
    base_url: &str,
    reasoning: bool,
    thinking: Option<&str>,
    messages: &[Entry],
) -> (String, Auth, Value) {
    let provider = Provider {
        base_url: base_url.to_owned(),
        api: api.to_owned(),
        api_key: Some(Secret::new("k")),
        headers: BTreeMap::new(),
    };
    let model = Model {
        provider: "p".to_owned(),
        id: "m".to_owned(),
        context_window: 100_000,
        max_tokens: 8192,
        reasoning,
        images: true,
    };
    let tools = [
        ToolSpec { name: "exec", description: "Runs.", schema: json!({"type": "object"}) },
        ToolSpec { name: "read", description: "Reads.", schema: json!({"type": "object"}) },
    ];
    let images = Images::from([("aa".to_owned(), "aW1n".to_owned())]);
    let ask = Ask {
        provider_id: "p",
        provider: &provider,
        model: &model,
        thinking,
        system: "Be kind.",
        messages,
        tools: &tools,
        images: &images,
    };
    let request = codec(api).unwrap().request(&ask);
    assert!(request.headers.iter().all(|(_, value)| value != "k"));
    (request.url, request.auth, serde_json::from_slice(&request.body).unwrap())
}

#[test]
fn a_request_of_anthropic_messages() {
    let (url, auth, body) =
        body("anthropic-messages", "https://api.anthropic.com", true, Some("medium"), &conversation());
    assert_eq!((url.as_str(), auth), ("https://api.anthropic.com/v1/messages", Auth::ApiKey));
    insta::assert_json_snapshot!(body);
}

#[test]
fn a_tool_loop_that_began_without_thinking_goes_on_without() {
    let mut messages = conversation();
    messages.truncate(3);
    let (url, _, body) = body("anthropic-messages", "https://x.example/v1/", true, Some("medium"), &messages);
    assert_eq!(url, "https://x.example/v1/messages");
    assert_eq!(body.get("thinking"), None, "{body}");
}

#[test]
fn a_request_of_openai_completions() {
    let (url, auth, body) =
        body("openai-completions", "https://api.openai.com/v1", true, Some("low"), &conversation());
    assert_eq!((url.as_str(), auth), ("https://api.openai.com/v1/chat/completions", Auth::Bearer));
    insta::assert_json_snapshot!(body);
}

#[test]
fn a_request_to_a_local_server_uses_the_oldest_words() {
    let (_, _, body) = body(
        "openai-completions",
        "http://127.0.0.1:11434/v1/",
        false,
        Some("low"),
        &[user(vec![Block::text("hi")])],
    );
    assert_eq!(
        body,
        json!({
            "model": "m",
            "stream": true,
            "stream_options": {"include_usage": true},
            "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}],
            "max_tokens": 8192,
            "tools": [
                {"type": "function", "function": {"name": "exec", "description": "Runs.", "parameters": {"type": "object"}}},
                {"type": "function", "function": {"name": "read", "description": "Reads.", "parameters": {"type": "object"}}},
            ],
        })
    );
}
