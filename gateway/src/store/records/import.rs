//! Sessions that come from files and go into files.

use creel_ipc::msg::transcript::Entry;

use super::{SessionRecord, TranscriptRecord};

/// The run of entries that came with a file.
pub(crate) const IMPORTED: &str = "import";

/// A session from a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewSession {
    /// Its id: the same one is never imported twice.
    pub id: String,
    /// The key that it gets, if nobody has it.
    pub key: String,
    /// The key that it gets otherwise.
    pub spare_key: String,
    /// Its agent.
    pub agent: String,
    /// `direct`, `group` or `channel`.
    pub kind: String,
    /// What people call it.
    pub title: Option<String>,
    /// The account that it is written to on.
    pub account: String,
    /// What its agent remembers of it, each with its time.
    pub entries: Vec<(i64, Entry)>,
    /// The lines of its file.
    pub lines: Vec<String>,
    /// When it was last written to.
    pub updated_ms: i64,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// What became of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Imported {
    /// It is there, under this key.
    Fresh(String),
    /// It was there before, under this key if it is still somebody's session.
    Known(Option<String>),
}

/// A session on its way into a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SessionFile {
    /// The session.
    pub session: SessionRecord,
    /// The lines of the file that it came with; none for one of our own.
    pub lines: Vec<String>,
    /// What was said, without what came with the file.
    pub entries: Vec<TranscriptRecord>,
}
