use rusqlite::{OptionalExtension, params};

use super::search::{Conversation, Said};
use super::*;

impl Tx<'_> {
    pub(super) fn import(&self, new: &NewSession) -> Kept<Imported> {
        let key: Option<String> = self
            .sql
            .query_row("SELECT key FROM session WHERE id = ?1", [&new.id], |row| row.get(0))
            .optional()?;
        let known: bool = self.sql.query_row(
            "SELECT EXISTS (SELECT 1 FROM conversation WHERE id = ?1)
                 OR EXISTS (SELECT 1 FROM imported_line WHERE session_id = ?1)",
            [&new.id],
            |row| row.get(0),
        )?;
        if known || key.is_some() {
            return Ok(Imported::Known(key));
        }
        let taken: bool = self.sql.query_row(
            "SELECT EXISTS (SELECT 1 FROM session WHERE key = ?1)",
            [&new.key],
            |row| row.get(0),
        )?;
        let key = if taken { &new.spare_key } else { &new.key };
        self.sql.execute(
            "INSERT INTO session (key, id, agent, kind, account, title, updated_ms, turned_ms, entries)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                key,
                new.id,
                new.agent,
                new.kind,
                new.account,
                new.title,
                new.updated_ms,
                new.now_ms,
                signed(new.entries.len() as u64),
            ],
        )?;
        let said = new.entries.iter().map(|(at_ms, entry)| Said { run: IMPORTED, at_ms: *at_ms, entry });
        self.say(&Conversation { id: &new.id, key, agent: &new.agent }, said)?;
        let mut kept = self.sql.prepare_cached("INSERT INTO imported_line VALUES (?1, ?2, ?3)")?;
        for (seq, line) in (1_i64..).zip(&new.lines) {
            kept.execute(params![new.id, seq, line])?;
        }
        Ok(Imported::Fresh(key.clone()))
    }

    pub(super) fn session_file(&self, key: &str) -> Kept<Option<SessionFile>> {
        let Some(session) = self.session(key)? else { return Ok(None) };
        let mut query =
            self.sql.prepare_cached("SELECT line FROM imported_line WHERE session_id = ?1 ORDER BY seq")?;
        let lines = query.query_map([&session.id], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut query = self.sql.prepare_cached(
            "SELECT seq, entry, at_ms, run FROM transcript
             WHERE conversation = (SELECT number FROM conversation WHERE id = ?1) AND run <> ?2 ORDER BY seq",
        )?;
        let mut rows = query.query(params![session.id, IMPORTED])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            entries.push(TranscriptRecord {
                seq: unsigned(row.get(0)?),
                entry: json(&row.get::<_, String>(1)?)?,
                at_ms: row.get(2)?,
                run: row.get(3)?,
            });
        }
        Ok(Some(SessionFile { session, lines, entries }))
    }
}
