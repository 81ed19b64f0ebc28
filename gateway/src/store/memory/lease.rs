//! Who holds what.

use super::*;

impl Claim {
    /// A new claim; returns its epoch.
    pub(super) fn raise(&mut self, who: &Claimant, now_ms: i64) -> u64 {
        self.epoch += 1;
        self.extend(who, now_ms);
        self.epoch
    }

    /// The same claim, by somebody and for a time.
    pub(super) fn extend(&mut self, who: &Claimant, now_ms: i64) {
        who.life.clone_into(&mut self.life);
        who.host.clone_into(&mut self.host);
        self.expires_ms = who.until_ms(now_ms);
    }

    fn record(&self, what: Lost, now_ms: i64) -> LeaseRecord {
        let (host, life) = (self.host.clone(), self.life.clone());
        LeaseRecord { what, host, life, epoch: self.epoch, left_ms: self.expires_ms - now_ms }
    }
}

impl Memory {
    /// Every write for an account begins here.
    pub(super) fn fence(&mut self, own: &Held) -> Kept<&mut AccountRow> {
        let rules = self.rules;
        let account = self.accounts.entry(own.account().to_owned()).or_default();
        if account.claim.epoch == own.epoch() || !rules.fenced() {
            return Ok(account);
        }
        Err(StoreError::lost(Account::lost(own.account())))
    }

    pub(super) fn take_account(&mut self, who: &Claimant, account: &str) -> Option<Held> {
        let (now_ms, fenced) = (self.clock_ms, self.rules.fenced());
        // Who asks for an account that nobody held says by it since when it is free.
        let unheld = || AccountRow {
            claim: Claim { expires_ms: now_ms, ..Claim::default() },
            ..AccountRow::default()
        };
        let row = self.accounts.entry(account.to_owned()).or_insert_with(unheld);
        if fenced && !who.may_reach_for(&row.claim.host, row.claim.expires_ms, now_ms) {
            return None;
        }
        Some(Held::new(account, row.claim.raise(who, now_ms), who, now_ms))
    }

    pub(super) fn extend(
        &mut self,
        who: &Claimant,
        accounts: &[Held<Account>],
        lanes: &[Held<Lane>],
    ) -> Renewed {
        let (now_ms, fenced) = (self.clock_ms, self.rules.fenced());
        let mut renewed = Renewed::default();
        for held in accounts {
            let claim = self.accounts.get_mut(held.key()).map(|row| &mut row.claim);
            match claim.filter(|claim| claim.epoch == held.epoch() || !fenced) {
                Some(claim) => {
                    claim.expires_ms = who.until_ms(now_ms);
                    renewed.accounts.push(held.extended(who, now_ms));
                }
                None => renewed.lost.push(Account::lost(held.key())),
            }
        }
        for held in lanes {
            let claim = self.lanes.get_mut(held.key()).map(|row| &mut row.claim);
            match claim.filter(|claim| claim.epoch == held.epoch() || !fenced) {
                Some(claim) => {
                    claim.expires_ms = who.until_ms(now_ms);
                    renewed.lanes.push(held.extended(who, now_ms));
                }
                None => renewed.lost.push(Lane::lost(held.key())),
            }
        }
        renewed
    }

    pub(super) fn let_go(&mut self, accounts: &[Held<Account>], lanes: &[Held<Lane>]) {
        let now_ms = self.clock_ms;
        for held in accounts {
            let claim = self.accounts.get_mut(held.key()).map(|row| &mut row.claim);
            if let Some(claim) = claim.filter(|claim| claim.epoch == held.epoch()) {
                claim.expires_ms = now_ms;
            }
        }
        for held in lanes {
            let claim = self.lanes.get_mut(held.key()).map(|row| &mut row.claim);
            if let Some(claim) = claim.filter(|claim| claim.epoch == held.epoch()) {
                claim.expires_ms = now_ms;
            }
        }
    }

    pub(super) fn claims(&self) -> Vec<LeaseRecord> {
        let now_ms = self.clock_ms;
        let claimed = self.accounts.iter().filter(|(_, row)| row.claim.epoch > 0);
        let accounts = claimed.map(|(key, row)| row.claim.record(Account::lost(key), now_ms));
        let running = self.lanes.iter().filter(|(_, row)| row.turn.is_some());
        accounts.chain(running.map(|(key, row)| row.claim.record(Lane::lost(key), now_ms))).collect()
    }

    /// A message waits in a lane. One that was idle is free from now on.
    pub(super) fn lane_waits(&mut self, placed: &Placed) {
        let idle = self.pending(&placed.lane) <= 1;
        let now_ms = self.clock_ms;
        let lane = self.lanes.entry(placed.lane.clone()).or_default();
        placed.agent.clone_into(&mut lane.agent);
        if idle && lane.turn.is_none() {
            lane.claim.expires_ms = now_ms;
        }
    }
}
