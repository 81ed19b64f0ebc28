use creel_ipc::msg::agent::InputMessage;

use super::*;

/// What a message that starts a turn decides for those after it: account, place and run.
type Lead = (String, String, Option<String>);

impl Tx<'_> {
    pub(super) fn open_lanes(&self, who: &Claimant) -> Kept<Vec<OpenLane>> {
        let sql = concat!(
            "SELECT key, agent, pending, turn, epoch, host, expires_ms, ",
            clock!(),
            " FROM lane WHERE pending > 0 OR turn IS NOT NULL ORDER BY key"
        );
        let mut open = Vec::new();
        for row in self.rows(sql, Vec::new())? {
            let now_ms = self.shifted(row.at(7)?);
            if who.may_reach_for(row.at(5)?, row.at(6)?, now_ms) || !self.rules.fenced() {
                let epoch = row.count(4)?;
                open.push(OpenLane {
                    lane: row.at(0)?,
                    agent: row.at(1)?,
                    pending: row.small(2)?,
                    turn: row.at::<Option<String>>(3)?.map(|turn| TurnRef { turn, epoch }),
                });
            }
        }
        Ok(open)
    }

    pub(super) fn claim_lane(&self, claim: &LaneClaim) -> Kept<Option<Claimed>> {
        // Whoever is at the lane in this moment is waited for: who skipped it would have to come back.
        let sql = concat!(
            "SELECT pending, turn, epoch, host, expires_ms, ",
            clock!(),
            " FROM lane WHERE key = $1 FOR NO KEY UPDATE"
        );
        let Some(row) = self.maybe(sql, values![&claim.lane])? else { return Ok(None) };
        let now_ms = self.shifted(row.at(5)?);
        let (pending, unfinished) = (row.small(0)?, row.at::<Option<String>>(1)?);
        let free = claim.who.may_take(row.at(3)?, row.at(4)?, now_ms) || !self.rules.fenced();
        if !free || (pending == 0 && unfinished.is_none()) {
            return Ok(None);
        }
        let epoch = row.count(2)? + 1;
        let (turn, pending) = match unfinished {
            Some(turn) => {
                self.run_one("UPDATE turn SET epoch = $2 WHERE id = $1", values![&turn, epoch])?;
                (turn, pending)
            }
            None => (claim.turn.clone(), pending.saturating_sub(self.begin(claim, epoch)?)),
        };
        self.run_one(
            "UPDATE lane SET epoch = $2, turn = $3, pending = $4, owner = $5, host = $6, expires_ms = $7 WHERE key = $1",
            values![
                &claim.lane,
                epoch,
                &turn,
                pending,
                &claim.who.life,
                &claim.who.host,
                claim.who.until_ms(now_ms),
            ],
        )?;
        self.claimed(&claim.who, &turn, now_ms).map(Some)
    }

    pub(super) fn adopt_turn(&self, who: &Claimant, turn: &TurnRef) -> Kept<Option<Claimed>> {
        let now_ms = self.now_ms()?;
        let adopted = self.run_one(
            "UPDATE lane SET owner = $3, host = $4, expires_ms = $5 WHERE turn = $1 AND epoch = $2",
            values![&turn.turn, turn.epoch, &who.life, &who.host, who.until_ms(now_ms)],
        )?;
        if adopted == 0 { Ok(None) } else { self.claimed(who, &turn.turn, now_ms).map(Some) }
    }

    /// Takes messages for a new turn; says how many of those that waited.
    fn begin(&self, claim: &LaneClaim, epoch: u64) -> Kept<u32> {
        let rows = self.rows(
            "SELECT seq, state, account, place, route, run, resets FROM inbox
             WHERE lane = $1 AND state IN ('waiting', 'context') ORDER BY seq LIMIT 1000",
            values![&claim.lane],
        )?;
        // Only needed where there is more than one message.
        let mut settings: Option<SessionSettings> = None;
        let (mut taken, mut context): (Vec<i64>, Vec<i64>) = (Vec::new(), Vec::new());
        let mut lead: Option<Lead> = None;
        let (mut route, mut resets): (Option<String>, bool) = (None, false);
        for row in &rows {
            let seq: i64 = row.at(0)?;
            if row.at::<&str>(1)? == "context" {
                context.push(seq);
                continue;
            }
            let place: Lead = (row.at(2)?, row.at(3)?, row.at(5)?);
            let row_resets: bool = row.at(6)?;
            match &lead {
                None => {
                    resets = row_resets;
                    lead = Some(place);
                }
                Some(first) => {
                    let own = match settings.take() {
                        Some(own) => own,
                        None => self.settings(&claim.lane)?,
                    };
                    let merge = claim.merges(&first.0, &own);
                    settings = Some(own);
                    let together = merge && first.2.is_none() && *first == place && !row_resets;
                    if !together {
                        break;
                    }
                }
            }
            route = row.at(4)?;
            taken.append(&mut context);
            taken.push(seq);
        }
        let Some((account, _, run)) = lead else { return Ok(0) };
        let (session_id, history, fresh) = self.session_for_turn(claim, &account, resets)?;
        let begins = (
            "INSERT INTO turn (id, run, lane, epoch, session_id, account, route, history, fresh, attempts, begun_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10)",
            values![
                &claim.turn,
                run.as_ref().unwrap_or(&claim.turn),
                &claim.lane,
                epoch,
                session_id,
                account,
                route,
                history,
                fresh,
                claim.now_ms,
            ],
        );
        let takes = taken.into_iter().map(|seq| {
            ("UPDATE inbox SET turn = $2, state = 'taken' WHERE seq = $1", values![seq, &claim.turn])
        });
        let calls: Vec<Call<'_>> = std::iter::once(begins).chain(takes).collect();
        self.all(&calls)?;
        let said = self.inputs(&claim.turn)?.iter().filter(|input| !input.context_only).count();
        Ok(u32::try_from(said).unwrap_or(u32::MAX))
    }

    fn session_for_turn(&self, claim: &LaneClaim, account: &str, resets: bool) -> Kept<(String, u64, bool)> {
        let row = self.one(
            "SELECT id, entries, turned_ms FROM session WHERE key = $1 FOR NO KEY UPDATE",
            values![&claim.lane],
        )?;
        let (entries, turned): (u64, Option<i64>) = (row.count(1)?, row.at(2)?);
        let stale = turned.is_some_and(|turned| turned < claim.stale_before(account));
        if !(resets || stale) || entries == 0 {
            return Ok((row.at(0)?, entries, resets));
        }
        self.run_one(
            "UPDATE session SET id = $2, entries = 0 WHERE key = $1",
            values![&claim.lane, &claim.fresh_id],
        )?;
        Ok((claim.fresh_id.clone(), 0, true))
    }

    fn claimed(&self, who: &Claimant, turn: &str, now_ms: i64) -> Kept<Claimed> {
        let row = self.one(
            "SELECT turn.run, turn.lane, lane.agent, turn.attempts, turn.session_id, session.kind, session.model,
                    turn.account, turn.route, turn.history, turn.epoch, lane.pending, turn.fresh,
                    (SELECT count(*) FROM step WHERE step.turn = turn.id), session.settings
             FROM turn JOIN lane ON lane.key = turn.lane JOIN session ON session.key = turn.lane
             WHERE turn.id = $1",
            values![turn],
        )?;
        let (lane, epoch): (String, u64) = (row.at(1)?, row.count(10)?);
        Ok(Claimed {
            lease: Held::new(&lane, epoch, who, now_ms),
            turn: TurnRef { turn: turn.to_owned(), epoch },
            run: row.at(0)?,
            lane,
            agent: row.at(2)?,
            falls: row.small(3)?,
            session_id: row.at(4)?,
            kind: row.at(5)?,
            model: row.at(6)?,
            settings: row.maybe_json(14)?.unwrap_or_default(),
            account: row.at(7)?,
            route: row.maybe_json(8)?,
            fresh: row.at(12)?,
            input: self.inputs(turn)?,
            history: row.count(9)?,
            journal: row.small(13)?,
            pending: row.small(11)?,
        })
    }

    pub(super) fn inputs(&self, turn: &str) -> Kept<Vec<InputMessage>> {
        let rows = self.rows("SELECT input FROM inbox WHERE turn = $1 ORDER BY seq", values![turn])?;
        rows.iter().map(|row| row.json(0)).collect()
    }
}
