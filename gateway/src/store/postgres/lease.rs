use super::*;

const FENCE: &str = concat!("SELECT epoch, ", clock!(), " FROM account WHERE id = $1 FOR NO KEY UPDATE");

impl Tx<'_> {
    pub(super) fn claim_account(&self, who: &Claimant, account: &str) -> Kept<Option<Held>> {
        // Who asks for an account that nobody held says by it since when it is free.
        self.run_one(
            "INSERT INTO account (id, epoch, owner, expires_ms) VALUES ($1, 0, '', $2) ON CONFLICT DO NOTHING",
            values![account, self.now_ms()?],
        )?;
        let sql = concat!(
            "SELECT epoch, host, expires_ms, ",
            clock!(),
            " FROM account WHERE id = $1 FOR NO KEY UPDATE"
        );
        let row = self.one(sql, values![account])?;
        let now_ms = self.shifted(row.at(3)?);
        if self.rules.fenced() && !who.may_reach_for(row.at(1)?, row.at(2)?, now_ms) {
            return Ok(None);
        }
        let held = Held::new(account, row.count(0)? + 1, who, now_ms);
        self.run_one(
            "UPDATE account SET epoch = $2, owner = $3, host = $4, expires_ms = $5 WHERE id = $1",
            values![account, held.epoch(), &who.life, &who.host, who.until_ms(now_ms)],
        )?;
        Ok(Some(held))
    }

    /// Every write for an account begins here, and waits for whoever claims it just now. Returns the time.
    pub(super) fn fence(&self, own: &Held) -> Kept<i64> {
        let row = self.one(FENCE, values![own.account()])?;
        self.fenced(own, row.count(0)?)?;
        Ok(self.shifted(row.at(1)?))
    }

    pub(super) fn fenced(&self, own: &Held, epoch: u64) -> Kept<()> {
        if epoch == own.epoch() || !self.rules.fenced() {
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
        let now_ms = self.now_ms()?;
        let set = self.set_expiry(accounts, lanes, who.until_ms(now_ms))?;
        let mut stands = set.into_iter().map(|stands| stands || !self.rules.fenced());
        let mut renewed = Renewed::default();
        for held in accounts {
            if stands.next().unwrap_or(false) {
                renewed.accounts.push(held.extended(who, now_ms));
            } else {
                renewed.lost.push(Account::lost(held.key()));
            }
        }
        for held in lanes {
            if stands.next().unwrap_or(false) {
                renewed.lanes.push(held.extended(who, now_ms));
            } else {
                renewed.lost.push(Lane::lost(held.key()));
            }
        }
        Ok(renewed)
    }

    pub(super) fn release(&self, accounts: &[Held<Account>], lanes: &[Held<Lane>]) -> Kept<()> {
        self.set_expiry(accounts, lanes, self.now_ms()?)?;
        Ok(())
    }

    /// Says of each claim whether it still stands: the accounts, then the lanes.
    fn set_expiry(&self, accounts: &[Held<Account>], lanes: &[Held<Lane>], until_ms: i64) -> Kept<Vec<bool>> {
        let account = "UPDATE account SET expires_ms = $3 WHERE id = $1 AND epoch = $2";
        let lane = "UPDATE lane SET expires_ms = $3 WHERE key = $1 AND epoch = $2";
        let accounts = accounts.iter().map(|held| (account, values![held.key(), held.epoch(), until_ms]));
        let lanes = lanes.iter().map(|held| (lane, values![held.key(), held.epoch(), until_ms]));
        let calls: Vec<Call<'_>> = accounts.chain(lanes).collect();
        Ok(self.all(&calls)?.into_iter().map(|rows| rows == 1).collect())
    }

    pub(super) fn leases(&self) -> Kept<Vec<LeaseRecord>> {
        let sql = concat!(
            "SELECT id, NULL, host, owner, epoch, expires_ms - ",
            clock!(),
            " FROM account WHERE epoch > 0 UNION ALL SELECT NULL, key, host, owner, epoch, expires_ms - ",
            clock!(),
            " FROM lane WHERE turn IS NOT NULL ORDER BY 1, 2"
        );
        let records = self.rows(sql, Vec::new())?.into_iter().map(|row| {
            let (account, lane): (Option<String>, Option<String>) = (row.at(0)?, row.at(1)?);
            Ok(LeaseRecord {
                what: match account {
                    Some(account) => Lost::Account(account),
                    None => Lost::Lane(lane.unwrap_or_default()),
                },
                host: row.at(2)?,
                life: row.at(3)?,
                epoch: row.count(4)?,
                left_ms: row.at::<i64>(5)? - self.shift_ms,
            })
        });
        records.collect()
    }

    pub(super) fn cursor(&self, account: &str) -> Kept<Option<String>> {
        let row = self.maybe("SELECT cursor FROM account WHERE id = $1", values![account])?;
        Ok(row.map(|row| row.at(0)).transpose()?.flatten())
    }
}
