//! Everything that outlives the process.
//!
//! [`Store`] is the seam: each method is one transaction, and none takes a closure. [`Sqlite`] is for one host,
//! [`Postgres`] for several, and the memory store for simulations; one conformance suite holds all to the same words.
//! [`Desk`] is the async front of each, with one writer thread and commits in groups.
//!
//! Two kinds of tokens fence the writes. [`Held`] is a lease: this gateway holds an account or a lane, from one
//! claim on, and only the store makes one. A [`TurnRef`] carries the epoch of a lane as its agent knows it. Both are
//! compared within the transaction that they protect.
//!
//! Only the store's clock decides who may claim what. The times that callers give are for people to read.

use creel_ipc::msg::agent::{ContextPage, JournalPage, StepBegun, TurnRef};
use creel_ipc::msg::transcript::Entry;

mod allow;
#[cfg(feature = "bench")]
pub mod bench;
#[cfg(test)]
mod conformance;
mod desk;
mod error;
mod held;
#[cfg(test)]
mod memory;
mod postgres;
mod records;
mod rules;
#[cfg(test)]
mod simulation;
mod sqlite;
mod transfer;
mod words;

pub(crate) use desk::{Desk, Ticket};
pub(crate) use error::{Lost, StoreError};
pub(crate) use held::{Account, Held, Lane, Leased};
#[cfg(test)]
pub(crate) use memory::Memory;
pub(crate) use postgres::{Bus, LONGEST, Postgres, Promise, Reach};
pub(crate) use records::*;
pub(crate) use rules::{Rules, acknowledges_unstored};
pub(crate) use sqlite::{Sqlite, check_file, doubt_what_waits, snapshot};
pub(crate) use transfer::{Place, Progress, TransferError, Words, transfer};
pub(crate) use words::Wanted;

pub(crate) type Kept<T> = Result<T, StoreError>;

/// What the gateway makes durable.
pub(crate) trait Store: Send {
    /// Begins a group of methods that are made durable together.
    fn begin_group(&mut self) -> Kept<()>;
    /// How long a group may grow: about as long as it takes to make one durable.
    fn group_for(&self) -> std::time::Duration {
        std::time::Duration::from_millis(2)
    }
    /// Makes the group durable. Afterwards, and only then, may anybody be told.
    fn commit_group(&mut self) -> Kept<()>;

