//! The transactions.

use super::*;

impl Store for Memory {
    fn begin_group(&mut self) -> Kept<()> {
        Ok(())
    }
    fn commit_group(&mut self) -> Kept<()> {
        Ok(())
    }

    fn now_ms(&mut self) -> Kept<i64> {
        Ok(self.clock_ms)
    }
    fn claim_account(&mut self, who: &Claimant, account: &str) -> Kept<Option<Held>> {
        Ok(self.take_account(who, account))
    }
    fn renew(&mut self, who: &Claimant, accounts: &[Held<Account>], lanes: &[Held<Lane>]) -> Kept<Renewed> {
        Ok(self.extend(who, accounts, lanes))
    }
    fn release(&mut self, accounts: &[Held<Account>], lanes: &[Held<Lane>]) -> Kept<()> {
        self.let_go(accounts, lanes);
        Ok(())
    }
    fn leases(&mut self) -> Kept<Vec<LeaseRecord>> {
        Ok(self.claims())
    }

    fn accept(&mut self, own: &Held, message: &NewMessage) -> Kept<Accepted> {
        let account = self.fence(own)?;
        account.inbound_ms = Some(message.now_ms);
        account.cursor = message.cursor.clone().or(account.cursor.take());
        let id = (own.account().to_owned(), message.ext_id.clone());
        if let (Some(run), true) = (self.known.get(&id), self.rules.fenced()) {
            return Ok(Accepted::Duplicate { run: run.clone() });
        }
        let mut fate = &message.fate;
        while let Fate::Answer { placed, answer, otherwise } = fate {
            if self.answered_by(placed, *answer) {
                self.known.insert(id, placed.run.clone());
                self.place(own, message, placed, MessageState::Over);
                return Ok(Accepted::Answered);
            }
            fate = otherwise;
        }
        match fate {
            Fate::Ignored | Fate::Answer { .. } => {}
            Fate::Turn(placed) => {
                self.known.insert(id, placed.run.clone());
                self.place(own, message, placed, MessageState::Waiting);
                self.lane_waits(placed);
            }
            Fate::Context { placed, keep } => {
                self.known.insert(id, None);
                self.place(own, message, placed, MessageState::Context);
                let kept: Vec<usize> = (0..self.inbox.len())
                    .rev()
                    .filter(|index| {
                        let message = &self.inbox[*index];
                        message.placed.lane == placed.lane && message.state == MessageState::Context
                    })
                    .collect();
                for index in kept.into_iter().skip(*keep as usize) {
                    self.inbox[index].state = MessageState::Over;
                }
            }
            Fate::Pairing(request) => {
                self.requests.retain(|row| row.expires_ms > message.now_ms);
                let of_account = |row: &&PairingRecord| row.account == own.account();
                let waiting = self.requests.iter().filter(of_account).count();
                let known = self.requests.iter().filter(of_account).any(|row| row.sender == request.sender);
                if known || waiting >= request.max as usize {
                    return Ok(Accepted::PairingQuiet);
                }
                self.requests.push(PairingRecord {
                    account: own.account().to_owned(),
                    sender: request.sender.clone(),
                    name: request.name.clone(),
                    code: request.code.clone(),
                    created_ms: message.now_ms,
                    expires_ms: request.expires_ms,
                    route: request.route.clone(),
                });
                self.enqueue(&NewOutbound::pairing(own, message, request))?;
                return Ok(Accepted::PairingAsked);
            }
        }
        Ok(Accepted::Fresh)
    }

    fn cursor(&mut self, account: &str) -> Kept<Option<String>> {
        Ok(self.accounts.get(account).and_then(|account| account.cursor.clone()))
    }

    fn open_lanes(&mut self, who: &Claimant) -> Kept<Vec<OpenLane>> {
        let mine = |lane: &LaneRow| {
            who.may_reach_for(&lane.claim.host, lane.claim.expires_ms, self.clock_ms) || !self.rules.fenced()
        };
        let open = self.lanes.iter().filter(|(_, lane)| mine(lane)).map(|(key, lane)| OpenLane {
            lane: key.clone(),
            agent: lane.agent.clone(),
            pending: self.pending(key),
            turn: lane.turn.clone().map(|turn| TurnRef { turn, epoch: lane.claim.epoch }),
        });
        Ok(open.filter(|lane| lane.pending > 0 || lane.turn.is_some()).collect())
    }

