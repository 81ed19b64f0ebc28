//! Each method in a transaction.

use super::*;

impl Store for Postgres {
    fn begin_group(&mut self) -> Kept<()> {
        self.group = Group::None;
        self.connect()?;
        self.group = Group::Open { begun: false };
        Ok(())
    }
    fn group_for(&self) -> Duration {
        // A method is two round trips or more, on a busy machine a few milliseconds: in less time a group would stay alone
        // with its wait for the disk.
        Duration::from_millis(20)
    }
    fn commit_group(&mut self) -> Kept<()> {
        let begun = match std::mem::replace(&mut self.group, Group::None) {
            Group::Broken(reason) => return Err(StoreError::Away(reason)),
            Group::None => return Ok(()),
            Group::Open { begun } => begun,
        };
        let Some(link) = &self.link else { return Err(self.lost("the connection is gone".to_owned())) };
        let committed = link.say(&self.rt, if begun { END_OF_GROUP_AFTER } else { END_OF_GROUP });
        if committed.is_err() {
            // Whatever the error: nobody knows what is durable, and this connection may be in any state.
            self.link = None;
        }
        committed
    }

    fn now_ms(&mut self) -> Kept<i64> {
        self.tx(|tx| tx.now_ms())
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
        // Its disk is not ours to fill.
        Ok(())
    }
    #[cfg(test)]
    fn pass(&mut self, time: Duration) {
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
