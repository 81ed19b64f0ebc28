//! Pi's session files: JSON Lines, a header and then a tree of records, each with the id of the one before it.
//!
//! [`read`] takes files of the versions 1, 2 and 3 and gives back a [`Transcript`] in the shape of version 3, which
//! [`Transcript::write`] writes. What a reader need not understand is kept as it came: unknown kinds of records, unknown
//! fields, messages of unknown roles. What cannot be read is left out and told with its line ([`Fault`]); a file is
//! refused as a whole only where it is no session of a version that is known ([`NotRead`]).
//!
//! [`Transcript::context`] is what an agent remembers of it: one branch of the tree, from its newest record back to the
//! root, as entries of our own.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod branch;
mod message;
mod read;
mod upgrade;

#[cfg(test)]
mod tests;

pub use branch::Said;
pub use message::message_of;
pub use read::{Fault, NotRead, Read, Remedy, read};

/// The version that is written.
pub const VERSION: u64 = 3;

/// A session file.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcript {
    /// Its first line.
    pub header: Header,
    /// The others, each after its parent.
    pub records: Vec<Record>,
}

/// The first line of a session file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Names the session.
    pub id: String,
    /// When it began, ISO 8601.
    #[serde(default)]
    pub timestamp: String,
    /// The folder that it was begun in.
    #[serde(default)]
    pub cwd: String,
    /// Whatever else it says.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A line of a session file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// `message`, `compaction`, `model_change`, and others, known or not.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name within the file.
    pub id: String,
    /// The record that it follows; `None` begins a tree.
    #[serde(rename = "parentId")]
    pub parent: Option<String>,
    /// When it was written, ISO 8601.
    #[serde(default)]
    pub timestamp: String,
    /// What it says.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Record {
    /// A message.
    pub fn message(id: String, parent: Option<String>, timestamp: String, message: Value) -> Self {
        let rest = Map::from_iter([("message".to_owned(), message)]);
        Self { kind: "message".to_owned(), id, parent, timestamp, rest }
    }

    /// One line of the file, without its end.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.rest.get(field).and_then(Value::as_str)
    }
}

impl Header {
    /// A header.
    pub fn new(id: String, timestamp: String, cwd: String) -> Self {
        Self { id, timestamp, cwd, rest: Map::new() }
    }

    /// One line of the file, without its end.
    pub fn line(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            #[serde(rename = "type")]
            kind: &'static str,
            version: u64,
            #[serde(flatten)]
            header: &'a Header,
        }
        serde_json::to_string(&Line { kind: "session", version: VERSION, header: self }).unwrap_or_default()
    }
}

impl Transcript {
    /// The whole file, of version 3.
    pub fn write(&self) -> String {
        let mut file = self.header.line();
        for record in &self.records {
            file.push('\n');
            file.push_str(&record.line());
        }
        file.push('\n');
        file
    }
}