    fn claim_lane(&mut self, claim: &LaneClaim) -> Kept<Option<Claimed>> {
        let pending = self.pending(&claim.lane);
        let (fenced, now_ms) = (self.rules.fenced(), self.clock_ms);
        let Some(lane) = self.lanes.get_mut(&claim.lane) else { return Ok(None) };
        let free = claim.who.may_take(&lane.claim.host, lane.claim.expires_ms, now_ms) || !fenced;
        if !free || (pending == 0 && lane.turn.is_none()) {
            return Ok(None);
        }
        let lease = Held::new(&claim.lane, lane.claim.raise(&claim.who, now_ms), &claim.who, now_ms);
        let turn = match lane.turn.clone() {
            Some(turn) => {
                if let Some(row) = self.turns.get_mut(&turn) {
                    row.claimed.turn.epoch = lease.epoch();
                    row.claimed.lease = lease;
                }
                turn
            }
            None => {
                lane.turn = Some(claim.turn.clone());
                self.begin(claim, lease);
                claim.turn.clone()
            }
        };
        Ok(self.claimed(&turn))
    }

    fn adopt_turn(&mut self, who: &Claimant, turn: &TurnRef) -> Kept<Option<Claimed>> {
        let now_ms = self.clock_ms;
        let current =
            |lane: &&mut LaneRow| lane.turn.as_deref() == Some(&turn.turn) && lane.claim.epoch == turn.epoch;
        let Some(lane) = self.lanes.values_mut().find(current) else { return Ok(None) };
        lane.claim.extend(who, now_ms);
        if let Some(row) = self.turns.get_mut(&turn.turn) {
            row.claimed.lease = row.claimed.lease.extended(who, now_ms);
        }
        Ok(self.claimed(&turn.turn))
    }

    fn fell(&mut self, turn: &TurnRef) -> Kept<()> {
        let row = self.turn(turn)?;
        row.claimed.falls += u32::from(row.ended.is_none());
        Ok(())
    }

    fn begin_step(&mut self, turn: &TurnRef, step: &NewStep) -> Kept<StepBegun> {
        let row = self.turn(turn)?;
        if row.ended.is_some() {
            return Err(StoreError::lost_turn(&turn.turn));
        }
        Ok(match row.steps.get_mut(&step.step) {
            None => {
                row.steps.insert(step.step, Step { begun_by: Some(turn.epoch), entry: None });
                row.claimed.falls = 0;
                StepBegun::New
            }
            Some(Step { entry: Some(entry), .. }) => StepBegun::Done { entry: entry.clone() },
            Some(Step { begun_by: Some(epoch), .. }) if *epoch == turn.epoch => StepBegun::New,
            Some(known) => {
                known.begun_by = None;
                StepBegun::Uncertain
            }
        })
    }

    fn end_step(&mut self, turn: &TurnRef, step: u32, entry: &Entry) -> Kept<()> {
        let row = self.turn(turn)?;
        if row.ended.is_some() {
            return Err(StoreError::lost_turn(&turn.turn));
        }
        row.steps.entry(step).or_default().entry.get_or_insert_with(|| entry.clone());
        row.claimed.falls = 0;
        Ok(())
    }

    fn ask(&mut self, turn: &TurnRef, question: &NewQuestion) -> Kept<Asked> {
        self.ask_people(turn, question)
    }
    fn questions(&mut self, limit: u32) -> Kept<Vec<QuestionRecord>> {
        Ok(self.open_questions(limit))
    }
    fn answer(&mut self, id: u64, answer: Answer) -> Kept<Option<String>> {
        Ok(self.answer_question(id, answer))
    }

