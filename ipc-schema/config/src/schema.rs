//! JSON Schema of the configuration, for editors. The reader itself does not use it.

use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::shape::Shape;

/// The schema of the whole file, JSON Schema draft 2020-12.
pub fn schema() -> Value {
    let mut schema = Config::schema();
    if let Value::Object(entries) = &mut schema {
        entries.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        entries.insert("title".into(), "Creel configuration".into());
    }
    schema
}

/// Adds a description.
pub(crate) fn described(mut schema: Value, about: &str) -> Value {
    if let Value::Object(entries) = &mut schema {
        entries.insert("description".into(), about.into());
    }
    schema
}

/// A table with these keys and no others, besides `$include`.
pub(crate) fn closed(mut properties: Map<String, Value>) -> Value {
    properties.insert("$include".into(), json!({"type": ["string", "array"], "items": {"type": "string"}}));
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}
