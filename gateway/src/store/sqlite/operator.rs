use rusqlite::{OptionalExtension, params};

use super::*;
use crate::hub::OutboxState;

impl Tx<'_> {
    pub(super) fn parked(&self, limit: u32) -> Kept<Vec<ParkedRecord>> {
        let mut query = self.sql.prepare_cached(
            "SELECT inbox.seq, inbox.account, inbox.lane, inbox.input, inbox.at_ms,
                    coalesce(turn.attempts, 0), turn.ended_ms, turn.ending
             FROM inbox LEFT JOIN turn ON turn.id = inbox.turn
             WHERE inbox.state = 'parked' ORDER BY inbox.seq LIMIT ?1",
        )?;
        let mut rows = query.query([limit])?;
        let mut parked = Vec::new();
        while let Some(row) = rows.next()? {
            let ending = maybe_json::<Ending>(row.get::<_, Option<String>>(7)?.as_deref())?;
            parked.push(ParkedRecord {
                id: unsigned(row.get(0)?),
                account: row.get(1)?,
                lane: row.get(2)?,
                input: json(&row.get::<_, String>(3)?)?,
                at_ms: row.get(4)?,
                // The life that was not begun any more counts, too.
                attempts: row.get(5)?,
                parked_ms: row.get(6)?,
                error: ending.and_then(|ending| ending.error),
            });
        }
        Ok(parked)
    }

    pub(super) fn unpark(&self, id: u64) -> Kept<Option<(String, String)>> {
        let lane: Option<String> = self
            .sql
            .query_row(
                "UPDATE inbox SET state = 'waiting', turn = NULL WHERE seq = ?1 AND state = 'parked' RETURNING lane",
                [signed(id)],
                |row| row.get(0),
            )
            .optional()?;
        let Some(lane) = lane else { return Ok(None) };
        let agent = self.sql.query_row(
            "UPDATE lane SET pending = pending + 1 WHERE key = ?1 RETURNING agent",
            [&lane],
            |row| row.get(0),
        )?;
        Ok(Some((lane, agent)))
    }

    pub(super) fn discard(&self, id: u64) -> Kept<bool> {
        let done = self
            .sql
            .execute("UPDATE inbox SET state = 'done' WHERE seq = ?1 AND state = 'parked'", [signed(id)])?;
        Ok(done == 1)
    }

    pub(super) fn resend(&self, key: &str, now_ms: i64) -> Kept<Wished> {
        let account = self
            .sql
            .query_row(
                "UPDATE outbox SET state = 'queued', attempts = 0, not_before_ms = 0, incarnation = NULL,
                        error = NULL, created_ms = ?2
                 WHERE key = ?1 AND state IN ('unknown', 'failed') RETURNING account",
                params![key, now_ms],
                |row| row.get(0),
            )
            .optional()?;
        account.map_or_else(|| self.not_wished(key), |account| Ok(Wished::Done(account)))
    }

    pub(super) fn give_up(&self, key: &str, error: &str) -> Kept<Wished> {
        let account = self
            .sql
            .query_row(
                "UPDATE outbox SET state = 'failed', error = ?2
                 WHERE key = ?1 AND state IN ('queued', 'unknown') RETURNING account",
                params![key, error],
                |row| row.get(0),
            )
            .optional()?;
        account.map_or_else(|| self.not_wished(key), |account| Ok(Wished::Done(account)))
    }

    fn not_wished(&self, key: &str) -> Kept<Wished> {
        let state: Option<String> = self
            .sql
            .query_row("SELECT state FROM outbox WHERE key = ?1", [key], |row| row.get(0))
            .optional()?;
        let state: Option<OutboxState> = state.map(|word| deliver::state_of(&word));
        Ok(state.map_or(Wished::NoRow, Wished::NotNow))
    }
}
