//! What an operator looks after: messages that were set aside, and what was not said.

use creel_ipc::msg::agent::InputMessage;

use crate::hub::OutboxState;

/// A message that was set aside, because its turn felled its agent too often.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ParkedRecord {
    /// Names it.
    pub id: u64,
    /// Where it came in, as `channel:account`.
    pub account: String,
    /// Its lane.
    pub lane: String,
    /// What was said.
    pub input: InputMessage,
    /// When it came in.
    pub at_ms: i64,
    /// Lives of the agent that it took; 0 when that is forgotten.
    pub attempts: u32,
    /// When it was set aside; `None` when that is forgotten.
    pub parked_ms: Option<i64>,
    /// Why, as its sender was told.
    pub error: Option<String>,
}

/// What became of an operator's wish about a row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wished {
    /// It is done; the row belongs to this account.
    Done(String),
    /// The row is in a state in which it cannot be done.
    NotNow(OutboxState),
    /// There is no such row.
    NoRow,
}
