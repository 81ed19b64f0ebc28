//! What people are asked.

use creel_ipc::msg::agent::Decision;

use super::*;

#[derive(Debug)]
pub(super) struct Question {
    record: QuestionRecord,
    round: u32,
    expires_ms: i64,
    answer: Option<Decision>,
    /// The epoch of the life that was told to do it again.
    given: Option<u64>,
}

impl Memory {
    pub(super) fn ask_people(&mut self, turn: &TurnRef, question: &NewQuestion) -> Kept<Asked> {
        let row = self.turn(turn)?;
        if row.ended.is_some() {
            return Err(StoreError::lost_turn(&turn.turn));
        }
        let (claimed, now_ms) = (row.claimed.clone(), self.clock_ms);
        let of = |known: &&mut Question| known.record.turn == turn.turn && known.record.step == question.step;
        let mut round = 0;
        if let Some(known) = self.questions.iter_mut().find(of) {
            let decided = match known.answer {
                None if known.expires_ms > now_ms => {
                    let left_ms = u64::try_from(known.expires_ms - now_ms).unwrap_or(0);
                    return Ok(Asked::Open { left_ms });
                }
                None => Some(Decision::Nobody),
                // Who was told to do it again has begun to, for all anybody knows.
                Some(Decision::Again) if known.given.is_some_and(|given| given != turn.epoch) => None,
                answer => answer,
            };
            if let Some(decision) = decided {
                (known.answer, known.given) = (decided, Some(turn.epoch));
                return Ok(Asked::Decided(decision));
            }
            round = known.round + 1;
        }
        let id = match self
            .questions
            .iter()
            .position(|known| known.record.turn == turn.turn && known.record.step == question.step)
        {
            Some(place) => self.questions.remove(place).record.id,
            None => {
                self.last_question += 1;
                self.last_question
            }
        };
        let record = QuestionRecord {
            id,
            turn: turn.turn.clone(),
            step: question.step,
            lane: claimed.lane.clone(),
            tool: question.tool.clone(),
            what: question.what.clone(),
            asked_ms: now_ms,
            left_ms: 0,
        };
        let patience = i64::try_from(question.patience_ms).unwrap_or(i64::MAX);
        let expires_ms = now_ms.saturating_add(patience);
        self.questions.push(Question { record, round, expires_ms, answer: None, given: None });
        let silent = self.sessions.get(&claimed.lane).is_some_and(|(of, _)| of.settings.silent);
        if let Some(route) = claimed.route.as_ref().filter(|_| !silent) {
            let speaker = Speaker {
                turn: &turn.turn,
                run: &claimed.run,
                lane: &claimed.lane,
                account: &claimed.account,
                route,
            };
            self.put_row(&question_row(&speaker, question, round))?;
        }
        Ok(Asked::Open { left_ms: question.patience_ms })
    }

    fn waits(&self, question: &Question) -> bool {
        question.answer.is_none() && question.expires_ms > self.clock_ms
    }

    pub(super) fn open_questions(&self, limit: u32) -> Vec<QuestionRecord> {
        let mut open: Vec<QuestionRecord> = self
            .questions
            .iter()
            .filter(|question| self.waits(question))
            .map(|question| QuestionRecord {
                left_ms: u64::try_from(question.expires_ms - self.clock_ms).unwrap_or(0),
                ..question.record.clone()
            })
            .collect();
        open.sort_by_key(|record| record.id);
        open.truncate(limit as usize);
        open
    }

    pub(super) fn answer_question(&mut self, id: u64, answer: Answer) -> Option<String> {
        let place = self.questions.iter().position(|known| known.record.id == id && self.waits(known))?;
        let question = &mut self.questions[place];
        question.answer = Some(decision_of(answer.word()));
        Some(question.record.lane.clone())
    }

    /// Takes a message for the answer to what is asked in its session. `false` when nothing is, or not of its sender.
    pub(super) fn answered_by(&mut self, placed: &Placed, answer: Answer) -> bool {
        let mine = |record: &QuestionRecord| {
            record.lane == placed.lane
                && self
                    .turns
                    .get(&record.turn)
                    .is_some_and(|turn| may_answer(&placed.input, &turn.claimed.input))
        };
        let open = self.open_questions(u32::MAX).into_iter().find(mine);
        open.is_some_and(|record| self.answer_question(record.id, answer).is_some())
    }

    pub(super) fn forget_questions(&mut self, turn: &str) {
        self.questions.retain(|question| question.record.turn != turn);
    }
}
