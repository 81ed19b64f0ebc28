use rusqlite::{OptionalExtension, params};

use super::*;

impl Tx<'_> {
    pub(super) fn claim_account(&self, who: &Claimant, account: &str) -> Kept<Option<Held>> {
        // Who asks for an account that nobody held says by it since when it is free.
        self.sql
            .prepare_cached(
                "INSERT INTO account (id, epoch, owner, expires_ms) VALUES (?1, 0, '', ?2) ON CONFLICT DO NOTHING",
            )?
            .execute(params![account, self.now_ms])?;
        let (epoch, host, expires_ms): (i64, String, i64) = self
            .sql
            .prepare_cached("SELECT epoch, host, expires_ms FROM account WHERE id = ?1")?
            .query_row([account], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        if self.rules.fenced() && !who.may_reach_for(&host, expires_ms, self.now_ms) {
            return Ok(None);
        }
        let held = Held::new(account, unsigned(epoch) + 1, who, self.now_ms);
        self.sql
            .prepare_cached(
                "UPDATE account SET epoch = ?2, owner = ?3, host = ?4, expires_ms = ?5 WHERE id = ?1",
            )?
            .execute(params![account, signed(held.epoch()), who.life, who.host, who.until_ms(self.now_ms)])?;
        Ok(Some(held))
    }

    /// Every write for an account begins here.
    pub(super) fn fence(&self, own: &Held) -> Kept<()> {
        let epoch: i64 = self
            .sql
            .prepare_cached("SELECT epoch FROM account WHERE id = ?1")?
            .query_row([own.account()], |row| row.get(0))?;
        if unsigned(epoch) == own.epoch() || !self.rules.fenced() {
            return Ok(());
        }
        Err(StoreError::lost(Account::lost(own.account())))
    }

    pub(super) fn renew(
        &self,
        who: &Claimant,
        accounts: &[Held<Account>],
        lanes: &[Held<Lane>],
    ) -> Kept<Renewed> {
        let mut renewed = Renewed::default();
        let until_ms = who.until_ms(self.now_ms);
        let account = "UPDATE account SET expires_ms = ?3 WHERE id = ?1 AND epoch = ?2";
        for held in accounts {
            if self.set_expiry(account, held, until_ms)? {
                renewed.accounts.push(held.extended(who, self.now_ms));
            } else {
                renewed.lost.push(Account::lost(held.key()));
            }
        }
        let lane = "UPDATE lane SET expires_ms = ?3 WHERE key = ?1 AND epoch = ?2";
        for held in lanes {
            if self.set_expiry(lane, held, until_ms)? {
                renewed.lanes.push(held.extended(who, self.now_ms));
            } else {
                renewed.lost.push(Lane::lost(held.key()));
            }
        }
        Ok(renewed)
    }

    pub(super) fn release(&self, accounts: &[Held<Account>], lanes: &[Held<Lane>]) -> Kept<()> {
        let now_ms = self.now_ms;
        for held in accounts {
            self.set_expiry("UPDATE account SET expires_ms = ?3 WHERE id = ?1 AND epoch = ?2", held, now_ms)?;
        }
        for held in lanes {
            self.set_expiry("UPDATE lane SET expires_ms = ?3 WHERE key = ?1 AND epoch = ?2", held, now_ms)?;
        }
        Ok(())
    }

    /// Says whether the claim still stands.
    fn set_expiry<K: Leased>(&self, sql: &str, held: &Held<K>, until_ms: i64) -> Kept<bool> {
        let set =
            self.sql.prepare_cached(sql)?.execute(params![held.key(), signed(held.epoch()), until_ms])?;
        Ok(set == 1 || !self.rules.fenced())
    }

    pub(super) fn leases(&self) -> Kept<Vec<LeaseRecord>> {
        let mut query = self.sql.prepare_cached(
            "SELECT id, NULL, host, owner, epoch, expires_ms FROM account WHERE epoch > 0
             UNION ALL
             SELECT NULL, key, host, owner, epoch, expires_ms FROM lane WHERE turn IS NOT NULL",
        )?;
        let rows = query.query_map([], |row| {
            let (account, lane): (Option<String>, Option<String>) = (row.get(0)?, row.get(1)?);
            let (epoch, expires_ms): (i64, i64) = (row.get(4)?, row.get(5)?);
            Ok(LeaseRecord {
                what: match account {
                    Some(account) => Lost::Account(account),
                    None => Lost::Lane(lane.unwrap_or_default()),
                },
                host: row.get(2)?,
                life: row.get(3)?,
                epoch: unsigned(epoch),
                left_ms: expires_ms - self.now_ms,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(super) fn cursor(&self, account: &str) -> Kept<Option<String>> {
        let cursor =
            self.sql.query_row("SELECT cursor FROM account WHERE id = ?1", [account], |row| row.get(0));
        Ok(cursor.optional()?.flatten())
    }
}
