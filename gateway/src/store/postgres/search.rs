use super::*;
use crate::store::words::{Asked, indexed, spoken};

/// Entries that come into the index in one write.
const PIECE: u32 = 200;
/// Stands between keys that are one parameter.
const BETWEEN: &str = "\u{1f}";

/// A conversation that is written to: known, or new.
pub(super) fn conversation<'a>(id: &'a str, key: &'a str, agent: &'a str) -> Call<'a> {
    (
        "INSERT INTO conversation (id, key, agent) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING",
        values![id, key, agent],
    )
}

/// An entry on its way into a transcript, and into the index.
pub(super) fn said<'a>(id: &'a str, seq: i64, entry: &Entry, at_ms: i64, run: &'a str) -> Kept<Call<'a>> {
    let sql = "INSERT INTO transcript (session_id, seq, entry, at_ms, run, words)
               VALUES ($1, $2, $3, $4, $5, array_to_tsvector(string_to_array($6::text, ' ')))";
    Ok((sql, values![id, seq, serde_json::to_string(entry)?, at_ms, run, words(entry)]))
}

fn words(entry: &Entry) -> String {
    spoken(entry).map(|(_, text)| indexed(&text)).unwrap_or_default()
}

impl Tx<'_> {
    /// Entries without words are of a Creel that knew no search, which may still run on another host.
    pub(super) fn index_older(&self) -> Kept<bool> {
        let rows = self.rows(
            "SELECT session_id, seq, entry FROM transcript WHERE words IS NULL LIMIT $1
             FOR NO KEY UPDATE SKIP LOCKED",
            values![PIECE],
        )?;
        let mut calls: Vec<Call<'_>> = Vec::with_capacity(rows.len());
        for row in &rows {
            // What cannot be read is not found; it is not in the way of the others.
            let found = row.json::<Entry>(2).map(|entry| words(&entry)).unwrap_or_default();
            calls.push((
                "UPDATE transcript SET words = array_to_tsvector(string_to_array($3::text, ' '))
                 WHERE session_id = $1 AND seq = $2",
                values![row.at::<&str>(0)?, row.at::<i64>(1)?, found],
            ));
        }
        self.all(&calls)?;
        Ok(!rows.is_empty())
    }

    pub(super) fn search(&self, query: &SearchQuery) -> Kept<SearchPage> {
        let indexing =
            self.one("SELECT EXISTS (SELECT 1 FROM transcript WHERE words IS NULL)", values![])?.at(0)?;
        let mut page = SearchPage { indexing, ..SearchPage::default() };
        let all: Vec<String> = query
            .wanted
            .all()
            .into_iter()
            .map(|asked| match asked {
                Asked::Whole(word) => format!("'{word}'"),
                Asked::Begin(word) => format!("'{word}':*"),
            })
            .collect();
        let rows = self.rows(
            "SELECT coalesce(conversation.key, session.key), coalesce(conversation.agent, session.agent),
                    transcript.session_id, transcript.seq, transcript.at_ms, transcript.entry
             FROM transcript LEFT JOIN conversation ON conversation.id = transcript.session_id
             LEFT JOIN session ON session.id = transcript.session_id
             WHERE transcript.words @@ ($1::text)::tsquery AND coalesce(conversation.key, session.key) IS NOT NULL
               AND ($2::text IS NULL OR coalesce(conversation.agent, session.agent) = $2)
               AND ($3 = '' OR coalesce(conversation.key, session.key) = ANY (string_to_array($3::text, $4)))
             ORDER BY transcript.at_ms DESC, transcript.session_id, transcript.seq DESC LIMIT $5",
            values![all.join(" & "), query.agent.as_ref(), query.keys.join(BETWEEN), BETWEEN, LOOKED_AT],
        )?;
        for row in &rows {
            let entry: Entry = row.json(5)?;
            let Some((role, text)) = spoken(&entry) else { continue };
            let Some(snippet) = query.wanted.fits(&text) else { continue };
            if page.hits.len() == query.limit as usize {
                page.more = true;
                return Ok(page);
            }
            page.hits.push(SearchHit {
                key: row.at(0)?,
                agent: row.at(1)?,
                session_id: row.at(2)?,
                seq: row.count(3)?,
                role,
                at_ms: row.at(4)?,
                snippet,
            });
        }
        page.more = rows.len() == LOOKED_AT as usize;
        Ok(page)
    }
}
