use super::*;
use crate::hub::OutboxState;

macro_rules! columns {
    () => {
        "key, account, route, text, attachments, draft, run, state, parts_sent, attempts, not_before_ms, error, \
         created_ms, agent"
    };
}

fn outbound(row: &Row) -> Kept<Outbound> {
    Ok(Outbound {
        what: NewOutbound {
            key: row.at(0)?,
            account: row.at(1)?,
            route: row.json(2)?,
            text: row.at(3)?,
            attachments: row.json(4)?,
            draft: row.at(5)?,
            run: row.at(6)?,
            agent: row.at(13)?,
            now_ms: row.at(12)?,
        },
        state: state_of(row.at(7)?),
        parts_sent: row.small(8)?,
        attempts: row.small(9)?,
        not_before_ms: row.at(10)?,
        wait_ms: 0,
        error: row.at(11)?,
    })
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
        Ok(self.all(&[self.queued(row)?])? == [1])
    }

    /// What puts a row into the outbox.
    pub(super) fn queued(&self, row: &NewOutbound) -> Kept<Call<'static>> {
        let key = if self.rules.fenced() {
            row.key.clone()
        } else {
            format!("{}#{}", row.key, self.one("SELECT count(*) FROM outbox", Vec::new())?.count(0)?)
        };
        let values = values![
            key,
            row.account.clone(),
            chat_of(&row.route),
            serde_json::to_string(&row.route)?,
            row.text.clone(),
            serde_json::to_string(&row.attachments)?,
            row.draft.clone(),
            row.run.clone(),
            row.now_ms,
            row.agent.clone(),
        ];
        let sql = "INSERT INTO outbox (key, account, chat, route, text, attachments, draft, run, state, created_ms, agent)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'queued', $9, $10) ON CONFLICT (key) DO NOTHING";
        Ok((sql, values))
    }

    pub(super) fn open_outbound(&self, own: &Held, max: u32) -> Kept<Vec<Outbound>> {
        self.fence(own)?;
        let sql = concat!(
            "SELECT ",
            columns!(),
            ", wait_ms, (SELECT hold_ms FROM account WHERE id = $1), (SELECT hold_for_ms FROM account WHERE id = $1), ",
            clock!(),
            " FROM outbox WHERE seq IN (
                 SELECT min(seq) FROM outbox WHERE account = $1 AND state IN ('queued', 'attempting') GROUP BY chat)
             ORDER BY seq LIMIT $2"
        );
        let waits = |row: &Row| {
            let mut found = outbound(row)?;
            let moments = [(found.not_before_ms, row.at(14)?), (row.at(15)?, row.at(16)?)];
            (found.not_before_ms, found.wait_ms) = wait_until(self.shifted(row.at(17)?), moments);
            Ok(found)
        };
        self.rows(sql, values![own.account(), max])?.iter().map(waits).collect()
    }

    pub(super) fn attempt(&self, own: &Held, key: &str, incarnation: u64) -> Kept<bool> {
        self.fence(own)?;
        let begun = self.run_one(
            "UPDATE outbox SET state = 'attempting', incarnation = $3, attempts = attempts + 1
             WHERE key = $1 AND account = $2
               AND (state = 'queued' OR (state = 'attempting' AND incarnation = $3))",
            values![key, own.account(), incarnation],
        )?;
        Ok(begun == 1)
    }

    pub(super) fn part_sent(&self, own: &Held, key: &str, parts: u32) -> Kept<()> {
        self.fence(own)?;
        self.run_one(
            "UPDATE outbox SET parts_sent = greatest(parts_sent, $3) WHERE key = $1 AND account = $2",
            values![key, own.account(), parts],
        )?;
        Ok(())
    }

    pub(super) fn settle(&self, own: &Held, key: &str, settled: &Settled) -> Kept<()> {
        self.fence(own)?;
        let mut wait = 0;
        let (state, error, not_before, parts) = match settled {
            Settled::Sent { now_ms } => {
                self.run_one(
                    "UPDATE account SET outbound_ms = $2 WHERE id = $1",
                    values![own.account(), *now_ms],
                )?;
                ("sent", None, 0, None)
            }
            Settled::Again { wait_ms, hold, error, parts } => {
                wait = i64::try_from(*wait_ms).unwrap_or(i64::MAX);
                let until = self.now_ms()?.saturating_add(wait);
                if *hold {
                    self.run_one(
                        "UPDATE account SET hold_ms = $2, hold_for_ms = $3 WHERE id = $1",
                        values![own.account(), until, wait],
                    )?;
                }
                ("queued", Some(error), until, *parts)
            }
            Settled::Unknown { error } => ("unknown", Some(error), 0, None),
            Settled::Failed { error } => ("failed", Some(error), 0, None),
        };
        self.run_one(
            "UPDATE outbox SET state = $3, error = $4, not_before_ms = $5, wait_ms = $7,
                    parts_sent = greatest(parts_sent, coalesce($6::bigint, 0))
             WHERE key = $1 AND account = $2
               AND (state IN ('queued', 'attempting') OR (state = 'unknown' AND $3 = 'sent'))",
            values![key, own.account(), state, error, not_before, parts, wait],
        )?;
        Ok(())
    }

    pub(super) fn orphan_attempts(&self, own: &Held, alive: Option<u64>) -> Kept<Vec<String>> {
        self.fence(own)?;
        // The control without rules replays what it must not.
        let state = if self.rules.fenced() { "unknown" } else { "queued" };
        let rows = self.rows(
            "UPDATE outbox SET state = $3,
                    error = 'The channel worker ended while it was sending this; it may have been said.'
             WHERE account = $1 AND state = 'attempting' AND incarnation IS DISTINCT FROM $2 RETURNING key",
            values![own.account(), alive, state],
        )?;
        rows.iter().map(|row| row.at(0)).collect()
    }

    pub(super) fn outbox(&self, limit: u32) -> Kept<Vec<Outbound>> {
        let sql = concat!("SELECT ", columns!(), " FROM outbox ORDER BY seq DESC LIMIT $1");
        self.rows(sql, values![limit])?.iter().map(outbound).collect()
    }
}
