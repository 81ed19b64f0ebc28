//! How a value of the tree becomes a typed value, how it is shown again, and its JSON Schema.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use creel_ipc::Secret;
use serde_json::{Value, json};

use crate::Env;
use crate::fault::{Fault, MAX_COMPLAINTS, did_you_mean};
use crate::files::Files;
use crate::node::{Mark, Node, NodeKind};
use crate::sources::Sources;

/// Whether secrets are written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// `"(secret)"` stands in their place.
    Redacted,
    /// As they are, for the process or the operator that asked for them.
    Revealed,
}

/// What stands in the place of a secret.
pub const REDACTED: &str = "(secret)";

/// A typed part of the configuration.
pub trait Shape: Sized {
    /// Reads the value; `None` means that a fault was reported.
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self>;
    /// The value as JSON, defaults included.
    fn show(&self, show: Show) -> Value;
    /// JSON Schema of what [`Shape::read`] accepts.
    fn schema() -> Value;
}

/// A typed table. The macro of the same name writes the implementation.
pub trait Noun: Shape + Default {
    /// The keys of this table.
    const KEYS: &'static [&'static str];
    /// Reads the known keys of a table and leaves the others alone.
    fn read_entries(table: &Node, at: &mut Reading<'_>) -> Self;
    /// Every key with its value.
    fn show_entries(&self, show: Show) -> serde_json::Map<String, Value>;
    /// The schema of every key.
    fn properties() -> serde_json::Map<String, Value>;
}

/// The state of one reading: faults so far, and where secret files come from.
pub struct Reading<'a> {
    faults: Vec<Fault>,
    files: &'a dyn Files,
    sources: &'a Sources,
    env: &'a Env,
    keep_secrets: bool,
}

impl<'a> Reading<'a> {
    /// Starts a reading. Without `keep_secrets` every secret is checked for its shape and dropped.
    pub fn new(files: &'a dyn Files, sources: &'a Sources, env: &'a Env, keep_secrets: bool) -> Self {
        Self { faults: Vec::new(), files, sources, env, keep_secrets }
    }

    /// A secret from the environment, for the few variables that stand in for a key.
    pub fn secret_from_env(&self, name: &str) -> Option<Secret> {
        let value = self.env.get(name).filter(|value| !value.is_empty())?;
        Some(if self.keep_secrets { Secret::new(value.clone()) } else { Secret::default() })
    }

    /// Reports a fault.
    pub fn fault(&mut self, mark: Mark, what: impl Into<String>, fix: impl Into<String>) {
        self.faults.push(Fault { mark, path: None, what: what.into(), fix: fix.into() });
    }

    /// Reads a text that must be something; `no` says what it is not, as in "is no host".
    pub fn text<T>(
        &mut self,
        node: &Node,
        parse: impl FnOnce(&str) -> Option<T>,
        no: &str,
        fix: &str,
    ) -> Option<T> {
        let text = String::read(node, self)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            self.fault(node.mark, format!("\"{text}\" {no}"), fix);
        }
        parsed
    }

    /// Reports a value of the wrong kind.
    pub fn wrong_kind<T>(&mut self, node: &Node, wanted: &str) -> Option<T> {
        self.fault(node.mark, format!("this is {}", node.describe()), format!("write {wanted}"));
        None
    }

    /// ` (did you mean …?)` or nothing. Guessing stops when there are more faults than will be shown.
    pub fn hint(&self, given: &str, known: &[&str]) -> String {
        if self.faults.len() < MAX_COMPLAINTS {
            did_you_mean(given, known.iter().copied())
        } else {
            String::new()
        }
    }

    /// The faults so far.
    pub fn into_faults(self) -> Vec<Fault> {
        self.faults
    }

    /// The table's entries, after reporting each key that is not in `known`.
    pub fn table<'n>(&mut self, node: &'n Node, known: &[&str]) -> Option<&'n Node> {
        let Some(entries) = node.as_table() else {
            return self.wrong_kind(node, "a table { … }");
        };
        for (key, _) in entries {
            if !known.contains(&key.text.as_str()) {
                let hint = self.hint(&key.text, known);
                let fix = if hint.is_empty() {
                    format!("remove it, or use one of: {}", known.join(", "))
                } else {
                    format!("correct or remove it{hint}")
                };
                self.fault(key.mark, format!("unknown key \"{}\"", key.text), fix);
            }
        }
        Some(node)
    }

    /// Reports what a check of a value found.
    pub fn check(&mut self, node: &Node, outcome: Result<(), (String, String)>) {
        if let Err((what, fix)) = outcome {
            self.fault(node.mark, what, fix);
        }
    }
}

impl Shape for bool {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        match node.kind {
            NodeKind::Bool(value) => Some(value),
            _ => at.wrong_kind(node, "true or false, without quotes"),
        }
    }
    fn show(&self, _: Show) -> Value {
        (*self).into()
    }
    fn schema() -> Value {
        json!({"type": "boolean"})
    }
}

macro_rules! whole_number {
    ($($type:ty),*) => {$(
        impl Shape for $type {
            fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
                                match node.kind {
                    NodeKind::Integer(value) => match <$type>::try_from(value) {
                        Ok(value) => Some(value),
                        Err(_) => {
                            let bound = if value < 0 { "0 or more".into() } else { format!("at most {}", <$type>::MAX) };
                            at.fault(node.mark, format!("{value} is out of range"), format!("write {bound}"));
                            None
                        }
                    },
                    NodeKind::Float(value) => {
                        at.fault(node.mark, format!("{value:?} is no whole number"), "write digits only");
                        None
                    }
                    _ => at.wrong_kind(node, "a whole number, without quotes"),
                }
            }
            fn show(&self, _: Show) -> Value {
                (*self).into()
            }
            fn schema() -> Value {
                json!({"type": "integer", "minimum": <$type>::MIN, "maximum": <$type>::MAX})
            }
        }
    )*};
}
whole_number!(u16, u32, u64);

