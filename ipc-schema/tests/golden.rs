//! Lines of the wire that must be understood for as long as the major version lives.
//!
//! `golden/v1/<method>.ndjson` holds whole frames. They are never edited; new ones are added. Each must validate
//! against the published schema and come out of a round trip byte for byte.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use creel_ipc::catalog::{Method, Shape, methods};
use creel_ipc::{Message, RpcError};
use serde_json::Value;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn through(shape: &Shape, value: Value, place: &str) -> Value {
    let schema = serde_json::to_value((shape.schema)()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    if let Err(error) = validator.validate(&value) {
        panic!("{place} does not fit its schema: {error}");
    }
    (shape.through)(value).unwrap_or_else(|error| panic!("{place} is not understood: {error}"))
}

fn round_trip(method: &Method, line: &str, place: &str) -> Message {
    match Message::decode(line.as_bytes()).unwrap_or_else(|error| panic!("{place}: {error}")) {
        Message::Request { id, method: name, params } => {
            assert_eq!(name, method.name, "{place}");
            Message::Request { id, method: name, params: through(&method.params, params, place) }
        }
        Message::Notification { method: name, params } => {
            assert_eq!(name, method.name, "{place}");
            Message::Notification { method: name, params: through(&method.params, params, place) }
        }
        Message::Response { id, outcome: Ok(result) } => {
            let shape =
                method.result.as_ref().unwrap_or_else(|| panic!("{place}: a notification has no result"));
            Message::Response { id, outcome: Ok(through(shape, result, place)) }
        }
        Message::Response { id, outcome: Err(error) } => {
            let error: RpcError = serde_json::from_value(serde_json::to_value(error).unwrap()).unwrap();
            Message::Response { id, outcome: Err(error) }
        }
    }
}

#[test]
fn every_golden_line_survives_a_round_trip() {
    for method in methods() {
        let path = folder("golden/v1").join(format!("{}.ndjson", method.name));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{} needs golden lines in {}: {error}", method.name, path.display())
        });
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}.ndjson:{}", method.name, number + 1);
            let encoded = round_trip(&method, line, &place).encode();
            assert_eq!(String::from_utf8(encoded).unwrap().trim_end(), line, "{place}");
        }
        if let Some(result) = &method.result {
            assert!(
                text.contains("\"result\":"),
                "{} has no golden result {:?}",
                method.name,
                (result.schema)()
            );
        }
    }
}

#[test]
fn fields_of_a_newer_minor_are_ignored() {
    for method in methods() {
        let text =
            std::fs::read_to_string(folder("golden/v1").join(format!("{}.ndjson", method.name))).unwrap();
        for line in text.lines().filter(|line| line.contains("\"params\":{")) {
            let Ok(Message::Request { params, .. } | Message::Notification { params, .. }) =
                Message::decode(line.as_bytes())
            else {
                continue;
            };
            let mut newer = params.clone();
            newer["addedInMinorNine"] = Value::from(1);
            let (old, new) = ((method.params.through)(params), (method.params.through)(newer));
            assert_eq!(old.unwrap(), new.unwrap(), "{}", method.name);
        }
    }
}

#[test]
fn the_published_schemas_are_those_of_the_code() {
    let mut stale = Vec::new();
    for (name, text) in creel_ipc::catalog::schema_files() {
        if std::fs::read_to_string(folder("schema").join(&name)).ok().as_deref() != Some(text.as_str()) {
            stale.push(name);
        }
    }
    assert!(stale.is_empty(), "run `cargo xtask schema` and review: {}", stale.join(", "));
}
