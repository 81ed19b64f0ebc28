//! Everything that outlives the process.
//!
//! [`Store`] is the seam: each method is one transaction, and none takes a closure. [`Sqlite`] is what runs,
//! [`Memory`] is for simulations; one conformance suite holds both to the same words. [`Desk`] is the async
//! front of either, with one writer thread and commits in groups.
//!
//! Two kinds of tokens fence the writes. [`Held`] says that this gateway holds an account; it comes from
//! [`Store::claim_account`] and from nowhere else. A [`TurnRef`] carries the epoch of a lane as its agent knows
//! it. Both are compared within the transaction that they protect.

use creel_ipc::msg::agent::{ContextPage, JournalPage, StepBegun, TurnRef};
use creel_ipc::msg::transcript::Entry;

mod allow;
#[cfg(test)]
mod conformance;
mod desk;
mod error;
mod held;
#[cfg(test)]
mod memory;
mod records;
mod sqlite;

pub(crate) use desk::{Desk, Ticket};
pub(crate) use error::StoreError;
pub(crate) use held::{Held, Rules};
#[cfg(test)]
pub(crate) use memory::Memory;
pub(crate) use records::*;
pub(crate) use sqlite::Sqlite;

pub(crate) type Kept<T> = Result<T, StoreError>;

/// What the gateway makes durable.
pub(crate) trait Store: Send {
    /// Begins a group of methods that are made durable together.
    fn begin_group(&mut self) -> Kept<()>;
    /// Makes the group durable. Afterwards, and only then, may anybody be told.
    fn commit_group(&mut self) -> Kept<()>;

    /// Takes an account over; whoever held it before is fenced from now on.
    fn claim_account(&mut self, who: &str, account: &str) -> Kept<Held>;
    /// Stores an inbound message, once for each external id.
    fn accept(&mut self, own: &Held, message: &NewMessage) -> Kept<Accepted>;
    /// The last platform cursor of an account.
    fn cursor(&mut self, account: &str) -> Kept<Option<String>>;

    /// Lanes with something to do, and the turns that were under way.
    fn open_lanes(&mut self) -> Kept<Vec<OpenLane>>;
    /// Raises the lane's epoch and takes up its unfinished turn, or else a new one from what waits.
    fn claim_lane(&mut self, claim: &LaneClaim) -> Kept<Option<Claimed>>;
    /// Goes on with a turn that its agent still runs. `None` when the epoch is not the lane's.
    fn adopt_turn(&mut self, who: &str, turn: &TurnRef) -> Kept<Option<Claimed>>;
    /// Journals that a step is about to happen, or says what is known of it.
    fn begin_step(&mut self, turn: &TurnRef, step: &NewStep) -> Kept<StepBegun>;
    /// Journals a step's result; a second time changes nothing.
    fn end_step(&mut self, turn: &TurnRef, step: u32, entry: &Entry) -> Kept<()>;
    /// Ends a turn: transcript, replies, inbox and lane at once.
    fn finish_turn(&mut self, turn: &TurnRef, finish: &Finish) -> Kept<Finished>;
    /// A page of the transcript before the turn, newest page first.
    fn context_page(&mut self, turn: &TurnRef, cursor: Option<u64>) -> Kept<ContextPage>;
    /// A page of the turn's journal.
    fn journal_page(&mut self, turn: &TurnRef, cursor: Option<u64>) -> Kept<JournalPage>;
    /// Where a run stands.
    fn run(&mut self, run: &str) -> Kept<Option<RunRecord>>;

    /// Sessions, newest first.
    fn sessions(&mut self, query: &SessionQuery) -> Kept<Vec<SessionRecord>>;
    /// The last entries of a session's current transcript, oldest first.
    fn history(&mut self, session_key: &str, limit: u32) -> Kept<Vec<TranscriptRecord>>;

    /// Adds something to say, once for each key. Says whether it is new.
    fn enqueue(&mut self, row: &NewOutbound) -> Kept<bool>;
    /// The first open row of each chat of an account, oldest first.
    fn open_outbound(&mut self, own: &Held, max: u32) -> Kept<Vec<Outbound>>;
    /// Notes that a worker's incarnation gets the row. `false` when the row is not open any more.
    fn attempt(&mut self, own: &Held, key: &str, incarnation: u64) -> Kept<bool>;
    /// Notes parts that the platform accepted.
    fn part_sent(&mut self, own: &Held, key: &str, parts: u32) -> Kept<()>;
    /// Notes how an attempt ended.
    fn settle(&mut self, own: &Held, key: &str, settled: &Settled) -> Kept<()>;
    /// Attempts of incarnations other than `alive` become unknown. Returns their keys.
    fn orphan_attempts(&mut self, own: &Held, alive: Option<u64>) -> Kept<Vec<String>>;
    /// The newest rows, newest first.
    fn outbox(&mut self, limit: u32) -> Kept<Vec<Outbound>>;
    /// Forgets what was over before a moment: transcripts stay, and so does what nobody knows the end of.
    fn prune(&mut self, before_ms: i64) -> Kept<u64>;
    /// Leaves no room for anything more, as a full disk does.
    #[cfg(test)]
    fn limit_pages(&mut self) -> Kept<()>;
    /// What an account has done and has yet to do.
    fn account(&mut self, account: &str) -> Kept<AccountRecord>;

    /// People who wait to be let in.
    fn pairings(&mut self, now_ms: i64) -> Kept<Vec<PairingRecord>>;
    /// Lets a person in whose code this is, compared in constant time.
    fn approve(&mut self, accounts: &[String], code: &str, now_ms: i64) -> Kept<Option<PairingRecord>>;
    /// Forgets the request with this code.
    fn dismiss(&mut self, accounts: &[String], code: &str, now_ms: i64) -> Kept<Option<PairingRecord>>;
    /// Everybody who was let in, as account and sender.
    fn allowed(&mut self) -> Kept<Vec<(String, String)>>;
}
