use creel_ipc::msg::agent::{JournalStep, TurnOutcome};
use creel_ipc::msg::transcript::Usage;

use super::*;

/// Rows of a transcript or a journal that are asked for at once.
const BATCH: usize = 200;

macro_rules! session {
    () => {
        "SELECT session.key, session.id, session.agent, session.kind, session.account, session.title, session.model,
                session.updated_ms, session.entries, coalesce(lane.pending, 0), lane.turn IS NOT NULL, session.settings
         FROM session LEFT JOIN lane ON lane.key = session.key"
    };
}

fn session_of(row: &Row) -> Kept<SessionRecord> {
    Ok(SessionRecord {
        key: row.at(0)?,
        id: row.at(1)?,
        agent: row.at(2)?,
        kind: row.at(3)?,
        account: row.at(4)?,
        title: row.at(5)?,
        model: row.at(6)?,
        updated_ms: row.at(7)?,
        entries: row.count(8)?,
        pending: row.small(9)?,
        running: row.at(10)?,
        settings: row.maybe_json(11)?.unwrap_or_default(),
    })
}

impl Tx<'_> {
    pub(super) fn context_page(&self, turn: &TurnRef, cursor: Option<u64>) -> Kept<ContextPage> {
        let known = self.maybe(
            "SELECT session_id FROM turn WHERE id = $1 AND epoch = $2",
            values![&turn.turn, turn.epoch],
        )?;
        let Some(known) = known else { return Err(StoreError::lost_turn(&turn.turn)) };
        let session: &str = known.at(0)?;
        let before = cursor.map_or(i64::MAX, |cursor| i64::try_from(cursor).unwrap_or(i64::MAX));
        let items = Batches::new(before, |before| {
            let rows = self.rows(
                "SELECT seq, entry FROM transcript WHERE session_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT 200",
                values![session, before],
            )?;
            rows.into_iter().map(|row| Ok((row.at::<i64>(0)?, row))).collect()
        });
        let items = items.map(|item| {
            let (_, row) = item?;
            Ok((row.at::<&str>(1)?.len(), (row.count(0)?, row.json::<Entry>(1)?)))
        });
        let (mut page, more) = fill_page(items)?;
        page.reverse();
        let next = page.first().map(|(seq, _)| *seq).filter(|_| more);
        Ok(ContextPage { entries: page.into_iter().map(|(_, entry)| entry).collect(), next })
    }

    pub(super) fn journal_page(&self, turn: &TurnRef, cursor: Option<u64>) -> Kept<JournalPage> {
        let known =
            self.maybe("SELECT 1 FROM turn WHERE id = $1 AND epoch = $2", values![&turn.turn, turn.epoch])?;
        if known.is_none() {
            return Err(StoreError::lost_turn(&turn.turn));
        }
        let from = cursor.map_or(-1, |cursor| i64::try_from(cursor).unwrap_or(i64::MAX) - 1);
        let items = Batches::new(from, |after| {
            let rows = self.rows(
                "SELECT step, entry FROM step WHERE turn = $1 AND step > $2 ORDER BY step LIMIT 200",
                values![&turn.turn, after],
            )?;
            rows.into_iter().map(|row| Ok((row.at::<i64>(0)?, row))).collect()
        });
        let items = items.map(|item| {
            let (_, row) = item?;
            let size = row.at::<Option<&str>>(1)?.map_or(0, str::len);
            Ok((size, JournalStep { step: row.small(0)?, entry: row.maybe_json(1)? }))
        });
        let (steps, more) = fill_page(items)?;
        let next = steps.last().map(|last| u64::from(last.step) + 1).filter(|_| more);
        Ok(JournalPage { steps, next })
    }

    pub(super) fn run(&self, run: &str) -> Kept<Option<RunRecord>> {
        let turn = self.maybe(
            "SELECT id, epoch, lane, begun_ms, ended_ms, ending FROM turn WHERE run = $1
             ORDER BY begun_ms DESC, id DESC LIMIT 1",
            values![run],
        )?;
        if let Some(row) = turn {
            let ending: Option<Ending> = row.maybe_json(5)?;
            let mut record = RunRecord {
                turn: Some(TurnRef { turn: row.at(0)?, epoch: row.count(1)? }),
                ended_ms: row.at(4)?,
                ..waiting(row.at(2)?, row.at(3)?)
            };
            if let Some(ending) = ending {
                record.outcome = Some(ending.outcome);
                record.error = ending.error;
                record.text = Some(ending.text);
                record.usage = ending.usage;
            }
            return Ok(Some(record));
        }
        let row = self.maybe("SELECT lane, at_ms, state FROM inbox WHERE run = $1", values![run])?;
        let record = |row: Row| {
            let record = waiting(row.at(0)?, row.at(1)?);
            // One that answered a question is no turn of its own.
            Ok(match row.at::<&str>(2)? {
                "done" => {
                    let ended_ms = Some(record.accepted_ms);
                    RunRecord { outcome: Some(TurnOutcome::Done), ended_ms, ..record }
                }
                _ => record,
            })
        };
        row.map(record).transpose()
    }

    pub(super) fn sessions(&self, query: &SessionQuery) -> Kept<Vec<SessionRecord>> {
        let sql = concat!(
            session!(),
            " WHERE ($1::text IS NULL OR session.agent = $1) AND ($2::text IS NULL OR session.kind = $2)
               AND session.updated_ms >= $3
               AND ($4::text IS NULL OR strpos(session.key, $4) > 0
                    OR strpos(lower(coalesce(session.title, '')), $4) > 0)
             ORDER BY session.updated_ms DESC, session.key LIMIT $5"
        );
        let wanted = values![
            query.agent.as_ref(),
            query.kind.as_ref(),
            query.since_ms,
            query.search.as_ref(),
            query.limit
        ];
        self.rows(sql, wanted)?.iter().map(session_of).collect()
    }

    pub(super) fn session(&self, key: &str) -> Kept<Option<SessionRecord>> {
        let row = self.maybe(concat!(session!(), " WHERE session.key = $1"), values![key])?;
        row.as_ref().map(session_of).transpose()
    }

    pub(super) fn history(&self, session_key: &str, limit: u32) -> Kept<Vec<TranscriptRecord>> {
        let rows = self.rows(
            "SELECT transcript.seq, transcript.entry, transcript.at_ms, transcript.run FROM transcript
             JOIN session ON session.id = transcript.session_id WHERE session.key = $1
             ORDER BY transcript.seq DESC LIMIT $2",
            values![session_key, limit],
        )?;
        let records = rows.iter().rev().map(|row| {
            Ok(TranscriptRecord {
                seq: row.count(0)?,
                entry: row.json(1)?,
                at_ms: row.at(2)?,
                run: row.at(3)?,
            })
        });
        records.collect()
    }

    pub(super) fn account(&self, account: &str) -> Kept<AccountRecord> {
        let row = self.one(
            "SELECT (SELECT inbound_ms FROM account WHERE id = $1), (SELECT outbound_ms FROM account WHERE id = $1),
                    (SELECT count(*) FROM outbox WHERE account = $1 AND state IN ('queued', 'attempting')),
                    (SELECT count(*) FROM outbox WHERE account = $1 AND state = 'unknown')",
            values![account],
        )?;
        Ok(AccountRecord {
            inbound_ms: row.at(0)?,
            outbound_ms: row.at(1)?,
            queued: row.count(2)?,
            unknown: row.count(3)?,
        })
    }
}

/// A run that has not begun.
fn waiting(lane: String, accepted_ms: i64) -> RunRecord {
    RunRecord {
        lane,
        turn: None,
        outcome: None,
        error: None,
        text: None,
        usage: Usage::default(),
        accepted_ms,
        ended_ms: None,
    }
}

/// Rows of which more are asked for only when those before have been used up: a page needs few of a long transcript.
struct Batches<F> {
    ask: F,
    last: i64,
    rows: std::vec::IntoIter<(i64, Row)>,
    over: bool,
}

impl<F: FnMut(i64) -> Kept<Vec<(i64, Row)>>> Batches<F> {
    fn new(last: i64, ask: F) -> Self {
        Self { ask, last, rows: Vec::new().into_iter(), over: false }
    }
}

impl<F: FnMut(i64) -> Kept<Vec<(i64, Row)>>> Iterator for Batches<F> {
    type Item = Kept<(i64, Row)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rows.len() == 0 && !self.over {
            match (self.ask)(self.last) {
                Ok(rows) => {
                    self.over = rows.len() < BATCH;
                    self.rows = rows.into_iter();
                }
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
        let (number, row) = self.rows.next()?;
        self.last = number;
        Some(Ok((number, row)))
    }
}
