use super::*;

/// Rows that are sent at once.
const BATCH: usize = 200;

impl Tx<'_> {
    pub(super) fn import(&self, new: &NewSession) -> Kept<Imported> {
        let current = self.maybe("SELECT key FROM session WHERE id = $1", values![&new.id])?;
        let key: Option<String> = current.map(|row| row.at(0)).transpose()?;
        let known: bool = self
            .one(
                "SELECT EXISTS (SELECT 1 FROM transcript WHERE session_id = $1)
                     OR EXISTS (SELECT 1 FROM imported_line WHERE session_id = $1)",
                values![&new.id],
            )?
            .at(0)?;
        if known || key.is_some() {
            return Ok(Imported::Known(key));
        }
        let taken = self.maybe("SELECT 1 FROM session WHERE key = $1", values![&new.key])?;
        let key = if taken.is_some() { &new.spare_key } else { &new.key };
        let mut calls = vec![(
            "INSERT INTO session (key, id, agent, kind, account, title, updated_ms, turned_ms, entries)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            values![
                key,
                &new.id,
                &new.agent,
                &new.kind,
                &new.account,
                new.title.as_ref(),
                new.updated_ms,
                new.now_ms,
                new.entries.len() as u64,
            ],
        )];
        calls.push(conversation(&new.id, key, &new.agent));
        for (seq, (at_ms, entry)) in (1..).zip(&new.entries) {
            calls.push(said(&new.id, seq, entry, *at_ms, IMPORTED)?);
        }
        for (seq, line) in (1_u64..).zip(&new.lines) {
            let sql = "INSERT INTO imported_line (session_id, seq, line) VALUES ($1, $2, $3)";
            calls.push((sql, values![&new.id, seq, line]));
        }
        for batch in calls.chunks(BATCH) {
            self.all(batch)?;
        }
        Ok(Imported::Fresh(key.clone()))
    }

    pub(super) fn session_file(&self, key: &str) -> Kept<Option<SessionFile>> {
        let Some(session) = self.session(key)? else { return Ok(None) };
        let lines = self.rows(
            "SELECT line FROM imported_line WHERE session_id = $1 ORDER BY seq",
            values![&session.id],
        )?;
        let rows = self.rows(
            "SELECT seq, entry, at_ms, run FROM transcript WHERE session_id = $1 AND run <> $2 ORDER BY seq",
            values![&session.id, IMPORTED],
        )?;
        let entries = rows.iter().map(|row| {
            Ok(TranscriptRecord {
                seq: row.count(0)?,
                entry: row.json(1)?,
                at_ms: row.at(2)?,
                run: row.at(3)?,
            })
        });
        let entries = entries.collect::<Kept<_>>()?;
        let lines = lines.iter().map(|row| row.at(0)).collect::<Kept<_>>()?;
        Ok(Some(SessionFile { session, lines, entries }))
    }
}
