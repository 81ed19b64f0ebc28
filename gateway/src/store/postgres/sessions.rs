//! What is decided about a session: its settings, a new beginning, its end.

use super::*;

impl Tx<'_> {
    pub(super) fn patch_session(&self, patch: &SessionPatch) -> Kept<SessionRecord> {
        let first = &patch.first;
        self.run_one(
            "INSERT INTO session (key, id, agent, kind, account, updated_ms) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (key) DO NOTHING",
            values![&patch.key, &first.id, &first.agent, &first.kind, &first.account, first.now_ms],
        )?;
        self.one("SELECT 1 FROM session WHERE key = $1 FOR NO KEY UPDATE", values![&patch.key])?;
        let mut session = self.session(&patch.key)?.ok_or_else(|| StoreError::vanished(&patch.key))?;
        patch.apply(&mut session);
        self.run_one(
            "UPDATE session SET model = $2, settings = $3 WHERE key = $1",
            values![&patch.key, session.model.as_ref(), session.settings.column()?],
        )?;
        Ok(session)
    }

    pub(super) fn settings(&self, key: &str) -> Kept<SessionSettings> {
        let row = self.maybe("SELECT settings FROM session WHERE key = $1", values![key])?;
        Ok(row.map(|row| row.maybe_json(0)).transpose()?.flatten().unwrap_or_default())
    }

    pub(super) fn renew_session(&self, key: &str, fresh_id: &str) -> Kept<Ended> {
        if !self.is_idle(key)? {
            return Ok(Ended::Busy);
        }
        let Some(session) = self.session(key)? else { return Ok(Ended::NoSession) };
        if session.entries > 0 {
            self.run_one("UPDATE session SET id = $2, entries = 0 WHERE key = $1", values![key, fresh_id])?;
        }
        Ok(Ended::Done)
    }

    pub(super) fn forget_session(&self, key: &str, as_of_ms: Option<i64>) -> Kept<Ended> {
        if !self.is_idle(key)? {
            return Ok(Ended::Busy);
        }
        let gone = self.maybe(
            "DELETE FROM session WHERE key = $1 AND updated_ms = coalesce($2, updated_ms)
                 AND NOT EXISTS (SELECT 1 FROM inbox WHERE lane = $1 AND state = 'parked')
             RETURNING id",
            values![key, as_of_ms],
        )?;
        let Some(gone) = gone else {
            let there = self.session(key)?.is_some();
            return Ok(if there { Ended::Busy } else { Ended::NoSession });
        };
        // Also what was said before it last began afresh, as far as anybody still knows.
        let turns = self.rows(
            "SELECT session_id FROM turn WHERE lane = $1 UNION SELECT id FROM conversation WHERE key = $1",
            values![key],
        )?;
        let mut ids = turns.iter().map(|row| row.at(0)).collect::<Kept<Vec<String>>>()?;
        ids.push(gone.at(0)?);
        self.forget_files(&ids)?;
        self.run_one("UPDATE inbox SET state = 'done' WHERE lane = $1 AND state = 'context'", values![key])?;
        Ok(Ended::Done)
    }

    /// Whether nothing goes on in a lane; nobody begins anything in it until this transaction is over.
    fn is_idle(&self, key: &str) -> Kept<bool> {
        let lane = self.maybe(
            "SELECT pending = 0 AND turn IS NULL FROM lane WHERE key = $1 FOR NO KEY UPDATE",
            values![key],
        )?;
        lane.map_or(Ok(true), |row| row.at(0))
    }

    pub(super) fn forget_transcripts(&self, before_ms: i64) -> Kept<u64> {
        // From id to id along the primary key, as there are far fewer transcripts than entries.
        let rows = self.rows(
            "WITH RECURSIVE ids (id) AS (
                 (SELECT session_id FROM transcript ORDER BY session_id LIMIT 1)
                 UNION ALL
                 SELECT (SELECT session_id FROM transcript WHERE session_id > ids.id ORDER BY session_id LIMIT 1)
                 FROM ids WHERE ids.id IS NOT NULL
             )
             SELECT id FROM ids WHERE id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM session WHERE session.id = ids.id)
                 AND (SELECT max(at_ms) FROM transcript WHERE session_id = ids.id) < $1 LIMIT 20",
            values![before_ms],
        )?;
        let ids = rows.iter().map(|row| row.at(0)).collect::<Kept<Vec<String>>>()?;
        self.forget_files(&ids)?;
        Ok(ids.len() as u64)
    }

    fn forget_files(&self, ids: &[String]) -> Kept<()> {
        for id in ids {
            self.all(&[
                ("DELETE FROM transcript WHERE session_id = $1", values![id]),
                ("DELETE FROM imported_line WHERE session_id = $1", values![id]),
                ("DELETE FROM conversation WHERE id = $1", values![id]),
            ])?;
        }
        Ok(())
    }
}
