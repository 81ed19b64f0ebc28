use super::*;

impl Tx<'_> {
    pub(super) fn ask_people(&self, turn: &TurnRef, question: &NewQuestion) -> Kept<Asked> {
        let row = self.turn(turn)?;
        if row.ended {
            return Err(StoreError::lost_turn(&turn.turn));
        }
        let known = self.maybe(
            "SELECT round, answer, given, expires_ms FROM question WHERE turn = $1 AND step = $2 FOR UPDATE",
            values![&turn.turn, question.step],
        )?;
        let (mut round, mut decided) = (0, None);
        if let Some(known) = known {
            let (answer, given, expires_ms): (Option<String>, Option<i64>, i64) =
                (known.at(1)?, known.at(2)?, known.at(3)?);
            match answer {
                None if expires_ms > row.now_ms => {
                    let left_ms = u64::try_from(expires_ms - row.now_ms).unwrap_or(0);
                    return Ok(Asked::Open { left_ms });
                }
                None => decided = Some("nobody".to_owned()),
                // Who was told to do it again has begun to, for all anybody knows.
                Some(answer)
                    if answer == "again"
                        && given.is_some_and(|given| u64::try_from(given).ok() != Some(turn.epoch)) =>
                {
                    round = known.small(0)? + 1;
                }
                Some(answer) => decided = Some(answer),
            }
        }
        if let Some(answer) = decided {
            self.run_one(
                "UPDATE question SET answer = $3, given = $4 WHERE turn = $1 AND step = $2",
                values![&turn.turn, question.step, &answer, turn.epoch],
            )?;
            return Ok(Asked::Decided(decision_of(&answer)));
        }
        let expires_ms = row.now_ms.saturating_add(i64::try_from(question.patience_ms).unwrap_or(i64::MAX));
        let mut calls: Vec<Call<'_>> = vec![(
            "INSERT INTO question (turn, step, lane, round, tool, what, asked_ms, expires_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (turn, step) DO UPDATE SET round = EXCLUDED.round, asked_ms = EXCLUDED.asked_ms,
                 expires_ms = EXCLUDED.expires_ms, answer = NULL, given = NULL",
            values![
                &turn.turn,
                question.step,
                &row.lane,
                round,
                &question.tool,
                &question.what,
                row.now_ms,
                expires_ms,
            ],
        )];
        let silent = self.settings(&row.lane)?.silent;
        if let Some(route) = row.route.as_ref().filter(|_| !silent) {
            let speaker =
                Speaker { turn: &turn.turn, run: &row.run, lane: &row.lane, account: &row.account, route };
            calls.push(self.queued(&question_row(&speaker, question, round))?);
        }
        self.all(&calls)?;
        Ok(Asked::Open { left_ms: question.patience_ms })
    }

    pub(super) fn questions(&self, limit: u32) -> Kept<Vec<QuestionRecord>> {
        let now_ms = self.now_ms()?;
        let rows = self.rows(
            "SELECT seq, turn, step, lane, tool, what, asked_ms, expires_ms FROM question
             WHERE answer IS NULL AND expires_ms > $1 ORDER BY seq LIMIT $2",
            values![now_ms, limit],
        )?;
        let records = rows.iter().map(|row| {
            Ok(QuestionRecord {
                id: row.count(0)?,
                turn: row.at(1)?,
                step: row.small(2)?,
                lane: row.at(3)?,
                tool: row.at(4)?,
                what: row.at(5)?,
                asked_ms: row.at(6)?,
                left_ms: u64::try_from(row.at::<i64>(7)? - now_ms).unwrap_or(0),
            })
        });
        records.collect()
    }

    pub(super) fn answer(&self, id: u64, answer: Answer) -> Kept<Option<String>> {
        let now_ms = self.now_ms()?;
        self.answer_at(id, answer, now_ms)
    }

    fn answer_at(&self, id: u64, answer: Answer, now_ms: i64) -> Kept<Option<String>> {
        let row = self.maybe(
            "UPDATE question SET answer = $2 WHERE seq = $1 AND answer IS NULL AND expires_ms > $3 RETURNING lane",
            values![id, answer.word(), now_ms],
        )?;
        row.map(|row| row.at(0)).transpose()
    }

    /// Takes a message for the answer to what is asked in its session. `false` when nothing is, or not of its sender.
    pub(super) fn answered_by(&self, placed: &Placed, answer: Answer, now_ms: i64) -> Kept<bool> {
        let open = self.rows(
            "SELECT seq, turn FROM question WHERE lane = $1 AND answer IS NULL AND expires_ms > $2 ORDER BY seq",
            values![&placed.lane, now_ms],
        )?;
        for row in &open {
            if may_answer(&placed.input, &self.inputs(row.at(1)?)?) {
                return Ok(self.answer_at(row.count(0)?, answer, now_ms)?.is_some());
            }
        }
        Ok(false)
    }
}
