use super::*;

impl Memory {
    pub(super) fn patched(&mut self, patch: &SessionPatch) -> SessionRecord {
        let first = &patch.first;
        let (session, _) = self.sessions.entry(patch.key.clone()).or_insert_with(|| {
            let record = SessionRecord {
                key: patch.key.clone(),
                id: first.id.clone(),
                agent: first.agent.clone(),
                kind: first.kind.clone(),
                account: first.account.clone(),
                title: None,
                model: None,
                settings: SessionSettings::default(),
                updated_ms: first.now_ms,
                entries: 0,
                pending: 0,
                running: false,
            };
            (record, None)
        });
        patch.apply(session);
        let mut session = session.clone();
        session.pending = self.pending(&patch.key);
        session.running = self.turn_goes_on(&patch.key);
        session
    }

    fn turn_goes_on(&self, key: &str) -> bool {
        self.lanes.get(key).is_some_and(|lane| lane.turn.is_some())
    }

    pub(super) fn begun_afresh(&mut self, key: &str, fresh_id: &str) -> Ended {
        let busy = self.turn_goes_on(key) || self.pending(key) > 0;
        match self.sessions.get_mut(key) {
            None => Ended::NoSession,
            Some(_) if busy => Ended::Busy,
            Some((session, _)) => {
                if session.entries > 0 {
                    (session.id, session.entries) = (fresh_id.to_owned(), 0);
                }
                Ended::Done
            }
        }
    }

    pub(super) fn forgotten(&mut self, key: &str, as_of_ms: Option<i64>) -> Ended {
        let Some((session, _)) = self.sessions.get(key) else { return Ended::NoSession };
        let parked = |message: &Message| message.placed.lane == key && message.state == MessageState::Parked;
        let changed = as_of_ms.is_some_and(|at| at != session.updated_ms);
        if changed || self.turn_goes_on(key) || self.pending(key) > 0 || self.inbox.iter().any(parked) {
            return Ended::Busy;
        }
        let mut ids = vec![session.id.clone()];
        ids.extend(
            self.turns
                .values()
                .map(|turn| &turn.claimed)
                .filter(|of| of.lane == key)
                .map(|of| of.session_id.clone()),
        );
        ids.extend(self.said.iter().filter(|(of, ..)| of == key).map(|(_, _, id, _)| id.clone()));
        self.sessions.remove(key);
        self.forget_files(&ids);
        for message in self.inbox.iter_mut().filter(|message| message.placed.lane == key) {
            if message.state == MessageState::Context {
                message.state = MessageState::Over;
            }
        }
        Ended::Done
    }

    pub(super) fn forgotten_transcripts(&mut self, before_ms: i64) -> u64 {
        let current = |id: &str| self.sessions.values().any(|(session, _)| session.id == id);
        let over = |(id, entries): &(&String, &Vec<TranscriptRecord>)| {
            !current(id) && entries.iter().all(|entry| entry.at_ms < before_ms)
        };
        let ids: Vec<String> = self.transcripts.iter().filter(over).map(|(id, _)| id.clone()).collect();
        self.forget_files(&ids);
        ids.len() as u64
    }

    fn forget_files(&mut self, ids: &[String]) {
        self.said.retain(|(_, _, id, _)| !ids.contains(id));
        for id in ids {
            self.transcripts.remove(id);
            self.lines.remove(id);
        }
    }
}
