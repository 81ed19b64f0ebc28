//! The store in one SQLite file: WAL, every commit on the disk before anybody is told.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use creel_ipc::msg::agent::{ContextPage, JournalPage, StepBegun, TurnRef};
use creel_ipc::msg::transcript::Entry;
use rusqlite::{Connection, OpenFlags, Savepoint};
use serde::de::DeserializeOwned;

use super::*;

mod deliver;
mod import;
mod inbox;
mod lane;
mod lease;
mod migrate;
pub(in crate::store) mod open;
mod operator;
mod pairing;
mod question;
mod reads;
mod search;
mod sessions;
mod snapshot;

#[cfg(feature = "bench")]
pub(crate) use search::Turned;
pub(crate) use snapshot::{check_file, doubt_what_waits, snapshot};

/// One connection to the file.
#[derive(Debug)]
pub(crate) struct Sqlite {
    conn: Connection,
    path: PathBuf,
    rules: Rules,
    /// Whether a group of methods is open.
    grouped: bool,
    /// How far a test has moved the clock.
    shift_ms: i64,
}

/// What every transaction works on.
struct Tx<'a> {
    sql: Savepoint<'a>,
    rules: Rules,
    now_ms: i64,
}

impl Sqlite {
    /// Opens the file, creates it or brings it up to date, and checks it.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] for a damaged file and for one of a newer Creel.
    pub(crate) fn open(path: &Path, rules: Rules) -> Kept<Self> {
        let conn = open::open(path)?;
        // A database of one person's conversations is nobody else's business.
        if let Err(error) = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)) {
            tracing::warn!("The mode of {} cannot be set to 0600: {error}.", path.display());
        }
        Ok(Self { conn, path: path.to_owned(), rules, grouped: false, shift_ms: 0 })
    }

    /// Whether [`Self::open`] would succeed, without changing anything in the file, which may be in use.
    ///
    /// # Errors
    /// What it would say.
    pub(crate) fn rehearse(path: &Path) -> Kept<()> {
        open::rehearse(path)
    }

    /// A second connection, for reading.
    pub(crate) fn reader(&self) -> Kept<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&self.path, flags)?;
        conn.busy_timeout(open::BUSY)?;
        conn.pragma_update(None, "cache_size", -512)?;
        Ok(Self { conn, path: self.path.clone(), rules: self.rules, grouped: false, shift_ms: 0 })
    }

    /// One method's transaction: alone, or within the group that is open.
    fn tx<T>(&mut self, work: impl FnOnce(&Tx<'_>) -> Kept<T>) -> Kept<T> {
        self.check_group()?;
        let now_ms = self.clock();
        let tx = Tx { sql: self.conn.savepoint()?, rules: self.rules, now_ms };
        let outcome = work(&tx)?;
        tx.sql.commit()?;
        Ok(outcome)
    }
}

impl Sqlite {
    /// The clock of the one machine that can have the file open.
    fn clock(&self) -> i64 {
        crate::core::now_ms().saturating_add(self.shift_ms)
    }

    /// When the disk is full SQLite may roll the whole group back by itself. Nothing may be written then as if it
    /// still were in the group.
    fn check_group(&self) -> Kept<()> {
        if self.grouped && self.conn.is_autocommit() {
            return Err(StoreError::Full("an earlier write of the same group found no room".to_owned()));
        }
        Ok(())
    }
}

/// Reads a JSON column.
fn json<T: DeserializeOwned>(text: &str) -> Kept<T> {
    Ok(serde_json::from_str(text)?)
}

fn maybe_json<T: DeserializeOwned>(text: Option<&str>) -> Kept<Option<T>> {
    text.map(json).transpose()
}

