use rusqlite::{OptionalExtension, Row, params};

use super::*;
use crate::hub::OutboxState;

const COLUMNS: &str = "key, account, route, text, attachments, draft, run, state, parts_sent, attempts, not_before_ms, error, created_ms, agent";

type Raw = (Outbound, String, String);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let state: String = row.get(7)?;
    let outbound = Outbound {
        what: NewOutbound {
            key: row.get(0)?,
            account: row.get(1)?,
            route: Route {
                chat_id: String::new(),
                kind: ChatKind::Direct,
                thread: None,
                reply_to: None,
                addressee: None,
            },
            text: row.get(3)?,
            attachments: Vec::new(),
            draft: row.get(5)?,
            run: row.get(6)?,
            agent: row.get(13)?,
            now_ms: row.get(12)?,
        },
        state: state_of(&state),
        parts_sent: row.get(8)?,
        attempts: row.get(9)?,
        not_before_ms: row.get(10)?,
        wait_ms: 0,
        error: row.get(11)?,
    };
    Ok((outbound, row.get(2)?, row.get(4)?))
}

use creel_ipc::msg::channel::{ChatKind, Route};

fn whole((mut outbound, route, attachments): Raw) -> Kept<Outbound> {
    outbound.what.route = json(&route)?;
    outbound.what.attachments = json(&attachments)?;
    Ok(outbound)
}

pub(super) fn state_of(word: &str) -> OutboxState {
    match word {
        "queued" => OutboxState::Queued,
        "attempting" => OutboxState::Attempting,
        "sent" => OutboxState::Sent,
        "failed" => OutboxState::Failed,
        _ => OutboxState::Unknown,
    }
}

impl Tx<'_> {
    pub(super) fn enqueue(&self, row: &NewOutbound) -> Kept<bool> {
        let key = if self.rules.fenced() {
            row.key.clone()
        } else {
            let rows: i64 = self.sql.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0))?;
            format!("{}#{rows}", row.key)
        };
        let added = self
            .sql
            .prepare_cached(
                "INSERT INTO outbox (key, account, chat, route, text, attachments, draft, run, state, created_ms, agent)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'queued', ?9, ?10) ON CONFLICT (key) DO NOTHING",
            )?
            .execute(params![
                key,
                row.account,
                chat_of(&row.route),
                serde_json::to_string(&row.route)?,
                row.text,
                serde_json::to_string(&row.attachments)?,
                row.draft,
                row.run,
                row.now_ms,
                row.agent,
            ])?;
        Ok(added == 1)
    }

    pub(super) fn open_outbound(&self, own: &Held, max: u32) -> Kept<Vec<Outbound>> {
        self.fence(own)?;
        let held: Moment = self
            .sql
            .prepare_cached("SELECT hold_ms, hold_for_ms FROM account WHERE id = ?1")?
            .query_row([own.account()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?
            .unwrap_or_default();
        let mut query = self.sql.prepare_cached(&format!(
            "SELECT {COLUMNS}, wait_ms FROM outbox WHERE seq IN (
                 SELECT min(seq) FROM outbox WHERE account = ?1 AND state IN ('queued', 'attempting') GROUP BY chat)
             ORDER BY seq LIMIT ?2"
        ))?;
        let rows = query.query_map(params![own.account(), max], |row| Ok((raw(row)?, row.get(14)?)))?;
        let waits = |row: rusqlite::Result<(Raw, i64)>| {
            let (row, wait_ms) = row?;
            let mut row = whole(row)?;
            let moments = [(row.not_before_ms, wait_ms), held];
            (row.not_before_ms, row.wait_ms) = wait_until(self.now_ms, moments);
            Ok(row)
        };
        rows.map(waits).collect()
    }

    pub(super) fn attempt(&self, own: &Held, key: &str, incarnation: u64) -> Kept<bool> {
        self.fence(own)?;
        let begun = self
            .sql
            .prepare_cached(
                "UPDATE outbox SET state = 'attempting', incarnation = ?3, attempts = attempts + 1
                 WHERE key = ?1 AND account = ?2
                   AND (state = 'queued' OR (state = 'attempting' AND incarnation = ?3))",
            )?
            .execute(params![key, own.account(), signed(incarnation)])?;
        Ok(begun == 1)
    }

    pub(super) fn part_sent(&self, own: &Held, key: &str, parts: u32) -> Kept<()> {
        self.fence(own)?;
        self.sql
            .prepare_cached(
                "UPDATE outbox SET parts_sent = max(parts_sent, ?3) WHERE key = ?1 AND account = ?2",
            )?
            .execute(params![key, own.account(), parts])?;
        Ok(())
    }

    pub(super) fn settle(&self, own: &Held, key: &str, settled: &Settled) -> Kept<()> {
        self.fence(own)?;
        let mut wait = 0;
        let (state, error, not_before, parts) = match settled {
            Settled::Sent { now_ms } => {
                self.sql
                    .prepare_cached("UPDATE account SET outbound_ms = ?2 WHERE id = ?1")?
                    .execute(params![own.account(), now_ms])?;
                ("sent", None, 0, None)
            }
            Settled::Again { wait_ms, hold, error, parts } => {
                wait = signed(*wait_ms);
                let until = self.now_ms.saturating_add(wait);
                if *hold {
                    self.sql.execute(
                        "UPDATE account SET hold_ms = ?2, hold_for_ms = ?3 WHERE id = ?1",
                        params![own.account(), until, wait],
                    )?;
                }
                ("queued", Some(error), until, *parts)
            }
            Settled::Unknown { error } => ("unknown", Some(error), 0, None),
            Settled::Failed { error } => ("failed", Some(error), 0, None),
        };
        self.sql
            .prepare_cached(
                "UPDATE outbox SET state = ?3, error = ?4, not_before_ms = ?5, wait_ms = ?7,
                        parts_sent = max(parts_sent, coalesce(?6, 0))
                 WHERE key = ?1 AND account = ?2
                   AND (state IN ('queued', 'attempting') OR (state = 'unknown' AND ?3 = 'sent'))",
            )?
            .execute(params![key, own.account(), state, error, not_before, parts, wait])?;
        Ok(())
    }

    pub(super) fn orphan_attempts(&self, own: &Held, alive: Option<u64>) -> Kept<Vec<String>> {
        self.fence(own)?;
        // The control without rules replays what it must not.
        let state = if self.rules.fenced() { "unknown" } else { "queued" };
        let mut query = self.sql.prepare_cached(
            "UPDATE outbox SET state = ?3,
                    error = 'The channel worker ended while it was sending this; it may have been said.'
             WHERE account = ?1 AND state = 'attempting' AND incarnation IS NOT ?2 RETURNING key",
        )?;
        let keys = query.query_map(params![own.account(), alive.map(signed), state], |row| row.get(0))?;
        Ok(keys.collect::<Result<_, _>>()?)
    }

    pub(super) fn outbox(&self, limit: u32) -> Kept<Vec<Outbound>> {
        let mut query =
            self.sql.prepare_cached(&format!("SELECT {COLUMNS} FROM outbox ORDER BY seq DESC LIMIT ?1"))?;
        let rows = query.query_map([limit], raw)?;
        rows.map(|row| whole(row?)).collect()
    }
}