impl Shape for f64 {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        match node.kind {
            #[expect(clippy::cast_precision_loss, reason = "prices and factors are small")]
            NodeKind::Integer(value) => Some(value as Self),
            NodeKind::Float(value) if value.is_finite() => Some(value),
            NodeKind::Float(value) => {
                at.fault(node.mark, format!("{value} is not finite"), "write an ordinary number");
                None
            }
            _ => at.wrong_kind(node, "a number, without quotes"),
        }
    }
    fn show(&self, _: Show) -> Value {
        (*self).into()
    }
    fn schema() -> Value {
        json!({"type": "number"})
    }
}

impl Shape for String {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        match &node.kind {
            NodeKind::Text(text) => Some(text.clone()),
            _ => at.wrong_kind(node, "text in quotes"),
        }
    }
    fn show(&self, _: Show) -> Value {
        self.clone().into()
    }
    fn schema() -> Value {
        json!({"type": "string"})
    }
}

impl Shape for PathBuf {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(node, at)?;
        if text.is_empty() || text.contains('\0') {
            at.fault(node.mark, "this is no path", "write an absolute path or one that starts with ~/");
            return None;
        }
        Some(text.into())
    }
    fn show(&self, _: Show) -> Value {
        self.to_string_lossy().into()
    }
    fn schema() -> Value {
        json!({"type": "string", "minLength": 1})
    }
}

impl<T: Shape> Shape for Option<T> {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        match node.kind {
            NodeKind::Null => Some(None),
            _ => T::read(node, at).map(Some),
        }
    }
    fn show(&self, show: Show) -> Value {
        self.as_ref().map_or(Value::Null, |value| value.show(show))
    }
    fn schema() -> Value {
        json!({"anyOf": [T::schema(), {"type": "null"}]})
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        match &node.kind {
            NodeKind::List(items) => Some(items.iter().filter_map(|item| T::read(item, at)).collect()),
            _ => at.wrong_kind(node, "a list [ … ]"),
        }
    }
    fn show(&self, show: Show) -> Value {
        self.iter().map(|item| item.show(show)).collect()
    }
    fn schema() -> Value {
        json!({"type": "array", "items": T::schema()})
    }
}

impl<T: Shape + Ord> Shape for BTreeSet<T> {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        Vec::read(node, at).map(|items: Vec<T>| items.into_iter().collect())
    }
    fn show(&self, show: Show) -> Value {
        self.iter().map(|item| item.show(show)).collect()
    }
    fn schema() -> Value {
        json!({"type": "array", "items": T::schema()})
    }
}

/// What may stand as a key of an open table.
pub trait MapKey: Ord + Sized {
    /// Reads a key; `None` means that a fault was reported.
    fn read_key(text: &str, mark: Mark, at: &mut Reading<'_>) -> Option<Self>;
    /// The key as it is written.
    fn show_key(&self) -> String;
}

impl MapKey for String {
    fn read_key(text: &str, _: Mark, _: &mut Reading<'_>) -> Option<Self> {
        Some(text.to_owned())
    }
    fn show_key(&self) -> String {
        self.clone()
    }
}

impl<K: MapKey, T: Shape> Shape for BTreeMap<K, T> {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        let NodeKind::Table(entries) = &node.kind else {
            return at.wrong_kind(node, "a table { … }");
        };
        let mut map = Self::new();
        for (key, value) in entries {
            let key = K::read_key(&key.text, key.mark, at);
            let value = T::read(value, at);
            if let (Some(key), Some(value)) = (key, value) {
                map.insert(key, value);
            }
        }
        Some(map)
    }
    fn show(&self, show: Show) -> Value {
        Value::Object(self.iter().map(|(key, value)| (key.show_key(), value.show(show))).collect())
    }
    fn schema() -> Value {
        json!({"type": "object", "additionalProperties": T::schema()})
    }
}

impl Shape for Secret {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        let text = match &node.kind {
            NodeKind::Text(text) => text.clone(),
            NodeKind::Table(_) => {
                at.table(node, &["file"])?;
                let Some(file) = node.get("file") else {
                    at.fault(
                        node.mark,
                        "a secret in a file needs the file's name",
                        "write { file: \"/path/to/secret\" }",
                    );
                    return None;
                };
                let name = PathBuf::read(file, at)?;
                let folder = at.sources.get(file.mark.file).and_then(|source| source.path.parent());
                let path = folder.map_or_else(|| name.clone(), |folder| folder.join(&name));
                match at.files.read(&path) {
                    Ok(text) => text.trim_end_matches(['\r', '\n']).to_owned(),
                    Err(error) => {
                        at.fault(
                            file.mark,
                            format!("the secret file {} cannot be read: {error}", path.display()),
                            "correct the name or the file's permissions",
                        );
                        return None;
                    }
                }
            }
            _ => return at.wrong_kind(node, "text in quotes, \"${VARIABLE}\", or { file: \"/path\" }"),
        };
        if text.is_empty() {
            at.fault(node.mark, "this secret is empty", "give it a value, or remove the key");
            return None;
        }
        Some(if at.keep_secrets { Self::new(text) } else { Self::default() })
    }
    fn show(&self, show: Show) -> Value {
        match show {
            Show::Redacted => REDACTED.into(),
            Show::Revealed => self.expose().into(),
        }
    }
    fn schema() -> Value {
        json!({"anyOf": [
            {"type": "string", "minLength": 1},
            {"type": "object", "properties": {"file": {"type": "string"}}, "required": ["file"], "additionalProperties": false}
        ]})
    }
}