/// Counters are far below 2^63; the cast of a negative one would be a damaged file.
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl Store for Sqlite {
    fn begin_group(&mut self) -> Kept<()> {
        self.conn.execute_batch("BEGIN IMMEDIATE")?;
        self.grouped = true;
        Ok(())
    }
    fn commit_group(&mut self) -> Kept<()> {
        let whole = self.check_group();
        self.grouped = false;
        whole?;
        let outcome = self.conn.execute_batch("COMMIT");
        if outcome.is_err() && !self.conn.is_autocommit() {
            // The first error is the one that matters.
            let _second = self.conn.execute_batch("ROLLBACK");
        }
        Ok(outcome?)
    }

    fn now_ms(&mut self) -> Kept<i64> {
        Ok(self.clock())
    }
    fn claim_account(&mut self, who: &Claimant, account: &str) -> Kept<Option<Held>> {
        self.tx(|tx| tx.claim_account(who, account))
    }
    fn renew(&mut self, who: &Claimant, accounts: &[Held<Account>], lanes: &[Held<Lane>]) -> Kept<Renewed> {
        self.tx(|tx| tx.renew(who, accounts, lanes))
    }
    fn release(&mut self, accounts: &[Held<Account>], lanes: &[Held<Lane>]) -> Kept<()> {
        self.tx(|tx| tx.release(accounts, lanes))
    }
    fn leases(&mut self) -> Kept<Vec<LeaseRecord>> {
        self.tx(|tx| tx.leases())
    }
    fn accept(&mut self, own: &Held, message: &NewMessage) -> Kept<Accepted> {
        self.tx(|tx| tx.accept(own, message))
    }
    fn cursor(&mut self, account: &str) -> Kept<Option<String>> {
        self.tx(|tx| tx.cursor(account))
    }

    fn open_lanes(&mut self, who: &Claimant) -> Kept<Vec<OpenLane>> {
        self.tx(|tx| tx.open_lanes(who))
    }
    fn claim_lane(&mut self, claim: &LaneClaim) -> Kept<Option<Claimed>> {
        self.tx(|tx| tx.claim_lane(claim))
    }
    fn adopt_turn(&mut self, who: &Claimant, turn: &TurnRef) -> Kept<Option<Claimed>> {
        self.tx(|tx| tx.adopt_turn(who, turn))
    }
    fn fell(&mut self, turn: &TurnRef) -> Kept<()> {
        self.tx(|tx| tx.fell(turn))
    }
    fn begin_step(&mut self, turn: &TurnRef, step: &NewStep) -> Kept<StepBegun> {
        self.tx(|tx| tx.begin_step(turn, step))
    }
    fn end_step(&mut self, turn: &TurnRef, step: u32, entry: &Entry) -> Kept<()> {
        self.tx(|tx| tx.end_step(turn, step, entry))
    }
    fn ask(&mut self, turn: &TurnRef, question: &NewQuestion) -> Kept<Asked> {
        self.tx(|tx| tx.ask_people(turn, question))
    }
    fn questions(&mut self, limit: u32) -> Kept<Vec<QuestionRecord>> {
        self.tx(|tx| tx.questions(limit))
    }
    fn answer(&mut self, id: u64, answer: Answer) -> Kept<Option<String>> {
        self.tx(|tx| tx.answer(id, answer))
    }
    fn finish_turn(&mut self, turn: &TurnRef, finish: &Finish) -> Kept<Finished> {
        self.tx(|tx| tx.finish_turn(turn, finish))
    }
    fn context_page(&mut self, turn: &TurnRef, cursor: Option<u64>) -> Kept<ContextPage> {
        self.tx(|tx| tx.context_page(turn, cursor))
    }
    fn journal_page(&mut self, turn: &TurnRef, cursor: Option<u64>) -> Kept<JournalPage> {
        self.tx(|tx| tx.journal_page(turn, cursor))
    }
    fn run(&mut self, run: &str) -> Kept<Option<RunRecord>> {
        self.tx(|tx| tx.run(run))
    }

    fn sessions(&mut self, query: &SessionQuery) -> Kept<Vec<SessionRecord>> {
        self.tx(|tx| tx.sessions(query))
    }
    fn patch_session(&mut self, patch: &SessionPatch) -> Kept<SessionRecord> {
        self.tx(|tx| tx.patch_session(patch))
    }
    fn session_settings(&mut self, key: &str) -> Kept<SessionSettings> {
        self.tx(|tx| tx.settings(key))
    }
    fn renew_session(&mut self, key: &str, fresh_id: &str) -> Kept<Ended> {
        self.tx(|tx| tx.renew_session(key, fresh_id))
    }
    fn forget_session(&mut self, key: &str, as_of_ms: Option<i64>) -> Kept<Ended> {
        self.tx(|tx| tx.forget_session(key, as_of_ms))
    }
    fn forget_transcripts(&mut self, before_ms: i64) -> Kept<u64> {
        self.tx(|tx| tx.forget_transcripts(before_ms))
    }
    fn history(&mut self, session_key: &str, limit: u32) -> Kept<Vec<TranscriptRecord>> {
        self.tx(|tx| tx.history(session_key, limit))
    }
    fn search(&mut self, query: &SearchQuery) -> Kept<SearchPage> {
        self.tx(|tx| tx.search(query))
    }
    fn index_older(&mut self) -> Kept<bool> {
        self.tx(|tx| tx.index_older())
    }

    fn enqueue(&mut self, row: &NewOutbound) -> Kept<bool> {
        self.tx(|tx| tx.enqueue(row))
    }
    fn open_outbound(&mut self, own: &Held, max: u32) -> Kept<Vec<Outbound>> {
        self.tx(|tx| tx.open_outbound(own, max))
    }
    fn attempt(&mut self, own: &Held, key: &str, incarnation: u64) -> Kept<bool> {
        self.tx(|tx| tx.attempt(own, key, incarnation))
    }
    fn part_sent(&mut self, own: &Held, key: &str, parts: u32) -> Kept<()> {
        self.tx(|tx| tx.part_sent(own, key, parts))
    }
    fn settle(&mut self, own: &Held, key: &str, settled: &Settled) -> Kept<()> {
        self.tx(|tx| tx.settle(own, key, settled))
    }
    fn orphan_attempts(&mut self, own: &Held, alive: Option<u64>) -> Kept<Vec<String>> {
        self.tx(|tx| tx.orphan_attempts(own, alive))
    }
    fn outbox(&mut self, limit: u32) -> Kept<Vec<Outbound>> {
        self.tx(|tx| tx.outbox(limit))
    }
    fn resend(&mut self, key: &str, now_ms: i64) -> Kept<Wished> {
        self.tx(|tx| tx.resend(key, now_ms))
    }
    fn give_up(&mut self, key: &str, error: &str) -> Kept<Wished> {
        self.tx(|tx| tx.give_up(key, error))
    }
    fn parked(&mut self, limit: u32) -> Kept<Vec<ParkedRecord>> {
        self.tx(|tx| tx.parked(limit))
    }
    fn unpark(&mut self, id: u64) -> Kept<Option<(String, String)>> {
        self.tx(|tx| tx.unpark(id))
    }
    fn discard(&mut self, id: u64) -> Kept<bool> {
        self.tx(|tx| tx.discard(id))
    }
    fn import(&mut self, new: &NewSession) -> Kept<Imported> {
        self.tx(|tx| tx.import(new))
    }
    fn session_file(&mut self, key: &str) -> Kept<Option<SessionFile>> {
        self.tx(|tx| tx.session_file(key))
    }
    fn prune(&mut self, before_ms: i64) -> Kept<u64> {
        self.tx(|tx| tx.prune(before_ms))
    }
    #[cfg(test)]
    fn limit_pages(&mut self) -> Kept<()> {
        let pages: i64 = self.conn.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        Ok(self.conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?)
    }
    #[cfg(test)]
    fn pass(&mut self, time: std::time::Duration) {
        self.shift_ms += i64::try_from(time.as_millis()).unwrap();
    }
    fn account(&mut self, account: &str) -> Kept<AccountRecord> {
        self.tx(|tx| tx.account(account))
    }

    fn pairings(&mut self, now_ms: i64) -> Kept<Vec<PairingRecord>> {
        self.tx(|tx| tx.pairings(now_ms))
    }
    fn approve(&mut self, accounts: &[String], code: &str, now_ms: i64) -> Kept<Option<PairingRecord>> {
        self.tx(|tx| tx.approve(accounts, code, now_ms))
    }
    fn dismiss(&mut self, accounts: &[String], code: &str, now_ms: i64) -> Kept<Option<PairingRecord>> {
        self.tx(|tx| tx.dismiss(accounts, code, now_ms))
    }
    fn allowed(&mut self) -> Kept<Vec<(String, String)>> {
        self.tx(|tx| tx.allowed())
    }
}
