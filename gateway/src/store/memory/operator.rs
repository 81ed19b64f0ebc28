use super::*;

impl Memory {
    /// The turn that a run was last taken up in.
    pub(super) fn newest_turn(&self, run: &str) -> Option<&Turn> {
        let turns = self.turns.values().filter(|turn| turn.claimed.run == run);
        turns.max_by_key(|turn| (turn.begun_ms, turn.claimed.turn.turn.clone()))
    }

    pub(super) fn resend_row(&mut self, key: &str, now_ms: i64) -> Wished {
        self.wish(key, &[OutboxState::Unknown, OutboxState::Failed], |row| {
            row.incarnation = None;
            let outbound = &mut row.outbound;
            (outbound.state, outbound.attempts, outbound.not_before_ms) = (OutboxState::Queued, 0, 0);
            (outbound.error, outbound.what.now_ms) = (None, now_ms);
        })
    }

    pub(super) fn give_up_row(&mut self, key: &str, error: &str) -> Wished {
        self.wish(key, &[OutboxState::Queued, OutboxState::Unknown], |row| {
            row.outbound.state = OutboxState::Failed;
            row.outbound.error = Some(error.to_owned());
        })
    }

    fn wish(&mut self, key: &str, from: &[OutboxState], change: impl FnOnce(&mut Row)) -> Wished {
        let Some(row) = self.outbox.iter_mut().find(|row| row.outbound.what.key == key) else {
            return Wished::NoRow;
        };
        if !from.contains(&row.outbound.state) {
            return Wished::NotNow(row.outbound.state);
        }
        change(row);
        Wished::Done(row.outbound.what.account.clone())
    }

    pub(super) fn parked_messages(&self, limit: u32) -> Vec<ParkedRecord> {
        let parked = self.inbox.iter().filter(|message| message.state == MessageState::Parked);
        let record = |message: &Message| {
            let turn = message.turn.as_ref().and_then(|turn| self.turns.get(turn));
            let ended = turn.and_then(|turn| turn.ended.as_ref());
            ParkedRecord {
                id: message.seq,
                account: message.account.clone(),
                lane: message.placed.lane.clone(),
                input: message.placed.input.clone(),
                at_ms: message.at_ms,
                attempts: turn.map_or(0, |turn| turn.claimed.falls),
                parked_ms: ended.map(|(at, _)| *at),
                error: ended.and_then(|(_, ending)| ending.error.clone()),
            }
        };
        parked.take(limit as usize).map(record).collect()
    }

    fn parked_of(&mut self, id: u64) -> Option<&mut Message> {
        self.inbox.iter_mut().find(|message| message.seq == id && message.state == MessageState::Parked)
    }

    pub(super) fn unpark_message(&mut self, id: u64) -> Option<(String, String)> {
        let message = self.parked_of(id)?;
        (message.state, message.turn) = (MessageState::Waiting, None);
        let lane = message.placed.lane.clone();
        let agent = self.lanes.get(&lane)?.agent.clone();
        Some((lane, agent))
    }

    pub(super) fn discard_message(&mut self, id: u64) -> bool {
        self.parked_of(id).map(|message| message.state = MessageState::Over).is_some()
    }
}
