use super::*;
use crate::hub::OutboxState;

impl Tx<'_> {
    pub(super) fn parked(&self, limit: u32) -> Kept<Vec<ParkedRecord>> {
        let rows = self.rows(
            "SELECT inbox.seq, inbox.account, inbox.lane, inbox.input, inbox.at_ms,
                    coalesce(turn.attempts, 0), turn.ended_ms, turn.ending
             FROM inbox LEFT JOIN turn ON turn.id = inbox.turn
             WHERE inbox.state = 'parked' ORDER BY inbox.seq LIMIT $1",
            values![limit],
        )?;
        let records = rows.iter().map(|row| {
            let ending: Option<Ending> = row.maybe_json(7)?;
            Ok(ParkedRecord {
                id: row.count(0)?,
                account: row.at(1)?,
                lane: row.at(2)?,
                input: row.json(3)?,
                at_ms: row.at(4)?,
                // The life that was not begun any more counts, too.
                attempts: row.small(5)?,
                parked_ms: row.at(6)?,
                error: ending.and_then(|ending| ending.error),
            })
        });
        records.collect()
    }

    pub(super) fn unpark(&self, id: u64) -> Kept<Option<(String, String)>> {
        let parked = self.maybe(
            "UPDATE inbox SET state = 'waiting', turn = NULL WHERE seq = $1 AND state = 'parked' RETURNING lane",
            values![id],
        )?;
        let Some(parked) = parked else { return Ok(None) };
        let lane: String = parked.at(0)?;
        let agent =
            self.one("UPDATE lane SET pending = pending + 1 WHERE key = $1 RETURNING agent", values![&lane])?;
        let agent = agent.at(0)?;
        Ok(Some((lane, agent)))
    }

    pub(super) fn discard(&self, id: u64) -> Kept<bool> {
        let sql = "UPDATE inbox SET state = 'done' WHERE seq = $1 AND state = 'parked'";
        Ok(self.run_one(sql, values![id])? == 1)
    }

    pub(super) fn resend(&self, key: &str, now_ms: i64) -> Kept<Wished> {
        let row = self.maybe(
            "UPDATE outbox SET state = 'queued', attempts = 0, not_before_ms = 0, incarnation = NULL,
                    error = NULL, created_ms = $2
             WHERE key = $1 AND state IN ('unknown', 'failed') RETURNING account",
            values![key, now_ms],
        )?;
        row.map_or_else(|| self.not_wished(key), |row| Ok(Wished::Done(row.at(0)?)))
    }

    pub(super) fn give_up(&self, key: &str, error: &str) -> Kept<Wished> {
        let row = self.maybe(
            "UPDATE outbox SET state = 'failed', error = $2
             WHERE key = $1 AND state IN ('queued', 'unknown') RETURNING account",
            values![key, error],
        )?;
        row.map_or_else(|| self.not_wished(key), |row| Ok(Wished::Done(row.at(0)?)))
    }

    fn not_wished(&self, key: &str) -> Kept<Wished> {
        let row = self.maybe("SELECT state FROM outbox WHERE key = $1", values![key])?;
        let Some(row) = row else { return Ok(Wished::NoRow) };
        let state: OutboxState = deliver::state_of(row.at(0)?);
        Ok(Wished::NotNow(state))
    }
}