    /// The store's own time, in milliseconds since the epoch.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "holders count from before they asked, on their own clock")
    )]
    fn now_ms(&mut self) -> Kept<i64>;
    /// Takes an account over when it is free; whoever held it before is fenced from now on. `None` while another host
    /// holds it, and while gateways of a better rank have their time to claim it.
    fn claim_account(&mut self, who: &Claimant, account: &str) -> Kept<Option<Held>>;
    /// Holds for longer what nobody else has claimed meanwhile, whether its time was over or not.
    fn renew(&mut self, who: &Claimant, accounts: &[Held<Account>], lanes: &[Held<Lane>]) -> Kept<Renewed>;
    /// Others may claim these from now on. What was lost before stays lost.
    #[cfg_attr(not(test), expect(dead_code, reason = "a gateway that is alone on its store has no others"))]
    fn release(&mut self, accounts: &[Held<Account>], lanes: &[Held<Lane>]) -> Kept<()>;
    /// Everything that is claimed: accounts, and lanes with a turn.
    fn leases(&mut self) -> Kept<Vec<LeaseRecord>>;
    /// Stores an inbound message, once for each external id.
    fn accept(&mut self, own: &Held, message: &NewMessage) -> Kept<Accepted>;
    /// The last platform cursor of an account.
    fn cursor(&mut self, account: &str) -> Kept<Option<String>>;

    /// Lanes with something to do that this gateway may claim by its rank, and the turns that were under way.
    fn open_lanes(&mut self, who: &Claimant) -> Kept<Vec<OpenLane>>;
    /// Raises the lane's epoch and takes up its unfinished turn, or else a new one from what waits. `None` when there is
    /// nothing to do, or when another host is at it.
    fn claim_lane(&mut self, claim: &LaneClaim) -> Kept<Option<Claimed>>;
    /// Goes on with a turn that its agent still runs, whoever held its lane: the epoch says that nobody claimed it since.
    /// `None` when the epoch is not the lane's.
    fn adopt_turn(&mut self, who: &Claimant, turn: &TurnRef) -> Kept<Option<Claimed>>;
    /// Notes that its agent fell in the middle of a turn. Only who saw that may say so: a turn that is claimed again
    /// need not have felled anybody.
    fn fell(&mut self, turn: &TurnRef) -> Kept<()>;
    /// Journals that a step is about to happen, or says what is known of it.
    fn begin_step(&mut self, turn: &TurnRef, step: &NewStep) -> Kept<StepBegun>;
    /// Journals a step's result; a second time changes nothing.
    fn end_step(&mut self, turn: &TurnRef, step: u32, entry: &Entry) -> Kept<()>;
    /// Asks people what becomes of a step whose outcome nobody knows, or says what they said. A life that asks again about
    /// a step that an earlier one was told to do again asks anew.
    fn ask(&mut self, turn: &TurnRef, question: &NewQuestion) -> Kept<Asked>;
    /// Questions that wait for an answer, oldest first.
    fn questions(&mut self, limit: u32) -> Kept<Vec<QuestionRecord>>;
    /// Answers a question that waits. Its lane, or `None` when it waits no more.
    fn answer(&mut self, id: u64, answer: Answer) -> Kept<Option<String>>;
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
    /// Changes what a session has otherwise than its agent, and begins one that is not there yet.
    fn patch_session(&mut self, patch: &SessionPatch) -> Kept<SessionRecord>;
    /// What a session has otherwise than its agent; nothing for one that is not there.
    fn session_settings(&mut self, key: &str) -> Kept<SessionSettings>;
    /// Has a session begin afresh when nothing goes on in it: its agent remembers nothing of before.
    fn renew_session(&mut self, key: &str, fresh_id: &str) -> Kept<Ended>;
    /// Forgets a session with everything that was said in it, when nothing goes on or is set aside in it; with `as_of_ms`
    /// only when nobody has written to it since.
    fn forget_session(&mut self, key: &str, as_of_ms: Option<i64>) -> Kept<Ended>;
    /// Forgets some of the transcripts that no session has any more and whose last entry is from before a moment; says
    /// how many. Whoever asks asks again until there are none.
    fn forget_transcripts(&mut self, before_ms: i64) -> Kept<u64>;
    /// The last entries of a session's current transcript, oldest first.
    fn history(&mut self, session_key: &str, limit: u32) -> Kept<Vec<TranscriptRecord>>;
    /// Entries in which everything is that is searched for, newest first, also of before a session began afresh.
    fn search(&mut self, query: &SearchQuery) -> Kept<SearchPage>;
    /// Makes a piece of what was said before an upgrade findable. `false` when nothing is left to do.
    fn index_older(&mut self) -> Kept<bool>;

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
    /// Has a row that was given up, or of which nobody knows, wait again, in its old place.
    fn resend(&mut self, key: &str, now_ms: i64) -> Kept<Wished>;
    /// Gives up a row that waits, or of which nobody knows.
    fn give_up(&mut self, key: &str, error: &str) -> Kept<Wished>;
    /// Messages that were set aside, oldest first.
    fn parked(&mut self, limit: u32) -> Kept<Vec<ParkedRecord>>;
    /// Has a message that was set aside wait again, in its old place. `None` when there is none of this number, else
    /// its lane and agent.
    fn unpark(&mut self, id: u64) -> Kept<Option<(String, String)>>;
    /// Gives up a message that was set aside. `false` when there is none of this number.
    fn discard(&mut self, id: u64) -> Kept<bool>;
    /// Takes in a session from a file, once for each id.
    fn import(&mut self, new: &NewSession) -> Kept<Imported>;
    /// A session with everything that was said in it.
    fn session_file(&mut self, key: &str) -> Kept<Option<SessionFile>>;
    /// Forgets what was over before a moment: transcripts stay, and so does what waits for an operator, as it was set
    /// aside or nobody knows its end.
    fn prune(&mut self, before_ms: i64) -> Kept<u64>;
    /// Leaves no room for anything more, as a full disk does.
    #[cfg(test)]
    fn limit_pages(&mut self) -> Kept<()>;
    /// Lets the store's time pass.
    #[cfg(test)]
    fn pass(&mut self, time: std::time::Duration);
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
