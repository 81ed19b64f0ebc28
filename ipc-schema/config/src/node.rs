//! The value tree that both notations are read into. Every value and every key knows where it stood.

use std::fmt;

/// How deep tables and lists may be nested in one file. The configuration itself needs eight levels.
pub const MAX_DEPTH: usize = 64;

/// A place in one of the files that were read: which file, and the byte offset in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Mark {
    /// Index into [`crate::sources::Sources`].
    pub file: u32,
    /// Byte offset in that file's text.
    pub offset: usize,
}

/// A key with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The key, unquoted.
    pub text: String,
    /// Where the key stands.
    pub mark: Mark,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where the value starts.
    pub mark: Mark,
    /// The value.
    pub kind: NodeKind,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeKind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// Any other number, including the non-finite ones that JSON5 and TOML can write.
    Float(f64),
    /// Text.
    Text(String),
    /// An array.
    List(Vec<Node>),
    /// An object, in the order of the file. Keys are unique once a reader has accepted the text.
    Table(Vec<(Key, Node)>),
}

/// One step from a table or a list to a value inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into a table, by key.
    Key(String),
    /// Into a list, by position.
    Index(usize),
}

impl Node {
    /// An empty table at the start of file 0: what a missing file amounts to.
    pub fn empty() -> Self {
        Self { mark: Mark::default(), kind: NodeKind::Table(Vec::new()) }
    }

    /// The entries, when this is a table.
    pub fn as_table(&self) -> Option<&[(Key, Self)]> {
        match &self.kind {
            NodeKind::Table(entries) => Some(entries),
            _ => None,
        }
    }

    /// The text, when this is text.
    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value under `key`, when this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_table()?.iter().find(|(k, _)| k.text == key).map(|(_, value)| value)
    }

    /// What kind of value this is, for a sentence.
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            NodeKind::Null => "null",
            NodeKind::Bool(_) => "a boolean",
            NodeKind::Integer(_) => "a whole number",
            NodeKind::Float(_) => "a fractional number",
            NodeKind::Text(_) => "text",
            NodeKind::List(_) => "a list",
            NodeKind::Table(_) => "a table",
        }
    }

    /// The place of the deepest value that exists on the way along `path`.
    pub fn mark_along(&self, path: &[Step]) -> Mark {
        let mut here = self;
        for step in path {
            let next = match (step, &here.kind) {
                (Step::Key(key), _) => here.get(key),
                (Step::Index(index), NodeKind::List(items)) => items.get(*index),
                _ => None,
            };
            match next {
                Some(node) => here = node,
                None => break,
            }
        }
        here.mark
    }

    /// The way to the key or value that stands at `mark`.
    pub fn path_to(&self, mark: Mark) -> Option<Vec<Step>> {
        let mut path = Vec::new();
        self.search(mark, &mut path).then_some(path)
    }

    /// Children before the value itself: in TOML the first key stands where the whole table starts.
    fn search(&self, mark: Mark, path: &mut Vec<Step>) -> bool {
        let inside = match &self.kind {
            NodeKind::Table(entries) => entries.iter().any(|(key, value)| {
                path.push(Step::Key(key.text.clone()));
                let found = key.mark == mark || value.search(mark, path);
                if !found {
                    path.pop();
                }
                found
            }),
            NodeKind::List(items) => items.iter().enumerate().any(|(index, value)| {
                path.push(Step::Index(index));
                let found = value.search(mark, path);
                if !found {
                    path.pop();
                }
                found
            }),
            _ => false,
        };
        inside || self.mark == mark
    }

    /// The plain value, without places. Non-finite numbers become null.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.kind {
            NodeKind::Null => Value::Null,
            NodeKind::Bool(value) => Value::Bool(*value),
            NodeKind::Integer(value) => match (u64::try_from(*value), i64::try_from(*value)) {
                (Ok(value), _) => value.into(),
                (_, Ok(value)) => value.into(),
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "what every JSON reader does with such a number"
                )]
                _ => (*value as f64).into(),
            },
            NodeKind::Float(value) => (*value).into(),
            NodeKind::Text(text) => text.clone().into(),
            NodeKind::List(items) => items.iter().map(Self::to_json).collect(),
            NodeKind::Table(entries) => {
                entries.iter().map(|(key, value)| (key.text.clone(), value.to_json())).collect()
            }
        }
    }
}

/// A path as the operator writes it: `agents.list[0].id`. Keys that hold a dot are quoted.
pub struct Path<'a>(pub &'a [Step]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    if position > 0 {
                        f.write_str(".")?;
                    }
                    let plain = !key.is_empty() && !key.contains(['.', '[', ']', '"', ' ']);
                    if plain { f.write_str(key)? } else { write!(f, "{key:?}")? }
                }
            }
        }
        Ok(())
    }
}
