use rusqlite::{OptionalExtension, params};

use super::*;

/// Rows, and pages, that one write forgets.
const PIECE: u32 = 500;

impl Tx<'_> {
    pub(super) fn accept(&self, own: &Held, message: &NewMessage) -> Kept<Accepted> {
        self.fence(own)?;
        let known: Option<Option<String>> = self
            .sql
            .prepare_cached("SELECT run FROM inbox WHERE account = ?1 AND ext_id = ?2")?
            .query_row(params![own.account(), message.ext_id], |row| row.get(0))
            .optional()?;
        if let (Some(run), true) = (known, self.rules.fenced()) {
            self.touch_account(own, message)?;
            return Ok(Accepted::Duplicate { run });
        }
        let accepted = self.befall(own, message, &message.fate)?;
        self.touch_account(own, message)?;
        Ok(accepted)
    }

    fn befall(&self, own: &Held, message: &NewMessage, fate: &Fate) -> Kept<Accepted> {
        Ok(match fate {
            Fate::Ignored => Accepted::Fresh,
            Fate::Answer { placed, answer, otherwise } => {
                if !self.answered_by(placed, *answer)? {
                    return self.befall(own, message, otherwise);
                }
                self.place(own, message, placed, "done")?;
                Accepted::Answered
            }
            Fate::Turn(placed) => {
                self.place(own, message, placed, "waiting")?;
                self.sql
                    .prepare_cached(
                        "INSERT INTO lane (key, agent, pending, expires_ms) VALUES (?1, ?2, 1, ?3)
                         ON CONFLICT (key) DO UPDATE SET pending = pending + 1, agent = ?2,
                             expires_ms = iif(pending = 0 AND turn IS NULL, ?3, expires_ms)",
                    )?
                    .execute(params![placed.lane, placed.agent, self.now_ms])?;
                Accepted::Fresh
            }
            Fate::Context { placed, keep } => {
                self.place(own, message, placed, "context")?;
                self.sql.execute(
                    "DELETE FROM inbox WHERE seq IN (SELECT seq FROM inbox WHERE lane = ?1 AND state = 'context'
                     ORDER BY seq DESC LIMIT -1 OFFSET ?2)",
                    params![placed.lane, keep],
                )?;
                Accepted::Fresh
            }
            Fate::Pairing(request) => self.ask(own, message, request)?,
        })
    }

    /// In pieces, so that nobody waits long for the writer: whoever asks asks again until nothing is left.
    pub(super) fn prune(&self, before_ms: i64) -> Kept<u64> {
        let mut gone = 0;
        for sql in [
            "DELETE FROM inbox WHERE seq IN (SELECT seq FROM inbox
                 WHERE at_ms < ?1 AND state = 'done' LIMIT ?2)",
            "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox
                 WHERE created_ms < ?1 AND state IN ('sent', 'failed') LIMIT ?2)",
            "DELETE FROM turn WHERE id IN (SELECT id FROM turn WHERE ended_ms < ?1 LIMIT ?2)",
            "DELETE FROM pairing_request WHERE (account, sender) IN
                 (SELECT account, sender FROM pairing_request WHERE expires_ms < ?1 LIMIT ?2)",
        ] {
            gone += self.sql.execute(sql, params![before_ms, PIECE])?;
        }
        // What became free goes back to the disk, as much of it at a time.
        let mut vacuum = self.sql.prepare_cached(&format!("PRAGMA incremental_vacuum({PIECE})"))?;
        let mut pages = vacuum.query([])?;
        while pages.next()?.is_some() {}
        Ok(gone as u64)
    }

    fn touch_account(&self, own: &Held, message: &NewMessage) -> Kept<()> {
        self.sql
            .prepare_cached(
                "UPDATE account SET cursor = coalesce(?2, cursor), inbound_ms = ?3 WHERE id = ?1",
            )?
            .execute(params![own.account(), message.cursor, message.now_ms])?;
        Ok(())
    }

    fn place(&self, own: &Held, message: &NewMessage, placed: &Placed, state: &str) -> Kept<()> {
        // Without its rules the store must be able to hold a message twice.
        let ext_id = if self.rules.fenced() {
            message.ext_id.clone()
        } else {
            let rows: i64 =
                self.sql.query_row("SELECT coalesce(max(seq), 0) FROM inbox", [], |row| row.get(0))?;
            format!("{}#{rows}", message.ext_id)
        };
        self.sql
            .prepare_cached(
                "INSERT INTO inbox (account, ext_id, lane, run, state, resets, place, route, input, at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                own.account(),
                ext_id,
                placed.lane,
                placed.run,
                state,
                placed.resets,
                placed.route.as_ref().map(chat_of).unwrap_or_default(),
                placed.route.as_ref().map(serde_json::to_string).transpose()?,
                serde_json::to_string(&placed.input)?,
                message.now_ms,
            ])?;
        self.sql
            .prepare_cached(
                "INSERT INTO session (key, id, agent, kind, account, title, updated_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (key) DO UPDATE SET account = ?5, title = coalesce(?6, title), updated_ms = ?7",
            )?
            .execute(params![
                placed.lane,
                placed.session_id,
                placed.agent,
                placed.kind,
                own.account(),
                placed.title,
                message.now_ms,
            ])?;
        Ok(())
    }
}
