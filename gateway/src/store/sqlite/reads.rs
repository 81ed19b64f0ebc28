use creel_ipc::msg::agent::{JournalStep, TurnOutcome};
use rusqlite::{OptionalExtension, params};

use super::*;

const SESSION: &str =
    "SELECT session.key, session.id, session.agent, session.kind, session.account, session.title,
        session.model, session.updated_ms, session.entries, coalesce(lane.pending, 0), lane.turn IS NOT NULL,
        session.settings
    FROM session LEFT JOIN lane ON lane.key = session.key";

fn session_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<SessionRecord> {
    let settings: Option<String> = row.get(11)?;
    let entries: i64 = row.get(8)?;
    Ok(SessionRecord {
        key: row.get(0)?,
        id: row.get(1)?,
        agent: row.get(2)?,
        kind: row.get(3)?,
        account: row.get(4)?,
        title: row.get(5)?,
        model: row.get(6)?,
        updated_ms: row.get(7)?,
        entries: unsigned(entries),
        pending: row.get(9)?,
        running: row.get(10)?,
        settings: settings_of(settings.as_deref()),
    })
}

/// Settings that cannot be read are those of the agent.
pub(super) fn settings_of(column: Option<&str>) -> SessionSettings {
    column.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

impl Tx<'_> {
    pub(super) fn context_page(&self, turn: &TurnRef, cursor: Option<u64>) -> Kept<ContextPage> {
        let session: Option<String> = self
            .sql
            .query_row(
                "SELECT session_id FROM turn WHERE id = ?1 AND epoch = ?2",
                params![turn.turn, signed(turn.epoch)],
                |row| row.get(0),
            )
            .optional()?;
        let Some(session) = session else {
            return Err(StoreError::lost_turn(&turn.turn));
        };
        let mut query = self.sql.prepare_cached(
            "SELECT seq, entry FROM transcript
             WHERE conversation = (SELECT number FROM conversation WHERE id = ?1) AND seq < ?2 ORDER BY seq DESC",
        )?;
        let before = cursor.map_or(i64::MAX, signed);
        let rows = query.query_map(params![session, before], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })?;
        let items = rows.map(|row| {
            let (seq, text) = row?;
            Ok((text.len(), (unsigned(seq), json::<Entry>(&text)?)))
        });
        let (mut page, more) = fill_page(items)?;
        page.reverse();
        let next = page.first().map(|(seq, _)| *seq).filter(|_| more);
        Ok(ContextPage { entries: page.into_iter().map(|(_, entry)| entry).collect(), next })
    }

    pub(super) fn journal_page(&self, turn: &TurnRef, cursor: Option<u64>) -> Kept<JournalPage> {
        let known = self
            .sql
            .query_row(
                "SELECT 1 FROM turn WHERE id = ?1 AND epoch = ?2",
                params![turn.turn, signed(turn.epoch)],
                |_| Ok(()),
            )
            .optional()?;
        if known.is_none() {
            return Err(StoreError::lost_turn(&turn.turn));
        }
        let mut query = self
            .sql
            .prepare_cached("SELECT step, entry FROM step WHERE turn = ?1 AND step >= ?2 ORDER BY step")?;
        let rows = query.query_map(params![turn.turn, signed(cursor.unwrap_or(0))], |row| {
            Ok((row.get::<_, u32>(0)?, row.get::<_, Option<String>>(1)?))
        })?;
        let items = rows.map(|row| {
            let (step, text) = row?;
            let size = text.as_ref().map_or(0, String::len);
            Ok((size, JournalStep { step, entry: maybe_json(text.as_deref())? }))
        });
        let (steps, more) = fill_page(items)?;
        let next = steps.last().map(|last| u64::from(last.step) + 1).filter(|_| more);
        Ok(JournalPage { steps, next })
    }

    pub(super) fn run(&self, run: &str) -> Kept<Option<RunRecord>> {
        let turn = self
            .sql
            .query_row(
                "SELECT id, epoch, lane, begun_ms, ended_ms, ending FROM turn WHERE run = ?1
                 ORDER BY begun_ms DESC, id DESC LIMIT 1",
                [run],
                |row| {
                    let epoch: i64 = row.get(1)?;
                    let record = RunRecord {
                        lane: row.get(2)?,
                        turn: Some(TurnRef { turn: row.get(0)?, epoch: unsigned(epoch) }),
                        outcome: None,
                        error: None,
                        text: None,
                        usage: Usage::default(),
                        accepted_ms: row.get(3)?,
                        ended_ms: row.get(4)?,
                    };
                    Ok((record, row.get::<_, Option<String>>(5)?))
                },
            )
            .optional()?;
        if let Some((mut record, ending)) = turn {
            if let Some(ending) = maybe_json::<Ending>(ending.as_deref())? {
                record.outcome = Some(ending.outcome);
                record.error = ending.error;
                record.text = Some(ending.text);
                record.usage = ending.usage;
            }
            return Ok(Some(record));
        }
        let waiting =
            self.sql.query_row("SELECT lane, at_ms, state FROM inbox WHERE run = ?1", [run], |row| {
                // One that answered a question is no turn of its own.
                let over = row.get::<_, String>(2)? == "done";
                Ok(RunRecord {
                    lane: row.get(0)?,
                    turn: None,
                    outcome: over.then_some(TurnOutcome::Done),
                    error: None,
                    text: None,
                    usage: Usage::default(),
                    accepted_ms: row.get(1)?,
                    ended_ms: if over { row.get(1)? } else { None },
                })
            });
        Ok(waiting.optional()?)
    }

    pub(super) fn sessions(&self, query: &SessionQuery) -> Kept<Vec<SessionRecord>> {
        let mut statement = self.sql.prepare_cached(&format!(
            "{SESSION}
             WHERE (?1 IS NULL OR session.agent = ?1) AND (?2 IS NULL OR session.kind = ?2)
               AND session.updated_ms >= ?3
               AND (?4 IS NULL OR instr(session.key, ?4) > 0 OR instr(lower(coalesce(session.title, '')), ?4) > 0)
             ORDER BY session.updated_ms DESC, session.key LIMIT ?5"
        ))?;
        let wanted = params![query.agent, query.kind, query.since_ms, query.search, query.limit];
        let rows = statement.query_map(wanted, session_of)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(super) fn session(&self, key: &str) -> Kept<Option<SessionRecord>> {
        let mut statement = self.sql.prepare_cached(&format!("{SESSION} WHERE session.key = ?1"))?;
        Ok(statement.query_row([key], session_of).optional()?)
    }

    pub(super) fn history(&self, session_key: &str, limit: u32) -> Kept<Vec<TranscriptRecord>> {
        let mut query = self.sql.prepare_cached(
            "SELECT transcript.seq, transcript.entry, transcript.at_ms, transcript.run FROM transcript
             JOIN conversation ON conversation.number = transcript.conversation
             JOIN session ON session.id = conversation.id WHERE session.key = ?1
             ORDER BY transcript.seq DESC LIMIT ?2",
        )?;
        let rows = query.query_map(params![session_key, limit], |row| {
            let seq: i64 = row.get(0)?;
            Ok((unsigned(seq), row.get::<_, String>(1)?, row.get(2)?, row.get(3)?))
        })?;
        let mut records = Vec::new();
        for row in rows {
            let (seq, entry, at_ms, run) = row?;
            records.push(TranscriptRecord { seq, entry: json(&entry)?, at_ms, run });
        }
        records.reverse();
        Ok(records)
    }

    pub(super) fn account(&self, account: &str) -> Kept<AccountRecord> {
        let times = self
            .sql
            .query_row("SELECT inbound_ms, outbound_ms FROM account WHERE id = ?1", [account], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let (inbound_ms, outbound_ms) = times.unwrap_or_default();
        let (queued, unknown): (i64, i64) = self.sql.query_row(
            "SELECT (SELECT count(*) FROM outbox WHERE account = ?1 AND state IN ('queued', 'attempting')),
                    (SELECT count(*) FROM outbox WHERE account = ?1 AND state = 'unknown')",
            [account],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(AccountRecord { inbound_ms, outbound_ms, queued: unsigned(queued), unknown: unsigned(unknown) })
    }
}

use creel_ipc::msg::transcript::Usage;
