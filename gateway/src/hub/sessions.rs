//! What is decided about sessions.

use super::{Answer, Hub, SessionRow};
pub use crate::maintenance::Why;

/// What is to be otherwise in a session. What is absent stays; the inner `None` is as the agent has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionChange {
    /// `main`, an alias or a full session key.
    pub key: String,
    /// What its owner calls it.
    pub label: Option<Option<String>>,
    /// `provider/model`, or the model's own name.
    pub model: Option<Option<String>>,
    /// `off`, `minimal`, `low`, `medium`, `high` or `xhigh`.
    pub thinking: Option<Option<String>>,
    /// Whether nothing of what its agent answers is said on a channel.
    pub silent: Option<bool>,
    /// `followup`, `collect` or `interrupt`.
    pub queue: Option<Option<String>>,
}

/// Which sessions are to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionPrune {
    /// Without a message for so many milliseconds; absent for `session.maintenance.pruneAfter`.
    pub after_ms: Option<i64>,
    /// So many are kept, the newest; absent for `session.maintenance.maxEntries`.
    pub most: Option<u32>,
    /// Whether nothing is to be changed.
    pub dry_run: bool,
}

/// A session that was forgotten, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrunedRow {
    /// Its key.
    pub key: String,
    /// The id of its transcript.
    pub session_id: String,
    /// When it was last written to, in milliseconds since the epoch.
    pub updated_at_ms: i64,
    /// Entries of its transcript.
    pub entries: u64,
    /// Why.
    pub why: Why,
}

impl Hub {
    /// Changes what a session has otherwise than its agent. One that is not there yet is begun by it.
    ///
    /// # Errors
    /// `invalid` for a key of no agent, a model that cannot be asked and a level that does not exist.
    pub async fn session_change(&self, change: SessionChange) -> Answer<SessionRow> {
        self.core.session_change(change).await
    }

    /// Has a session begin afresh, and says the id of its new transcript.
    ///
    /// # Errors
    /// `not_found` for a key of no session, `conflict` while something goes on in it.
    pub async fn session_reset(&self, key: &str) -> Answer<(String, String)> {
        self.core.session_reset(key).await
    }

    /// Forgets a session with everything that was said in it, and says its whole key. `false` when there was none.
    ///
    /// # Errors
    /// `invalid` for a main session, `conflict` while something goes on or is set aside in it.
    pub async fn session_delete(&self, key: &str) -> Answer<(String, bool)> {
        self.core.session_delete(key).await
    }

    /// Forgets sessions that nobody writes in any more, and says which.
    ///
    /// # Errors
    /// `unavailable` when the store cannot be read and written.
    pub async fn sessions_prune(&self, prune: SessionPrune) -> Answer<Vec<PrunedRow>> {
        self.core.sessions_prune(prune).await
    }
}