    fn finish_turn(&mut self, turn: &TurnRef, finish: &Finish) -> Kept<Finished> {
        let fenced = self.rules.fenced();
        let row = self.turn(turn)?;
        let already = row.ended.is_some() && fenced;
        let claimed = row.claimed.clone();
        if !already {
            let steps = std::mem::take(&mut row.steps);
            row.ended = Some((finish.now_ms, Ending::of(finish)));
            let user = user_entry(&claimed.input, claimed.kind != "direct");
            let entries: Vec<Entry> =
                std::iter::once(user).chain(steps.into_values().filter_map(|step| step.entry)).collect();
            let added = count(entries.iter());
            let transcript = self.transcripts.entry(claimed.session_id.clone()).or_default();
            for entry in entries {
                let (seq, at_ms, run) = (count(transcript.iter()) + 1, finish.now_ms, claimed.run.clone());
                transcript.push(TranscriptRecord { seq, entry, at_ms, run });
                let (key, agent, id) = (&claimed.lane, &claimed.agent, &claimed.session_id);
                self.said.push((key.clone(), agent.clone(), id.clone(), seq));
            }
            let silent = self.sessions.get(&claimed.lane).is_some_and(|(of, _)| of.settings.silent);
            if let Some(route) = claimed.route.as_ref().filter(|_| !silent) {
                let speaker = Speaker {
                    turn: &turn.turn,
                    run: &claimed.run,
                    lane: &claimed.lane,
                    account: &claimed.account,
                    route,
                };
                for outbound in outbound_of(&speaker, finish) {
                    self.enqueue(&outbound)?;
                }
            }
            if let Some((session, turned)) = self.sessions.get_mut(&claimed.lane)
                && session.id == claimed.session_id
            {
                session.entries += added;
                session.updated_ms = finish.now_ms;
                *turned = Some(finish.now_ms);
            }
            for message in self.inbox.iter_mut().filter(|m| m.turn.as_deref() == Some(&turn.turn)) {
                message.state = if finish.parked { MessageState::Parked } else { MessageState::Over };
            }
            self.forget_questions(&turn.turn);
            let (waits, now_ms) = (self.pending(&claimed.lane) > 0, self.clock_ms);
            if let Some(lane) = self.lanes.get_mut(&claimed.lane)
                && lane.turn.as_deref() == Some(&turn.turn)
            {
                lane.turn = None;
                lane.claim.expires_ms = if waits { lane.claim.expires_ms } else { now_ms };
            }
        }
        let account = claimed.route.is_some().then_some(claimed.account);
        let pending = self.pending(&claimed.lane);
        Ok(Finished { already, run: claimed.run, lane: claimed.lane, account, pending })
    }

    fn context_page(&mut self, turn: &TurnRef, cursor: Option<u64>) -> Kept<ContextPage> {
        let session = self.turn(turn)?.claimed.session_id.clone();
        let before = cursor.unwrap_or(u64::MAX);
        let entries = self.transcripts.get(&session).map(Vec::as_slice).unwrap_or_default();
        let older = entries.iter().rev().filter(|record| record.seq < before);
        let (mut page, more) = fill_page(older.map(|record| {
            Ok((serde_json::to_string(&record.entry)?.len(), (record.seq, record.entry.clone())))
        }))?;
        page.reverse();
        let next = page.first().map(|(seq, _)| *seq).filter(|_| more);
        Ok(ContextPage { entries: page.into_iter().map(|(_, entry)| entry).collect(), next })
    }

    fn journal_page(&mut self, turn: &TurnRef, cursor: Option<u64>) -> Kept<JournalPage> {
        let row = self.turn(turn)?;
        let from = u32::try_from(cursor.unwrap_or(0)).unwrap_or(u32::MAX);
        let (steps, more) = fill_page(row.steps.range(from..).map(|(step, known)| {
            let size = serde_json::to_string(&known.entry)?.len();
            Ok((size, JournalStep { step: *step, entry: known.entry.clone() }))
        }))?;
        let next = steps.last().map(|last| u64::from(last.step) + 1).filter(|_| more);
        Ok(JournalPage { steps, next })
    }

