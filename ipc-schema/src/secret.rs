//! The one type that carries a secret.
//!
//! A [`Secret`] has no `Display` and its `Debug` prints nothing of it. It has no `Serialize` either: a field
//! that must cross the wire says so with `#[serde(serialize_with = "reveal")]`, so that each crossing is
//! visible at its declaration (D8).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroize;

/// A token, key or password. Wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes ownership of the secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself. Call it only where the value leaves for its one destination.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

/// A whole JSON object that contains secrets, such as the settings of one channel account.
///
/// The gateway forwards it without looking inside.
#[derive(Clone, PartialEq, Default)]
pub struct SecretJson(serde_json::Value);

impl SecretJson {
    /// Wraps a value that must not be printed.
    pub fn new(value: serde_json::Value) -> Self {
        Self(value)
    }

    /// The value itself, for the process that it is meant for.
    pub fn expose(&self) -> &serde_json::Value {
        &self.0
    }
}

impl fmt::Debug for SecretJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretJson(…)")
    }
}

impl<'de> Deserialize<'de> for SecretJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for SecretJson {
    fn schema_name() -> Cow<'static, str> {
        "SecretJson".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        serde_json::Value::json_schema(generator)
    }
}

/// What can be written to the wire on purpose.
pub trait Reveal {
    /// Writes the secret itself.
    fn reveal<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
}

impl Reveal for Secret {
    fn reveal<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Reveal for SecretJson {
    fn reveal<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Reveal for Option<Secret> {
    fn reveal<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_ref().map(Secret::expose).serialize(serializer)
    }
}

impl Reveal for BTreeMap<String, Secret> {
    fn reveal<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(name, secret)| (name, secret.expose())))
    }
}

/// For `#[serde(serialize_with = "…")]` on the few fields that carry a secret over a worker's stdio.
pub fn reveal<T: Reveal, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    value.reveal(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_the_secret() {
        let shown = format!(
            "{:?} {:?}",
            Secret::new("hunter2"),
            SecretJson::new(serde_json::json!({"t": "hunter2"}))
        );
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
