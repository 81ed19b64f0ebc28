use rusqlite::{OptionalExtension, params};

use super::*;

impl Tx<'_> {
    pub(super) fn ask_people(&self, turn: &TurnRef, question: &NewQuestion) -> Kept<Asked> {
        let row = self.turn(turn)?;
        if row.ended {
            return Err(StoreError::lost_turn(&turn.turn));
        }
        let known: Option<(u32, Option<String>, Option<i64>, i64)> = self
            .sql
            .prepare_cached(
                "SELECT round, answer, given, expires_ms FROM question WHERE turn = ?1 AND step = ?2",
            )?
            .query_row(params![turn.turn, question.step], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        let (round, decided) = match known {
            None => (0, None),
            Some((_, None, _, expires_ms)) if expires_ms > self.now_ms => {
                return Ok(Asked::Open { left_ms: unsigned(expires_ms - self.now_ms) });
            }
            Some((_, None, ..)) => (0, Some("nobody".to_owned())),
            Some((round, Some(answer), Some(given), _))
                if answer == "again" && unsigned(given) != turn.epoch =>
            {
                // Who was told to do it again has begun to, for all anybody knows.
                (round + 1, None)
            }
            Some((_, Some(answer), ..)) => (0, Some(answer)),
        };
        if let Some(answer) = decided {
            self.sql.execute(
                "UPDATE question SET answer = ?3, given = ?4 WHERE turn = ?1 AND step = ?2",
                params![turn.turn, question.step, answer, signed(turn.epoch)],
            )?;
            return Ok(Asked::Decided(decision_of(&answer)));
        }
        self.sql.execute(
            "INSERT INTO question (turn, step, lane, round, tool, what, asked_ms, expires_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (turn, step) DO UPDATE SET round = ?4, asked_ms = ?7, expires_ms = ?8, answer = NULL, given = NULL",
            params![
                turn.turn,
                question.step,
                row.lane,
                round,
                question.tool,
                question.what,
                self.now_ms,
                self.now_ms.saturating_add(signed(question.patience_ms)),
            ],
        )?;
        let silent = self.settings(&row.lane)?.silent;
        if let Some(route) = row.route.as_ref().filter(|_| !silent) {
            let speaker =
                Speaker { turn: &turn.turn, run: &row.run, lane: &row.lane, account: &row.account, route };
            self.enqueue(&question_row(&speaker, question, round))?;
        }
        Ok(Asked::Open { left_ms: question.patience_ms })
    }

    pub(super) fn questions(&self, limit: u32) -> Kept<Vec<QuestionRecord>> {
        let mut query = self.sql.prepare_cached(
            "SELECT seq, turn, step, lane, tool, what, asked_ms, expires_ms FROM question
             WHERE answer IS NULL AND expires_ms > ?1 ORDER BY seq LIMIT ?2",
        )?;
        let records = query.query_map(params![self.now_ms, limit], |row| {
            let (id, expires_ms): (i64, i64) = (row.get(0)?, row.get(7)?);
            Ok(QuestionRecord {
                id: unsigned(id),
                turn: row.get(1)?,
                step: row.get(2)?,
                lane: row.get(3)?,
                tool: row.get(4)?,
                what: row.get(5)?,
                asked_ms: row.get(6)?,
                left_ms: unsigned(expires_ms - self.now_ms),
            })
        })?;
        Ok(records.collect::<Result<_, _>>()?)
    }

    pub(super) fn answer(&self, id: u64, answer: Answer) -> Kept<Option<String>> {
        let answered = self.sql.query_row(
            "UPDATE question SET answer = ?2 WHERE seq = ?1 AND answer IS NULL AND expires_ms > ?3 RETURNING lane",
            params![signed(id), answer.word(), self.now_ms],
            |row| row.get(0),
        );
        Ok(answered.optional()?)
    }

    /// Takes a message for the answer to what is asked in its session. `false` when nothing is, or not of its sender.
    pub(super) fn answered_by(&self, placed: &Placed, answer: Answer) -> Kept<bool> {
        let mut query = self.sql.prepare_cached(
            "SELECT seq, turn FROM question WHERE lane = ?1 AND answer IS NULL AND expires_ms > ?2 ORDER BY seq",
        )?;
        let open =
            query.query_map(params![placed.lane, self.now_ms], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for row in open {
            let (id, turn): (i64, String) = row?;
            if may_answer(&placed.input, &self.inputs(&turn)?) {
                return Ok(self.answer(unsigned(id), answer)?.is_some());
            }
        }
        Ok(false)
    }
}
