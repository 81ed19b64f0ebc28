use creel_ipc::msg::channel::Route;

use super::*;
use crate::store::allow::same_code;

impl Tx<'_> {
    pub(super) fn ask(&self, own: &Held, message: &NewMessage, request: &NewPairing) -> Kept<Accepted> {
        self.run_one("DELETE FROM pairing_request WHERE expires_ms <= $1", values![message.now_ms])?;
        let row = self.one(
            "SELECT count(*), count(*) FILTER (WHERE sender = $2) FROM pairing_request WHERE account = $1",
            values![own.account(), &request.sender],
        )?;
        if row.count(1)? > 0 || row.count(0)? >= u64::from(request.max) {
            return Ok(Accepted::PairingQuiet);
        }
        self.run_one(
            "INSERT INTO pairing_request (account, sender, name, code, created_ms, expires_ms, route)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            values![
                own.account(),
                &request.sender,
                request.name.as_ref(),
                &request.code,
                message.now_ms,
                request.expires_ms,
                serde_json::to_string(&request.route)?,
            ],
        )?;
        self.enqueue(&NewOutbound::pairing(own, message, request))?;
        Ok(Accepted::PairingAsked)
    }

    pub(super) fn pairings(&self, now_ms: i64) -> Kept<Vec<PairingRecord>> {
        let rows = self.rows(
            "SELECT account, sender, name, code, created_ms, expires_ms, route FROM pairing_request
             WHERE expires_ms > $1 ORDER BY created_ms, account, sender",
            values![now_ms],
        )?;
        let records = rows.into_iter().map(|row| {
            Ok(PairingRecord {
                account: row.at(0)?,
                sender: row.at(1)?,
                name: row.at(2)?,
                code: row.at(3)?,
                created_ms: row.at(4)?,
                expires_ms: row.at(5)?,
                route: row.json::<Route>(6)?,
            })
        });
        records.collect()
    }

    pub(super) fn approve(
        &self,
        accounts: &[String],
        code: &str,
        now_ms: i64,
    ) -> Kept<Option<PairingRecord>> {
        let Some(record) = self.dismiss(accounts, code, now_ms)? else { return Ok(None) };
        self.run_one(
            "INSERT INTO pairing_allow VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            values![&record.account, &record.sender, now_ms],
        )?;
        Ok(Some(record))
    }

    pub(super) fn dismiss(
        &self,
        accounts: &[String],
        code: &str,
        now_ms: i64,
    ) -> Kept<Option<PairingRecord>> {
        // Every code is compared, so that the time says nothing about which one was close.
        let mut found = None;
        for record in self.pairings(now_ms)? {
            if same_code(&record.code, code) && accounts.contains(&record.account) {
                found = Some(record);
            }
        }
        if let Some(record) = &found {
            let gone = self.run_one(
                "DELETE FROM pairing_request WHERE account = $1 AND sender = $2 AND code = $3",
                values![&record.account, &record.sender, &record.code],
            )?;
            // Another gateway was faster: a code works once.
            if gone == 0 {
                return Ok(None);
            }
        }
        Ok(found)
    }

    pub(super) fn allowed(&self) -> Kept<Vec<(String, String)>> {
        let rows =
            self.rows("SELECT account, sender FROM pairing_allow ORDER BY account, sender", Vec::new())?;
        rows.into_iter().map(|row| Ok((row.at(0)?, row.at(1)?))).collect()
    }
}
