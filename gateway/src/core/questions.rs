//! Questions about interrupted commands, as operators and clients see and answer them.

use super::Core;
use crate::hub::{HubError, QuestionAnswer, QuestionRow};
use crate::store::{Answer, QuestionRecord};

impl Core {
    pub(crate) async fn questions(&self, limit: u32) -> Result<Vec<QuestionRow>, HubError> {
        let records = self.desk.read(move |store| store.questions(limit)).await?;
        Ok(records.into_iter().map(question_row).collect())
    }

    pub(crate) async fn answer(&self, id: u64, answer: QuestionAnswer) -> Result<String, HubError> {
        let said = match answer {
            QuestionAnswer::Again => Answer::Again,
            QuestionAnswer::Skip => Answer::Skip,
            QuestionAnswer::Stop => Answer::Stop,
        };
        let answered = self.desk.write(move |store| store.answer(id, said)).await;
        self.note_store(&answered);
        self.answers.notify_waiters();
        answered?.ok_or_else(|| {
            HubError::not_found(format!(
                "No question {id} waits for an answer; `creel inbox` lists those that do."
            ))
        })
    }
}

pub(crate) fn question_row(record: QuestionRecord) -> QuestionRow {
    let left_ms = i64::try_from(record.left_ms).unwrap_or(i64::MAX);
    QuestionRow {
        id: record.id,
        session_key: record.lane,
        tool: record.tool,
        what: record.what,
        asked_at_ms: record.asked_ms,
        expires_at_ms: super::now_ms().saturating_add(left_ms),
    }
}
