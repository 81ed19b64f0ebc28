use super::*;

impl Memory {
    pub(super) fn import_session(&mut self, new: &NewSession) -> Imported {
        let key = self.sessions.values().find(|(session, _)| session.id == new.id);
        let key = key.map(|(session, _)| session.key.clone());
        if key.is_some() || self.transcripts.contains_key(&new.id) || self.lines.contains_key(&new.id) {
            return Imported::Known(key);
        }
        let key = if self.sessions.contains_key(&new.key) { &new.spare_key } else { &new.key };
        let session = SessionRecord {
            key: key.clone(),
            id: new.id.clone(),
            agent: new.agent.clone(),
            kind: new.kind.clone(),
            account: new.account.clone(),
            title: new.title.clone(),
            model: None,
            settings: SessionSettings::default(),
            updated_ms: new.updated_ms,
            entries: new.entries.len() as u64,
            pending: 0,
            running: false,
        };
        self.sessions.insert(key.clone(), (session, Some(new.now_ms)));
        let record = |(seq, (at_ms, entry)): (u64, &(i64, Entry))| TranscriptRecord {
            seq,
            entry: entry.clone(),
            at_ms: *at_ms,
            run: IMPORTED.to_owned(),
        };
        self.transcripts.insert(new.id.clone(), (1..).zip(&new.entries).map(record).collect());
        for seq in 1..=new.entries.len() as u64 {
            self.said.push((key.clone(), new.agent.clone(), new.id.clone(), seq));
        }
        self.lines.insert(new.id.clone(), new.lines.clone());
        Imported::Fresh(key.clone())
    }

    pub(super) fn file_of(&self, key: &str) -> Option<SessionFile> {
        let (session, _) = self.sessions.get(key)?;
        let entries = self.transcripts.get(&session.id).into_iter().flatten();
        let mut session = session.clone();
        session.pending = self.pending(key);
        session.running = self.lanes.get(key).is_some_and(|lane| lane.turn.is_some());
        Some(SessionFile {
            lines: self.lines.get(&session.id).cloned().unwrap_or_default(),
            entries: entries.filter(|entry| entry.run != IMPORTED).cloned().collect(),
            session,
        })
    }
}
