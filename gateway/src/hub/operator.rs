//! What an operator decides about.

use super::{Answer, Hub};

/// A message that was set aside, because its turn felled its agent too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedRow {
    /// Names it.
    pub id: u64,
    /// The channel.
    pub channel: String,
    /// The account.
    pub account: String,
    /// Its session.
    pub session_key: String,
    /// Who said it, in groups.
    pub sender: Option<String>,
    /// What was said.
    pub text: String,
    /// When it came in, in milliseconds since the epoch.
    pub at_ms: i64,
    /// How often its agent fell.
    pub attempts: u32,
    /// When it was set aside, in milliseconds since the epoch; absent when that is forgotten.
    pub parked_at_ms: Option<i64>,
    /// What its sender was told.
    pub error: Option<String>,
}

/// What people are asked about an interrupted command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionRow {
    /// Names it.
    pub id: u64,
    /// Its session.
    pub session_key: String,
    /// The tool.
    pub tool: String,
    /// What the tool was told to do.
    pub what: String,
    /// When it was asked, in milliseconds since the epoch.
    pub asked_at_ms: i64,
    /// When it is decided without an answer, in milliseconds since the epoch.
    pub expires_at_ms: i64,
}

/// What somebody says to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionAnswer {
    /// Run it again.
    Again,
    /// Go on without it.
    Skip,
    /// Stop the turn.
    Stop,
}

/// A session file on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionImport {
    /// The file, JSON Lines as Pi writes them.
    pub text: String,
    /// The agent; absent for the default one.
    pub agent: Option<String>,
    /// The key that it should get.
    pub key: Option<String>,
    /// Whether nothing is to be changed.
    pub dry_run: bool,
}

/// What became of a session file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionImported {
    /// The session's id.
    pub session_id: String,
    /// Its key; absent for one that was known and is nobody's current session any more.
    pub key: Option<String>,
    /// Entries that its agent remembers.
    pub entries: u64,
    /// Lines of the file that were kept, without its header.
    pub records: u64,
    /// Whether it was there before; nothing was changed then.
    pub known: bool,
    /// Lines that were not as they should be: number and sentence.
    pub faults: Vec<(usize, String)>,
}

impl Hub {
    /// Messages that were set aside, oldest first.
    ///
    /// # Errors
    /// `unavailable` when the store cannot be read.
    pub async fn inbox_list(&self, limit: u32) -> Answer<Vec<ParkedRow>> {
        self.core.inbox_list(limit).await
    }

    /// Has a message that was set aside wait for its turn again, and says in which session.
    ///
    /// # Errors
    /// `not_found` when none of this number is set aside.
    pub async fn inbox_retry(&self, id: u64) -> Answer<String> {
        self.core.inbox_retry(id).await
    }

    /// Gives up a message that was set aside.
    ///
    /// # Errors
    /// `not_found` when none of this number is set aside.
    pub async fn inbox_drop(&self, id: u64) -> Answer<()> {
        self.core.inbox_drop(id).await
    }

    /// What people are asked, oldest first.
    ///
    /// # Errors
    /// `unavailable` when the store cannot be read.
    pub async fn questions(&self, limit: u32) -> Answer<Vec<QuestionRow>> {
        self.core.questions(limit).await
    }

    /// Answers a question, and says in which session.
    ///
    /// # Errors
    /// `not_found` when none of this number waits for an answer.
    pub async fn answer(&self, id: u64, answer: QuestionAnswer) -> Answer<String> {
        self.core.answer(id, answer).await
    }

    /// Says again what failed, or of which nobody knows whether it was said.
    ///
    /// # Errors
    /// `not_found` for a key of no row, `conflict` for a row in another state.
    pub async fn outbox_retry(&self, key: &str) -> Answer<()> {
        self.core.outbox_retry(key).await
    }

    /// Gives up what waits, or of which nobody knows whether it was said.
    ///
    /// # Errors
    /// `not_found` for a key of no row, `conflict` for a row in another state.
    pub async fn outbox_drop(&self, key: &str) -> Answer<()> {
        self.core.outbox_drop(key).await
    }

    /// The file of a session, and the session's id.
    ///
    /// # Errors
    /// `not_found` for a key of no session.
    pub async fn session_export(&self, key: &str) -> Answer<(String, String)> {
        self.core.session_export(key).await
    }

    /// Takes in a session file, once for each session's id.
    ///
    /// # Errors
    /// `invalid` for a file that is no session, and for an agent that does not exist.
    pub async fn session_import(&self, import: SessionImport) -> Answer<SessionImported> {
        self.core.session_import(import).await
    }
}
