use rusqlite::{OptionalExtension, params};

use super::search::{Conversation, Said};
use super::*;

/// What the turn's row says.
pub(super) struct TurnRow {
    pub(super) run: String,
    pub(super) lane: String,
    epoch: u64,
    session_id: String,
    pub(super) account: String,
    pub(super) route: Option<Route>,
    pub(super) ended: bool,
}

use creel_ipc::msg::agent::InputMessage;
use creel_ipc::msg::channel::Route;

impl Tx<'_> {
    pub(super) fn open_lanes(&self, who: &Claimant) -> Kept<Vec<OpenLane>> {
        let mut query = self.sql.prepare(
            "SELECT lane.key, lane.agent, lane.pending, lane.turn, lane.epoch, lane.host, lane.expires_ms FROM lane
             WHERE pending > 0 OR turn IS NOT NULL ORDER BY key",
        )?;
        let mut rows = query.query([])?;
        let mut open = Vec::new();
        while let Some(row) = rows.next()? {
            let (turn, epoch): (Option<String>, i64) = (row.get(3)?, row.get(4)?);
            let (host, expires_ms): (String, i64) = (row.get(5)?, row.get(6)?);
            if who.may_reach_for(&host, expires_ms, self.now_ms) || !self.rules.fenced() {
                open.push(OpenLane {
                    lane: row.get(0)?,
                    agent: row.get(1)?,
                    pending: row.get(2)?,
                    turn: turn.map(|turn| TurnRef { turn, epoch: unsigned(epoch) }),
                });
            }
        }
        Ok(open)
    }

    pub(super) fn claim_lane(&self, claim: &LaneClaim) -> Kept<Option<Claimed>> {
        let lane = self
            .sql
            .prepare_cached("SELECT pending, turn, epoch, host, expires_ms FROM lane WHERE key = ?1")?
            .query_row([&claim.lane], |row| {
                let (pending, unfinished, epoch): (u32, Option<String>, i64) =
                    (row.get(0)?, row.get(1)?, row.get(2)?);
                let (host, expires_ms): (String, i64) = (row.get(3)?, row.get(4)?);
                Ok((pending, unfinished, epoch, host, expires_ms))
            })
            .optional()?;
        let Some((pending, unfinished, epoch, host, expires_ms)) = lane else { return Ok(None) };
        let free = claim.who.may_take(&host, expires_ms, self.now_ms) || !self.rules.fenced();
        if !free || (pending == 0 && unfinished.is_none()) {
            return Ok(None);
        }
        let epoch = unsigned(epoch) + 1;
        let (turn, pending) = match unfinished {
            Some(turn) => {
                self.sql
                    .prepare_cached("UPDATE turn SET epoch = ?2 WHERE id = ?1")?
                    .execute(params![turn, signed(epoch)])?;
                (turn, pending)
            }
            None => (claim.turn.clone(), pending.saturating_sub(self.begin(claim, epoch)?)),
        };
        self.sql
            .prepare_cached(
                "UPDATE lane SET epoch = ?2, turn = ?3, pending = ?4, owner = ?5, host = ?6, expires_ms = ?7
                 WHERE key = ?1",
            )?
            .execute(params![
                claim.lane,
                signed(epoch),
                turn,
                pending,
                claim.who.life,
                claim.who.host,
                claim.who.until_ms(self.now_ms),
            ])?;
        self.claimed(&claim.who, &turn).map(Some)
    }

    pub(super) fn adopt_turn(&self, who: &Claimant, turn: &TurnRef) -> Kept<Option<Claimed>> {
        let adopted = self.sql.execute(
            "UPDATE lane SET owner = ?3, host = ?4, expires_ms = ?5 WHERE turn = ?1 AND epoch = ?2",
            params![turn.turn, signed(turn.epoch), who.life, who.host, who.until_ms(self.now_ms)],
        )?;
        if adopted == 0 { Ok(None) } else { self.claimed(who, &turn.turn).map(Some) }
    }

    /// Takes messages for a new turn; says how many of those that waited.
    fn begin(&self, claim: &LaneClaim, epoch: u64) -> Kept<u32> {
        let mut query = self.sql.prepare_cached(
            "SELECT seq, state, account, place, route, run, resets FROM inbox
             WHERE lane = ?1 AND state IN ('waiting', 'context') ORDER BY seq LIMIT 1000",
        )?;
        let mut rows = query.query([&claim.lane])?;
        let settings = self.settings(&claim.lane)?;
        let (mut taken, mut context): (Vec<i64>, Vec<i64>) = (Vec::new(), Vec::new());
        let mut lead: Option<(String, String, Option<String>)> = None;
        let (mut route, mut resets): (Option<String>, bool) = (None, false);
        while let Some(row) = rows.next()? {
            let (seq, state): (i64, String) = (row.get(0)?, row.get(1)?);
            if state == "context" {
                context.push(seq);
                continue;
            }
            let place: (String, String, Option<String>) = (row.get(2)?, row.get(3)?, row.get(5)?);
            let row_resets: bool = row.get(6)?;
            match &lead {
                None => {
                    resets = row_resets;
                    lead = Some(place);
                }
                Some(first) => {
                    let together = claim.merges(&first.0, &settings)
                        && first.2.is_none()
                        && *first == place
                        && !row_resets;
                    if !together {
                        break;
                    }
                }
            }
            route = row.get(4)?;
            taken.append(&mut context);
            taken.push(seq);
        }
        drop(rows);
        let Some((account, _, run)) = lead else { return Ok(0) };
        let (session_id, history, fresh) = self.session_for_turn(claim, &account, resets)?;
        self.sql
            .prepare_cached(
                "INSERT INTO turn (id, run, lane, epoch, session_id, account, route, history, fresh, attempts, begun_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, ?10)",
            )?
            .execute(params![
                claim.turn,
                run.as_deref().unwrap_or(&claim.turn),
                claim.lane,
                signed(epoch),
                session_id,
                account,
                route,
                signed(history),
                fresh,
                claim.now_ms,
            ])?;
        let mut count = 0;
        for seq in taken {
            let waiting: String = self
                .sql
                .prepare_cached("UPDATE inbox SET turn = ?2, state = 'taken' WHERE seq = ?1 RETURNING input")?
                .query_row(params![seq, claim.turn], |row| row.get(0))?;
            count += u32::from(!json::<InputMessage>(&waiting)?.context_only);
        }
        Ok(count)
    }

    fn session_for_turn(&self, claim: &LaneClaim, account: &str, resets: bool) -> Kept<(String, u64, bool)> {
        let (id, entries, turned): (String, i64, Option<i64>) = self
            .sql
            .prepare_cached("SELECT id, entries, turned_ms FROM session WHERE key = ?1")?
            .query_row([&claim.lane], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let stale = turned.is_some_and(|turned| turned < claim.stale_before(account));
        if !(resets || stale) || entries == 0 {
            return Ok((id, unsigned(entries), resets));
        }
        self.sql.execute(
            "UPDATE session SET id = ?2, entries = 0 WHERE key = ?1",
            params![claim.lane, claim.fresh_id],
        )?;
        Ok((claim.fresh_id.clone(), 0, true))
    }

    fn claimed(&self, who: &Claimant, turn: &str) -> Kept<Claimed> {
        let (mut claimed, route) = self
            .sql
            .prepare_cached(
                "SELECT turn.run, turn.lane, lane.agent, turn.attempts, turn.session_id, session.kind, session.model,
                        turn.account, turn.route, turn.history, turn.epoch, lane.pending, turn.fresh,
                        (SELECT count(*) FROM step WHERE step.turn = turn.id), session.settings
                 FROM turn JOIN lane ON lane.key = turn.lane JOIN session ON session.key = turn.lane
                 WHERE turn.id = ?1",
            )?
            .query_row([turn], |row| {
                let (history, epoch): (i64, i64) = (row.get(9)?, row.get(10)?);
                let lane: String = row.get(1)?;
                let settings: Option<String> = row.get(14)?;
                let claimed = Claimed {
                    lease: Held::new(&lane, unsigned(epoch), who, self.now_ms),
                    turn: TurnRef { turn: turn.to_owned(), epoch: unsigned(epoch) },
                    run: row.get(0)?,
                    lane,
                    agent: row.get(2)?,
                    falls: row.get(3)?,
                    session_id: row.get(4)?,
                    kind: row.get(5)?,
                    model: row.get(6)?,
                    settings: reads::settings_of(settings.as_deref()),
                    account: row.get(7)?,
                    route: None,
                    fresh: row.get(12)?,
                    input: Vec::new(),
                    history: unsigned(history),
                    journal: row.get(13)?,
                    pending: row.get(11)?,
                };
                Ok((claimed, row.get::<_, Option<String>>(8)?))
            })?;
        claimed.route = maybe_json(route.as_deref())?;
        claimed.input = self.inputs(turn)?;
        Ok(claimed)
    }

    pub(super) fn inputs(&self, turn: &str) -> Kept<Vec<InputMessage>> {
        let mut query = self.sql.prepare_cached("SELECT input FROM inbox WHERE turn = ?1 ORDER BY seq")?;
        let texts = query.query_map([turn], |row| row.get::<_, String>(0))?;
        texts.map(|text| json(&text?)).collect()
    }

    /// Every write for a turn begins here.
    pub(super) fn turn(&self, turn: &TurnRef) -> Kept<TurnRow> {
        let row = self
            .sql
            .prepare_cached(
                "SELECT turn.run, turn.lane, turn.epoch, turn.session_id, turn.account, turn.route,
                        turn.ended_ms IS NOT NULL, lane.turn, lane.epoch
                 FROM turn JOIN lane ON lane.key = turn.lane WHERE turn.id = ?1",
            )?
            .query_row([&turn.turn], |row| {
                let (epoch, lane_epoch): (i64, i64) = (row.get(2)?, row.get(8)?);
                let route: Option<String> = row.get(5)?;
                let current: Option<String> = row.get(7)?;
                let ended: bool = row.get(6)?;
                let found = TurnRow {
                    run: row.get(0)?,
                    lane: row.get(1)?,
                    epoch: unsigned(epoch),
                    session_id: row.get(3)?,
                    account: row.get(4)?,
                    route: None,
                    ended,
                };
                let owned =
                    ended || (current.as_deref() == Some(&turn.turn) && unsigned(lane_epoch) == turn.epoch);
                Ok((found, route, owned))
            })
            .optional()?;
        let fenced = || StoreError::lost_turn(&turn.turn);
        let Some((mut row, route, owned)) = row else { return Err(fenced()) };
        if self.rules.fenced() && (row.epoch != turn.epoch || !owned) {
            return Err(fenced());
        }
        row.route = maybe_json(route.as_deref())?;
        Ok(row)
    }

    pub(super) fn fell(&self, turn: &TurnRef) -> Kept<()> {
        if !self.turn(turn)?.ended {
            self.sql.execute("UPDATE turn SET attempts = attempts + 1 WHERE id = ?1", [&turn.turn])?;
        }
        Ok(())
    }

    pub(super) fn begin_step(&self, turn: &TurnRef, step: &NewStep) -> Kept<StepBegun> {
        if self.turn(turn)?.ended {
            return Err(StoreError::lost_turn(&turn.turn));
        }
        let call = serde_json::json!({"epoch": turn.epoch, "name": step.name, "callId": step.call_id, "arguments": step.arguments});
        let known: Option<(Option<String>, Option<String>)> = self
            .sql
            .prepare_cached("SELECT call, entry FROM step WHERE turn = ?1 AND step = ?2")?
            .query_row(params![turn.turn, step.step], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match known {
            None => {
                self.sql
                    .prepare_cached("INSERT INTO step (turn, step, call) VALUES (?1, ?2, ?3)")?
                    .execute(params![turn.turn, step.step, call.to_string()])?;
                self.got_further(turn)?;
                Ok(StepBegun::New)
            }
            Some((_, Some(entry))) => Ok(StepBegun::Done { entry: json(&entry)? }),
            // The same life asks again after a new gateway: it has not gone ahead yet.
            Some((Some(before), None)) if begun_by(&before)? == Some(turn.epoch) => Ok(StepBegun::New),
            Some((_, None)) => {
                self.sql.execute(
                    "UPDATE step SET call = ?3 WHERE turn = ?1 AND step = ?2",
                    params![turn.turn, step.step, with_doubt(&call).to_string()],
                )?;
                Ok(StepBegun::Uncertain)
            }
        }
    }

    pub(super) fn end_step(&self, turn: &TurnRef, step: u32, entry: &Entry) -> Kept<()> {
        if self.turn(turn)?.ended {
            return Err(StoreError::lost_turn(&turn.turn));
        }
        self.sql
            .prepare_cached(
                "INSERT INTO step (turn, step, entry) VALUES (?1, ?2, ?3)
                 ON CONFLICT (turn, step) DO UPDATE SET entry = coalesce(entry, ?3)",
            )?
            .execute(params![turn.turn, step, serde_json::to_string(entry)?])?;
        self.got_further(turn)
    }

    /// A turn that gets further is not what fells its agent.
    fn got_further(&self, turn: &TurnRef) -> Kept<()> {
        self.sql
            .prepare_cached("UPDATE turn SET attempts = 0 WHERE id = ?1 AND attempts > 0")?
            .execute([&turn.turn])?;
        Ok(())
    }

    pub(super) fn finish_turn(&self, turn: &TurnRef, finish: &Finish) -> Kept<Finished> {
        let row = self.turn(turn)?;
        let already = row.ended && self.rules.fenced();
        if !already {
            self.write_ending(turn, &row, finish)?;
        }
        let pending =
            self.sql.query_row("SELECT pending FROM lane WHERE key = ?1", [&row.lane], |r| r.get(0))?;
        let account = row.route.is_some().then_some(row.account);
        Ok(Finished { already, run: row.run, lane: row.lane, account, pending })
    }

    fn write_ending(&self, turn: &TurnRef, row: &TurnRow, finish: &Finish) -> Kept<()> {
        let (kind, agent, settings): (String, String, Option<String>) = self
            .sql
            .prepare_cached("SELECT kind, agent, settings FROM session WHERE key = ?1")?
            .query_row([&row.lane], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let silent = reads::settings_of(settings.as_deref()).silent;
        let mut entries = vec![user_entry(&self.inputs(&turn.turn)?, kind != "direct")];
        {
            let mut query = self.sql.prepare_cached(
                "SELECT entry FROM step WHERE turn = ?1 AND entry IS NOT NULL ORDER BY step",
            )?;
            for entry in query.query_map([&turn.turn], |row| row.get::<_, String>(0))? {
                entries.push(json(&entry?)?);
            }
        }
        let said = entries.iter().map(|entry| Said { run: &row.run, at_ms: finish.now_ms, entry });
        self.say(&Conversation { id: &row.session_id, key: &row.lane, agent: &agent }, said)?;
        if let Some(route) = row.route.as_ref().filter(|_| !silent) {
            let speaker =
                Speaker { turn: &turn.turn, run: &row.run, lane: &row.lane, account: &row.account, route };
            for outbound in outbound_of(&speaker, finish) {
                self.enqueue(&outbound)?;
            }
        }
        self.sql.execute(
            "UPDATE session SET entries = entries + ?3, updated_ms = ?4, turned_ms = ?4 WHERE key = ?1 AND id = ?2",
            params![row.lane, row.session_id, signed(entries.len() as u64), finish.now_ms],
        )?;
        self.sql.execute(
            "UPDATE inbox SET state = ?2 WHERE turn = ?1",
            params![turn.turn, if finish.parked { "parked" } else { "done" }],
        )?;
        self.sql.execute(
            "UPDATE turn SET ended_ms = ?2, ending = ?3 WHERE id = ?1",
            params![turn.turn, finish.now_ms, serde_json::to_string(&Ending::of(finish))?],
        )?;
        // The journal has become the transcript.
        self.sql.execute("DELETE FROM step WHERE turn = ?1", [&turn.turn])?;
        self.sql.prepare_cached("DELETE FROM question WHERE turn = ?1")?.execute([&turn.turn])?;
        self.sql.execute(
            "UPDATE lane SET turn = NULL, expires_ms = iif(pending = 0, ?3, expires_ms) WHERE key = ?1 AND turn = ?2",
            params![row.lane, turn.turn, self.now_ms],
        )?;
        Ok(())
    }
}

fn begun_by(call: &str) -> Kept<Option<u64>> {
    Ok(json::<serde_json::Value>(call)?.get("epoch").and_then(serde_json::Value::as_u64))
}

/// A step whose end is unknown stays so for every later life.
fn with_doubt(call: &serde_json::Value) -> serde_json::Value {
    let mut call = call.clone();
    if let Some(call) = call.as_object_mut() {
        call.remove("epoch");
    }
    call
}
