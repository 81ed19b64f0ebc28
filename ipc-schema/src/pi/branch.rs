//! One branch of the tree, as an agent remembers it.

use std::collections::HashMap;

use serde_json::Value;

use super::message::{entry_of, note, text_of};
use super::{Record, Transcript};
use crate::msg::transcript::Entry;

/// Something that was said, with its record.
#[derive(Debug, Clone, PartialEq)]
pub struct Said<'a> {
    /// When its record was written, ISO 8601.
    pub timestamp: &'a str,
    /// As an entry; its own time is 0 where the file has none.
    pub entry: Entry,
}

impl Transcript {
    /// The records from the root to the newest one.
    pub fn branch(&self) -> Vec<&Record> {
        let by_id: HashMap<&str, &Record> =
            self.records.iter().map(|record| (record.id.as_str(), record)).collect();
        let mut branch: Vec<&Record> = Vec::new();
        let mut next = self.records.last();
        while let Some(record) = next.filter(|_| branch.len() < self.records.len()) {
            branch.push(record);
            next = record.parent.as_deref().and_then(|parent| by_id.get(parent)).copied();
        }
        branch.reverse();
        branch
    }

    /// What an agent remembers: of the newest branch the last summary and what was kept beside it, then everything that
    /// was said since.
    pub fn context(&self) -> Vec<Said<'_>> {
        let branch = self.branch();
        let Some(at) = branch.iter().rposition(|record| record.kind == "compaction") else {
            return branch.into_iter().filter_map(said).collect();
        };
        let kept = branch[at].text("firstKeptEntryId");
        let from = branch[..at].iter().position(|record| Some(record.id.as_str()) == kept).unwrap_or(at);
        let order = std::iter::once(branch[at]).chain(branch[from..at].iter().copied());
        // An older summary within what was kept is part of the newer one.
        let order = order.chain(branch[at + 1..].iter().copied()).enumerate();
        order
            .filter(|(n, record)| *n == 0 || record.kind != "compaction")
            .filter_map(|(_, r)| said(r))
            .collect()
    }
}

fn said(record: &Record) -> Option<Said<'_>> {
    let entry = match record.kind.as_str() {
        "message" => entry_of(record.rest.get("message")?)?,
        "compaction" => note("Summary of what was said before", record.text("summary")?),
        "branch_summary" => note("Summary of another branch of this conversation", record.text("summary")?),
        "custom_message" => note("Note", &text_of(record.rest.get("content").unwrap_or(&Value::Null))),
        _ => return None,
    };
    Some(Said { timestamp: &record.timestamp, entry })
}