    fn run(&mut self, run: &str) -> Kept<Option<RunRecord>> {
        if let Some(turn) = self.newest_turn(run) {
            let ending = turn.ended.as_ref().map(|(_, ending)| ending.clone());
            return Ok(Some(RunRecord {
                lane: turn.claimed.lane.clone(),
                turn: Some(turn.claimed.turn.clone()),
                outcome: ending.as_ref().map(|ending| ending.outcome),
                error: ending.as_ref().and_then(|ending| ending.error.clone()),
                text: ending.as_ref().map(|ending| ending.text.clone()),
                usage: ending.map(|ending| ending.usage).unwrap_or_default(),
                accepted_ms: turn.begun_ms,
                ended_ms: turn.ended.as_ref().map(|(at, _)| *at),
            }));
        }
        let waiting = self.inbox.iter().find(|message| message.placed.run.as_deref() == Some(run));
        Ok(waiting.map(|message| RunRecord {
            lane: message.placed.lane.clone(),
            turn: None,
            // One that answered a question is no turn of its own.
            outcome: (message.state == MessageState::Over).then_some(TurnOutcome::Done),
            error: None,
            text: None,
            usage: Usage::default(),
            accepted_ms: message.at_ms,
            ended_ms: (message.state == MessageState::Over).then_some(message.at_ms),
        }))
    }

    fn sessions(&mut self, query: &SessionQuery) -> Kept<Vec<SessionRecord>> {
        let fits = |session: &&SessionRecord| {
            query.agent.as_ref().is_none_or(|agent| *agent == session.agent)
                && query.kind.as_ref().is_none_or(|kind| *kind == session.kind)
                && session.updated_ms >= query.since_ms
                && query.search.as_ref().is_none_or(|text| {
                    session.key.contains(text)
                        || session.title.as_ref().is_some_and(|title| title.to_lowercase().contains(text))
                })
        };
        let mut found: Vec<SessionRecord> =
            self.sessions.values().map(|(session, _)| session).filter(fits).cloned().collect();
        for session in &mut found {
            session.pending = self.pending(&session.key);
            session.running = self.lanes.get(&session.key).is_some_and(|lane| lane.turn.is_some());
        }
        found.sort_by(|a, b| b.updated_ms.cmp(&a.updated_ms).then_with(|| a.key.cmp(&b.key)));
        found.truncate(query.limit as usize);
        Ok(found)
    }

    fn patch_session(&mut self, patch: &SessionPatch) -> Kept<SessionRecord> {
        Ok(self.patched(patch))
    }
    fn session_settings(&mut self, key: &str) -> Kept<SessionSettings> {
        Ok(self.sessions.get(key).map(|(session, _)| session.settings.clone()).unwrap_or_default())
    }
    fn renew_session(&mut self, key: &str, fresh_id: &str) -> Kept<Ended> {
        Ok(self.begun_afresh(key, fresh_id))
    }
    fn forget_session(&mut self, key: &str, as_of_ms: Option<i64>) -> Kept<Ended> {
        Ok(self.forgotten(key, as_of_ms))
    }
    fn forget_transcripts(&mut self, before_ms: i64) -> Kept<u64> {
        Ok(self.forgotten_transcripts(before_ms))
    }

    fn history(&mut self, session_key: &str, limit: u32) -> Kept<Vec<TranscriptRecord>> {
        let id = self.sessions.get(session_key).map(|(session, _)| session.id.clone()).unwrap_or_default();
        let all = self.transcripts.get(&id).map(Vec::as_slice).unwrap_or_default();
        Ok(all[all.len().saturating_sub(limit as usize)..].to_vec())
    }

    fn search(&mut self, query: &SearchQuery) -> Kept<SearchPage> {
        Ok(self.found(query))
    }

    fn index_older(&mut self) -> Kept<bool> {
        Ok(false)
    }

    fn enqueue(&mut self, row: &NewOutbound) -> Kept<bool> {
        self.put_row(row)
    }

    fn open_outbound(&mut self, own: &Held, max: u32) -> Kept<Vec<Outbound>> {
        self.open_rows(own, max)
    }

    fn attempt(&mut self, own: &Held, key: &str, incarnation: u64) -> Kept<bool> {
        self.attempt_row(own, key, incarnation)
    }

    fn part_sent(&mut self, own: &Held, key: &str, parts: u32) -> Kept<()> {
        self.part_of_row(own, key, parts)
    }

    fn settle(&mut self, own: &Held, key: &str, settled: &Settled) -> Kept<()> {
        self.settle_row(own, key, settled)
    }

