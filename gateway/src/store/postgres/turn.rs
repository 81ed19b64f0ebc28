use creel_ipc::msg::channel::Route;

use super::*;

/// What the turn's row says.
pub(super) struct TurnRow {
    pub(super) run: String,
    pub(super) lane: String,
    session_id: String,
    pub(super) account: String,
    pub(super) route: Option<Route>,
    pub(super) ended: bool,
    pub(super) now_ms: i64,
}

impl Tx<'_> {
    /// Every write for a turn begins here, and waits for whoever claims its lane just now.
    pub(super) fn turn(&self, turn: &TurnRef) -> Kept<TurnRow> {
        let sql = concat!(
            "SELECT turn.run, turn.lane, turn.epoch, turn.session_id, turn.account, turn.route,
                    turn.ended_ms IS NOT NULL, lane.turn, lane.epoch, ",
            clock!(),
            " FROM turn JOIN lane ON lane.key = turn.lane WHERE turn.id = $1 FOR NO KEY UPDATE OF lane"
        );
        let fenced = || StoreError::lost_turn(&turn.turn);
        let row = self.maybe(sql, values![&turn.turn])?.ok_or_else(fenced)?;
        let ended: bool = row.at(6)?;
        let current: Option<&str> = row.at(7)?;
        let owned = ended || (current == Some(&turn.turn) && row.count(8)? == turn.epoch);
        if self.rules.fenced() && (row.count(2)? != turn.epoch || !owned) {
            return Err(fenced());
        }
        Ok(TurnRow {
            run: row.at(0)?,
            lane: row.at(1)?,
            session_id: row.at(3)?,
            account: row.at(4)?,
            route: row.maybe_json(5)?,
            ended,
            now_ms: self.shifted(row.at(9)?),
        })
    }

    pub(super) fn fell(&self, turn: &TurnRef) -> Kept<()> {
        if !self.turn(turn)?.ended {
            self.run_one("UPDATE turn SET attempts = attempts + 1 WHERE id = $1", values![&turn.turn])?;
        }
        Ok(())
    }

    pub(super) fn begin_step(&self, turn: &TurnRef, step: &NewStep) -> Kept<StepBegun> {
        if self.turn(turn)?.ended {
            return Err(StoreError::lost_turn(&turn.turn));
        }
        let mut call = serde_json::json!({"epoch": turn.epoch, "name": step.name, "callId": step.call_id, "arguments": step.arguments});
        let known = self.maybe(
            "SELECT call, entry FROM step WHERE turn = $1 AND step = $2",
            values![&turn.turn, step.step],
        )?;
        let Some(known) = known else {
            self.all(&[
                (
                    "INSERT INTO step (turn, step, call) VALUES ($1, $2, $3)",
                    values![&turn.turn, step.step, call.to_string()],
                ),
                got_further(turn),
            ])?;
            return Ok(StepBegun::New);
        };
        if let Some(entry) = known.maybe_json(1)? {
            return Ok(StepBegun::Done { entry });
        }
        // The same life asks again after a new gateway: it has not gone ahead yet.
        let begun_by = known.maybe_json::<serde_json::Value>(0)?;
        let begun_by = begun_by.and_then(|call| call.get("epoch").and_then(serde_json::Value::as_u64));
        if begun_by == Some(turn.epoch) {
            return Ok(StepBegun::New);
        }
        // A step whose end is unknown stays so for every later life.
        if let Some(call) = call.as_object_mut() {
            call.remove("epoch");
        }
        self.run_one(
            "UPDATE step SET call = $3 WHERE turn = $1 AND step = $2",
            values![&turn.turn, step.step, call.to_string()],
        )?;
        Ok(StepBegun::Uncertain)
    }

    pub(super) fn end_step(&self, turn: &TurnRef, step: u32, entry: &Entry) -> Kept<()> {
        if self.turn(turn)?.ended {
            return Err(StoreError::lost_turn(&turn.turn));
        }
        self.all(&[
            (
                "INSERT INTO step (turn, step, entry) VALUES ($1, $2, $3)
                 ON CONFLICT (turn, step) DO UPDATE SET entry = coalesce(step.entry, EXCLUDED.entry)",
                values![&turn.turn, step, serde_json::to_string(entry)?],
            ),
            got_further(turn),
        ])?;
        Ok(())
    }

    pub(super) fn finish_turn(&self, turn: &TurnRef, finish: &Finish) -> Kept<Finished> {
        let row = self.turn(turn)?;
        let already = row.ended && self.rules.fenced();
        if !already {
            self.write_ending(turn, &row, finish)?;
        }
        let pending = self.one("SELECT pending FROM lane WHERE key = $1", values![&row.lane])?.small(0)?;
        let account = row.route.is_some().then_some(row.account);
        Ok(Finished { already, run: row.run, lane: row.lane, account, pending })
    }

    fn write_ending(&self, turn: &TurnRef, row: &TurnRow, finish: &Finish) -> Kept<()> {
        let session = self.one(
            "SELECT kind, (SELECT coalesce(max(seq), 0) FROM transcript WHERE session_id = $2), agent, settings
             FROM session WHERE key = $1 FOR NO KEY UPDATE OF session",
            values![&row.lane, &row.session_id],
        )?;
        let user = user_entry(&self.inputs(&turn.turn)?, session.at::<&str>(0)? != "direct");
        let mut entries = vec![user];
        for step in self.rows(
            "SELECT entry FROM step WHERE turn = $1 AND entry IS NOT NULL ORDER BY step",
            values![&turn.turn],
        )? {
            entries.push(step.json(0)?);
        }
        let (from, added) = (session.at::<i64>(1)?, entries.len() as u64);
        let mut calls: Vec<Call<'_>> = vec![conversation(&row.session_id, &row.lane, session.at(2)?)];
        for (seq, entry) in (from + 1..).zip(&entries) {
            calls.push(said(&row.session_id, seq, entry, finish.now_ms, &row.run)?);
        }
        let silent = session.maybe_json::<SessionSettings>(3)?.unwrap_or_default().silent;
        if let Some(route) = row.route.as_ref().filter(|_| !silent) {
            let speaker =
                Speaker { turn: &turn.turn, run: &row.run, lane: &row.lane, account: &row.account, route };
            for outbound in outbound_of(&speaker, finish) {
                calls.push(self.queued(&outbound)?);
            }
        }
        calls.push((
            "UPDATE session SET entries = entries + $3, updated_ms = $4, turned_ms = $4 WHERE key = $1 AND id = $2",
            values![&row.lane, &row.session_id, added, finish.now_ms],
        ));
        calls.push((
            "UPDATE inbox SET state = $2 WHERE turn = $1",
            values![&turn.turn, if finish.parked { "parked" } else { "done" }],
        ));
        calls.push((
            "UPDATE turn SET ended_ms = $2, ending = $3 WHERE id = $1",
            values![&turn.turn, finish.now_ms, serde_json::to_string(&Ending::of(finish))?],
        ));
        // The journal has become the transcript.
        calls.push(("DELETE FROM step WHERE turn = $1", values![&turn.turn]));
        calls.push(("DELETE FROM question WHERE turn = $1", values![&turn.turn]));
        calls.push((
            "UPDATE lane SET turn = NULL, expires_ms = CASE WHEN pending = 0 THEN $3 ELSE expires_ms END
             WHERE key = $1 AND turn = $2",
            values![&row.lane, &turn.turn, row.now_ms],
        ));
        self.all(&calls)?;
        Ok(())
    }
}

/// A turn that gets further is not what fells its agent.
fn got_further(turn: &TurnRef) -> Call<'_> {
    ("UPDATE turn SET attempts = 0 WHERE id = $1 AND attempts > 0", values![&turn.turn])
}
