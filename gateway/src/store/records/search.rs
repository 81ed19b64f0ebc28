//! What is searched for in what was said.

use crate::store::words::Wanted;

/// Entries that are looked at for one search: an index can find more than what fits.
pub(in crate::store) const LOOKED_AT: u32 = 1_000;

/// What is searched for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SearchQuery {
    /// All of it must be in one entry.
    pub wanted: Wanted,
    /// Of one agent.
    pub agent: Option<String>,
    /// Of these sessions; none means all.
    pub keys: Vec<String>,
    /// At most so many.
    pub limit: u32,
}

/// An entry that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SearchHit {
    /// The session's key.
    pub key: String,
    /// Its agent.
    pub agent: String,
    /// The id of the transcript, which may be one from before the session began afresh.
    pub session_id: String,
    /// The entry's number in it.
    pub seq: u64,
    /// `user` or `assistant`.
    pub role: &'static str,
    /// When it was stored.
    pub at_ms: i64,
    /// What is around the words, on one line.
    pub snippet: String,
}

/// What was found, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SearchPage {
    /// The entries.
    pub hits: Vec<SearchHit>,
    /// Whether there may be more.
    pub more: bool,
    /// Whether entries of before an upgrade cannot be found yet.
    pub indexing: bool,
}
