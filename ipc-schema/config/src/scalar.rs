//! Small values with a shape of their own: ids, entries of lists, model names, sizes, hosts.

use std::fmt;
use std::ops::Deref;

use serde_json::{Value, json};

use crate::node::{Mark, Node, NodeKind};
use crate::shape::{MapKey, Reading, Shape, Show};

/// The shape of every id that the operator chooses.
pub const ID_PATTERN: &str = "^[a-z0-9][a-z0-9_-]{0,63}$";

/// An id of an agent, an account or a provider: lower case letters, digits, `_` and `-`, at most 64.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Id(String);

impl Id {
    /// The id, when the text has an id's shape.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = text.bytes();
        let first = bytes.next()?;
        let shaped = text.len() <= 64
            && (first.is_ascii_lowercase() || first.is_ascii_digit())
            && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        shaped.then(|| Self(text.to_owned()))
    }

    /// `main`, the agent of a configuration that names none.
    pub fn main() -> Self {
        Self("main".into())
    }

    /// `default`, the account of a channel that names none.
    pub fn default_account() -> Self {
        Self("default".into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn checked(text: &str, mark: Mark, at: &mut Reading<'_>) -> Option<Self> {
        let id = Self::new(text);
        if id.is_none() {
            let simple: String = text
                .to_lowercase()
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' })
                .skip_while(|c| !c.is_ascii_alphanumeric())
                .take(64)
                .collect();
            let hint =
                if simple.is_empty() { String::new() } else { format!(" (did you mean \"{simple}\"?)") };
            at.fault(
                mark,
                format!("\"{text}\" is no id"),
                format!("use 1 to 64 of a-z, 0-9, _ and -, starting with a letter or digit{hint}"),
            );
        }
        id
    }
}

impl Deref for Id {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Shape for Id {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(node, at)?;
        Self::checked(&text, node.mark, at)
    }
    fn show(&self, _: Show) -> Value {
        self.0.clone().into()
    }
    fn schema() -> Value {
        json!({"type": "string", "pattern": ID_PATTERN})
    }
}

impl MapKey for Id {
    fn read_key(text: &str, mark: Mark, at: &mut Reading<'_>) -> Option<Self> {
        Self::checked(text, mark, at)
    }
    fn show_key(&self) -> String {
        self.0.clone()
    }
}

/// An entry of an allow-list: text, or a number such as a platform's user id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Entry(pub String);

impl Shape for Entry {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        match &node.kind {
            NodeKind::Text(text) if !text.trim().is_empty() => Some(Self(text.trim().to_owned())),
            NodeKind::Text(_) => {
                at.fault(node.mark, "this entry is empty", "remove it, or write \"*\" for everybody");
                None
            }
            NodeKind::Integer(number) => Some(Self(number.to_string())),
            _ => at.wrong_kind(node, "an id, as text or as a whole number"),
        }
    }
    fn show(&self, _: Show) -> Value {
        self.0.clone().into()
    }
    fn schema() -> Value {
        json!({"type": ["string", "integer"]})
    }
}

/// A model as `provider/model`. The model's own name may hold slashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct ModelRef {
    /// The provider's id.
    pub provider: Id,
    /// The name that the provider knows.
    pub model: String,
}

impl ModelRef {
    /// Reads `provider/model`.
    pub fn parse(text: &str) -> Option<Self> {
        let (provider, model) = text.split_once('/')?;
        let provider = Id::new(provider)?;
        (!model.is_empty()).then(|| Self { provider, model: model.to_owned() })
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

impl Shape for ModelRef {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        at.text(
            node,
            Self::parse,
            "names no model",
            "write provider/model, for example \"anthropic/claude-sonnet-4-5\"",
        )
    }
    fn show(&self, _: Show) -> Value {
        self.to_string().into()
    }
    fn schema() -> Value {
        json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}/.+$"})
    }
}

/// A number of bytes: a whole number, or text such as `"512m"`, `"1g"`, `"64k"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Bytes(pub u64);

impl Bytes {
    /// Reads `512m` and the like; units are powers of 1024.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let text = text.strip_suffix("ib").or_else(|| text.strip_suffix('b')).unwrap_or(&text);
        let (digits, shift) = match text.as_bytes().last()? {
            b'k' => (&text[..text.len() - 1], 10),
            b'm' => (&text[..text.len() - 1], 20),
            b'g' => (&text[..text.len() - 1], 30),
            _ => (text, 0),
        };
        digits.trim().parse::<u64>().ok()?.checked_mul(1 << shift).map(Self)
    }
}

impl Shape for Bytes {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        let wanted = "a number of bytes such as 1048576, \"512m\" or \"1g\"";
        let read = match &node.kind {
            NodeKind::Integer(value) => u64::try_from(*value).ok().map(Self),
            NodeKind::Text(text) => Self::parse(text),
            _ => return at.wrong_kind(node, wanted),
        };
        if read.is_none() {
            at.fault(node.mark, "this is no size", format!("write {wanted}"));
        }
        read
    }
    fn show(&self, _: Show) -> Value {
        self.0.into()
    }
    fn schema() -> Value {
        json!({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}]})
    }
}

/// A span of time, written with its unit: `"90m"`, `"12h"`, `"30d"`, `"2w"`. In seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Age(pub u64);

impl Age {
    /// Reads `30d` and the like.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let (digits, seconds) = match text.as_bytes().last()? {
            b'm' => (text.strip_suffix('m')?, 60),
            b'h' => (text.strip_suffix('h')?, 3_600),
            b'd' => (text.strip_suffix('d')?, 86_400),
            b'w' => (text.strip_suffix('w')?, 7 * 86_400),
            _ => return None,
        };
        let span = digits.trim().parse::<u64>().ok()?.checked_mul(seconds)?;
        // Beyond a hundred years there is nothing to compare it with.
        (1..=100 * 366 * 86_400).contains(&span).then_some(Self(span))
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            seconds if seconds % 86_400 == 0 => write!(f, "{}d", seconds / 86_400),
            seconds if seconds % 3_600 == 0 => write!(f, "{}h", seconds / 3_600),
            seconds => write!(f, "{}m", seconds / 60),
        }
    }
}

impl Shape for Age {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        at.text(node, Self::parse, "is no span of time", "write a number with m, h, d or w, such as \"30d\"")
    }
    fn show(&self, _: Show) -> Value {
        self.to_string().into()
    }
    fn schema() -> Value {
        json!({"type": "string", "pattern": "^[0-9]+ ?[mhdwMHDW]$"})
    }
}

/// A regular expression in the syntax of the `regex` crate, matched without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Pattern(String);

impl Pattern {
    /// The expression as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Shape for Pattern {
    fn read(node: &Node, at: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(node, at)?;
        match regex_syntax::parse(&text) {
            Ok(_) => Some(Self(text)),
            Err(error) => {
                let why = match &error {
                    regex_syntax::Error::Parse(error) => error.kind().to_string(),
                    regex_syntax::Error::Translate(error) => error.kind().to_string(),
                    _ => "it cannot be read".into(),
                };
                at.fault(
                    node.mark,
                    format!("this is no regular expression: {why}"),
                    "correct it, with a backslash before each special character that is meant itself",
                );
                None
            }
        }
    }
    fn show(&self, _: Show) -> Value {
        self.0.clone().into()
    }
    fn schema() -> Value {
        json!({"type": "string", "format": "regex"})
    }
}
