use rusqlite::{OptionalExtension, Row, params};

use super::*;
use crate::store::allow::same_code;

const COLUMNS: &str = "account, sender, name, code, created_ms, expires_ms, route";

fn raw(row: &Row<'_>) -> rusqlite::Result<(PairingRecord, String)> {
    let record = PairingRecord {
        account: row.get(0)?,
        sender: row.get(1)?,
        name: row.get(2)?,
        code: row.get(3)?,
        created_ms: row.get(4)?,
        expires_ms: row.get(5)?,
        route: Route {
            chat_id: String::new(),
            kind: ChatKind::Direct,
            thread: None,
            reply_to: None,
            addressee: None,
        },
    };
    Ok((record, row.get(6)?))
}

use creel_ipc::msg::channel::{ChatKind, Route};

impl Tx<'_> {
    pub(super) fn ask(&self, own: &Held, message: &NewMessage, request: &NewPairing) -> Kept<Accepted> {
        self.forget_expired(message.now_ms)?;
        let waits = self
            .sql
            .query_row(
                "SELECT 1 FROM pairing_request WHERE account = ?1 AND sender = ?2",
                params![own.account(), request.sender],
                |_| Ok(()),
            )
            .optional()?;
        let waiting: u32 = self.sql.query_row(
            "SELECT count(*) FROM pairing_request WHERE account = ?1",
            [own.account()],
            |row| row.get(0),
        )?;
        if waits.is_some() || waiting >= request.max {
            return Ok(Accepted::PairingQuiet);
        }
        self.sql.execute(
            &format!("INSERT INTO pairing_request ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
            params![
                own.account(),
                request.sender,
                request.name,
                request.code,
                message.now_ms,
                request.expires_ms,
                serde_json::to_string(&request.route)?,
            ],
        )?;
        self.enqueue(&NewOutbound::pairing(own, message, request))?;
        Ok(Accepted::PairingAsked)
    }

    fn forget_expired(&self, now_ms: i64) -> Kept<()> {
        self.sql.execute("DELETE FROM pairing_request WHERE expires_ms <= ?1", [now_ms])?;
        Ok(())
    }

    pub(super) fn pairings(&self, now_ms: i64) -> Kept<Vec<PairingRecord>> {
        let mut query = self.sql.prepare(&format!(
            "SELECT {COLUMNS} FROM pairing_request WHERE expires_ms > ?1 ORDER BY created_ms, account, sender"
        ))?;
        let rows = query.query_map([now_ms], raw)?;
        rows.map(|row| {
            let (mut record, route) = row?;
            record.route = json(&route)?;
            Ok(record)
        })
        .collect()
    }

    pub(super) fn approve(
        &self,
        accounts: &[String],
        code: &str,
        now_ms: i64,
    ) -> Kept<Option<PairingRecord>> {
        let Some(record) = self.dismiss(accounts, code, now_ms)? else { return Ok(None) };
        self.sql.execute(
            "INSERT OR IGNORE INTO pairing_allow VALUES (?1, ?2, ?3)",
            params![record.account, record.sender, now_ms],
        )?;
        Ok(Some(record))
    }

    pub(super) fn dismiss(
        &self,
        accounts: &[String],
        code: &str,
        now_ms: i64,
    ) -> Kept<Option<PairingRecord>> {
        let all = self.pairings(now_ms)?;
        // Every code is compared, so that the time says nothing about which one was close.
        let mut found = None;
        for record in all {
            if same_code(&record.code, code) && accounts.contains(&record.account) {
                found = Some(record);
            }
        }
        if let Some(record) = &found {
            self.sql.execute(
                "DELETE FROM pairing_request WHERE account = ?1 AND sender = ?2",
                params![record.account, record.sender],
            )?;
        }
        Ok(found)
    }

    pub(super) fn allowed(&self) -> Kept<Vec<(String, String)>> {
        let mut query =
            self.sql.prepare("SELECT account, sender FROM pairing_allow ORDER BY account, sender")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