    fn orphan_attempts(&mut self, own: &Held, alive: Option<u64>) -> Kept<Vec<String>> {
        self.orphan_rows(own, alive)
    }

    fn outbox(&mut self, limit: u32) -> Kept<Vec<Outbound>> {
        Ok(self.outbox.iter().rev().take(limit as usize).map(|row| row.outbound.clone()).collect())
    }

    fn resend(&mut self, key: &str, now_ms: i64) -> Kept<Wished> {
        Ok(self.resend_row(key, now_ms))
    }
    fn give_up(&mut self, key: &str, error: &str) -> Kept<Wished> {
        Ok(self.give_up_row(key, error))
    }
    fn parked(&mut self, limit: u32) -> Kept<Vec<ParkedRecord>> {
        Ok(self.parked_messages(limit))
    }
    fn unpark(&mut self, id: u64) -> Kept<Option<(String, String)>> {
        Ok(self.unpark_message(id))
    }
    fn discard(&mut self, id: u64) -> Kept<bool> {
        Ok(self.discard_message(id))
    }
    fn import(&mut self, new: &NewSession) -> Kept<Imported> {
        Ok(self.import_session(new))
    }
    fn session_file(&mut self, key: &str) -> Kept<Option<SessionFile>> {
        Ok(self.file_of(key))
    }
    fn prune(&mut self, before_ms: i64) -> Kept<u64> {
        let rows = |store: &Self| {
            count(store.inbox.iter())
                + count(store.outbox.iter())
                + store.turns.len() as u64
                + count(store.requests.iter())
        };
        let before = rows(self);
        let over = |message: &Message| message.state == MessageState::Over && message.at_ms < before_ms;
        for message in self.inbox.iter().filter(|message| over(message)) {
            self.known.remove(&(message.account.clone(), message.ext_id.clone()));
        }
        self.inbox.retain(|message| !over(message));
        let settled = |state| matches!(state, OutboxState::Sent | OutboxState::Failed);
        self.outbox.retain(|row| row.outbound.what.now_ms >= before_ms || !settled(row.outbound.state));
        self.turns.retain(|_, turn| turn.ended.as_ref().is_none_or(|(at, _)| *at >= before_ms));
        self.requests.retain(|row| row.expires_ms >= before_ms);
        Ok(before - rows(self))
    }
    #[cfg(test)]
    fn limit_pages(&mut self) -> Kept<()> {
        Ok(())
    }
    #[cfg(test)]
    fn pass(&mut self, time: std::time::Duration) {
        self.clock_ms += i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    }
    fn account(&mut self, account: &str) -> Kept<AccountRecord> {
        let times = self.accounts.get(account);
        let of = |wanted: fn(OutboxState) -> bool| {
            let rows = self.outbox.iter();
            count(rows.filter(|row| row.outbound.what.account == account && wanted(row.outbound.state)))
        };
        Ok(AccountRecord {
            inbound_ms: times.and_then(|times| times.inbound_ms),
            outbound_ms: times.and_then(|times| times.outbound_ms),
            queued: of(open),
            unknown: of(|state| state == OutboxState::Unknown),
        })
    }

    fn pairings(&mut self, now_ms: i64) -> Kept<Vec<PairingRecord>> {
        Ok(self.requests.iter().filter(|row| row.expires_ms > now_ms).cloned().collect())
    }

    fn approve(&mut self, accounts: &[String], code: &str, now_ms: i64) -> Kept<Option<PairingRecord>> {
        let found = self.dismiss(accounts, code, now_ms)?;
        if let Some(record) = &found {
            self.let_in.push((record.account.clone(), record.sender.clone()));
        }
        Ok(found)
    }

    fn dismiss(&mut self, accounts: &[String], code: &str, now_ms: i64) -> Kept<Option<PairingRecord>> {
        let found = self
            .pairings(now_ms)?
            .into_iter()
            .rfind(|row| same_code(&row.code, code) && accounts.contains(&row.account));
        if let Some(found) = &found {
            self.requests.retain(|row| row != found);
        }
        Ok(found)
    }

    fn allowed(&mut self) -> Kept<Vec<(String, String)>> {
        let mut all = self.let_in.clone();
        all.sort();
        Ok(all)
    }
}
