//! What is decided about a session: its settings, a new beginning, its end.

use rusqlite::{OptionalExtension, params};

use super::*;

/// Transcripts that are forgotten at once.
const PIECE: u32 = 20;

impl Tx<'_> {
    pub(super) fn patch_session(&self, patch: &SessionPatch) -> Kept<SessionRecord> {
        let first = &patch.first;
        self.sql.execute(
            "INSERT INTO session (key, id, agent, kind, account, updated_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (key) DO NOTHING",
            params![patch.key, first.id, first.agent, first.kind, first.account, first.now_ms],
        )?;
        let mut session = self.session(&patch.key)?.ok_or_else(|| StoreError::vanished(&patch.key))?;
        patch.apply(&mut session);
        self.sql.execute(
            "UPDATE session SET model = ?2, settings = ?3 WHERE key = ?1",
            params![patch.key, session.model, session.settings.column()?],
        )?;
        Ok(session)
    }

    pub(super) fn settings(&self, key: &str) -> Kept<SessionSettings> {
        let column: Option<Option<String>> = self
            .sql
            .prepare_cached("SELECT settings FROM session WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()?;
        Ok(reads::settings_of(column.flatten().as_deref()))
    }

    pub(super) fn renew_session(&self, key: &str, fresh_id: &str) -> Kept<Ended> {
        let Some(session) = self.session(key)? else { return Ok(Ended::NoSession) };
        if session.running || session.pending > 0 {
            return Ok(Ended::Busy);
        }
        if session.entries > 0 {
            self.sql
                .execute("UPDATE session SET id = ?2, entries = 0 WHERE key = ?1", params![key, fresh_id])?;
        }
        Ok(Ended::Done)
    }

    pub(super) fn forget_session(&self, key: &str, as_of_ms: Option<i64>) -> Kept<Ended> {
        let gone: Option<String> = self
            .sql
            .query_row(
                "DELETE FROM session WHERE key = ?1 AND (?2 IS NULL OR updated_ms = ?2)
                     AND NOT EXISTS (SELECT 1 FROM lane WHERE key = ?1 AND (pending > 0 OR turn IS NOT NULL))
                     AND NOT EXISTS (SELECT 1 FROM inbox WHERE lane = ?1 AND state = 'parked')
                 RETURNING id",
                params![key, as_of_ms],
                |row| row.get(0),
            )
            .optional()?;
        let Some(id) = gone else {
            let there = self.session(key)?.is_some();
            return Ok(if there { Ended::Busy } else { Ended::NoSession });
        };
        // Also what was said before it last began afresh.
        self.forget_conversations("key = ?1 OR id = ?2", params![key, id])?;
        self.sql.execute("DELETE FROM imported_line WHERE session_id = ?1", [id])?;
        self.sql.execute("UPDATE inbox SET state = 'done' WHERE lane = ?1 AND state = 'context'", [key])?;
        Ok(Ended::Done)
    }

    pub(super) fn forget_transcripts(&self, before_ms: i64) -> Kept<u64> {
        self.forget_conversations(
            "NOT EXISTS (SELECT 1 FROM session WHERE session.id = conversation.id)
                 AND (SELECT at_ms FROM transcript WHERE conversation = number ORDER BY seq DESC LIMIT 1) < ?1 LIMIT ?2",
            params![before_ms, PIECE],
        )
    }

    fn forget_conversations(&self, which: &str, wanted: impl rusqlite::Params) -> Kept<u64> {
        let mut query =
            self.sql.prepare_cached(&format!("SELECT number, id FROM conversation WHERE {which}"))?;
        let found = query.query_map(wanted, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let found: Vec<(i64, String)> = found.collect::<Result<_, _>>()?;
        for (number, id) in &found {
            self.unsay(*number)?;
            self.sql.execute("DELETE FROM imported_line WHERE session_id = ?1", [id])?;
        }
        Ok(found.len() as u64)
    }
}
