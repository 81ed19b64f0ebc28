//! Transcripts, and the index over what was said in them.

use rusqlite::{OptionalExtension, params};

use super::*;
use crate::store::words::{Asked, indexed, spoken};

/// Entries that come into the index in one write.
const PIECE: i64 = 500;
/// Conversations that the index is asked for by name; of more, all are found and the others left out.
const NAMED: usize = 256;
/// Begins the index's words that stand for a conversation and for an agent: no text has such letters in a word.
const CONVERSATION: char = '\u{e000}';
const AGENT: char = '\u{e001}';

/// A conversation that is written to.
pub(super) struct Conversation<'a> {
    pub(super) id: &'a str,
    pub(super) key: &'a str,
    pub(super) agent: &'a str,
}

/// An entry on its way into a transcript.
pub(super) struct Said<'a> {
    pub(super) run: &'a str,
    pub(super) at_ms: i64,
    pub(super) entry: &'a Entry,
}

impl Tx<'_> {
    /// Adds entries to a conversation, and to the index.
    pub(super) fn say<'a>(
        &self,
        to: &Conversation<'_>,
        entries: impl IntoIterator<Item = Said<'a>>,
    ) -> Kept<()> {
        let number = self.conversation(to)?;
        let from: i64 = self
            .sql
            .prepare_cached("SELECT coalesce(max(seq), 0) FROM transcript WHERE conversation = ?1")?
            .query_row([number], |row| row.get(0))?;
        let mut insert = self.sql.prepare_cached(
            "INSERT INTO transcript (conversation, seq, entry, at_ms, run) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for (seq, said) in (from + 1..).zip(entries) {
            insert.execute(params![number, seq, serde_json::to_string(said.entry)?, said.at_ms, said.run])?;
            self.index_entry(self.sql.last_insert_rowid(), number, to.agent, said.entry)?;
        }
        Ok(())
    }

    fn conversation(&self, of: &Conversation<'_>) -> Kept<i64> {
        let mut known = self.sql.prepare_cached("SELECT number FROM conversation WHERE id = ?1")?;
        if let Some(number) = known.query_row([of.id], |row| row.get(0)).optional()? {
            return Ok(number);
        }
        self.sql
            .prepare_cached("INSERT INTO conversation (id, key, agent) VALUES (?1, ?2, ?3)")?
            .execute(params![of.id, of.key, of.agent])?;
        Ok(self.sql.last_insert_rowid())
    }

    fn index_entry(&self, n: i64, conversation: i64, agent: &str, entry: &Entry) -> Kept<()> {
        let Some(words) = words_of(conversation, agent, entry) else { return Ok(()) };
        self.sql
            .prepare_cached("INSERT INTO transcript_word (rowid, words) VALUES (?1, ?2)")?
            .execute(params![n, words])?;
        Ok(())
    }

    /// Takes a conversation away, out of the index, too: that has no text of its own and must be told the words again.
    pub(super) fn unsay(&self, number: i64) -> Kept<()> {
        let below = self.search_from()?.unwrap_or(0);
        let agent: String = self
            .sql
            .prepare_cached("SELECT agent FROM conversation WHERE number = ?1")?
            .query_row([number], |row| row.get(0))?;
        let mut query =
            self.sql.prepare_cached("SELECT n, entry FROM transcript WHERE conversation = ?1 AND n >= ?2")?;
        let mut rows = query.query([number, below])?;
        let mut forget = self.sql.prepare_cached(
            "INSERT INTO transcript_word (transcript_word, rowid, words) VALUES ('delete', ?1, ?2)",
        )?;
        while let Some(row) = rows.next()? {
            // What cannot be read never came into the index.
            let entry = json::<Entry>(&row.get::<_, String>(1)?);
            if let Some(words) = entry.ok().and_then(|entry| words_of(number, &agent, &entry)) {
                forget.execute(params![row.get::<_, i64>(0)?, words])?;
            }
        }
        self.sql.execute("DELETE FROM transcript WHERE conversation = ?1", [number])?;
        self.sql.execute("DELETE FROM conversation WHERE number = ?1", [number])?;
        Ok(())
    }

    /// Entries below this number are not in the index yet.
    fn search_from(&self) -> Kept<Option<i64>> {
        let value: Option<String> = self
            .sql
            .query_row("SELECT value FROM meta WHERE key = 'search_from'", [], |row| row.get(0))
            .optional()?;
        Ok(value.and_then(|value| value.parse().ok()))
    }

    /// Takes what was said before an upgrade into the index, the newest first. `false` when nothing is left.
    pub(super) fn index_older(&self) -> Kept<bool> {
        let Some(below) = self.search_from()? else { return Ok(false) };
        let from = (below - PIECE).max(0);
        let mut query = self.sql.prepare_cached(
            "SELECT n, conversation, agent, entry FROM transcript
             JOIN conversation ON conversation.number = transcript.conversation WHERE n >= ?1 AND n < ?2 ORDER BY n",
        )?;
        let mut rows = query.query([from, below])?;
        while let Some(row) = rows.next()? {
            // What cannot be read is not found; it is not in the way of the others.
            if let Ok(entry) = json::<Entry>(&row.get::<_, String>(3)?) {
                self.index_entry(row.get(0)?, row.get(1)?, &row.get::<_, String>(2)?, &entry)?;
            }
        }
        if from == 0 {
            self.sql.execute("DELETE FROM meta WHERE key = 'search_from'", [])?;
        } else {
            self.sql.execute("UPDATE meta SET value = ?1 WHERE key = 'search_from'", [from.to_string()])?;
        }
        Ok(from > 0)
    }

    pub(super) fn search(&self, query: &SearchQuery) -> Kept<SearchPage> {
        let indexing = self
            .sql
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'search_from')")?
            .query_row([], |row| row.get(0))?;
        let mut page = SearchPage { indexing, ..SearchPage::default() };
        let Some(asked) = self.asked(query)? else { return Ok(page) };
        // CROSS: the index says the order, and nothing is sorted.
        let mut statement = self.sql.prepare_cached(
            "SELECT conversation.key, conversation.agent, conversation.id, transcript.seq, transcript.at_ms, transcript.entry
             FROM transcript_word CROSS JOIN transcript ON transcript.n = transcript_word.rowid
             CROSS JOIN conversation ON conversation.number = transcript.conversation
             WHERE transcript_word MATCH ?1 AND conversation.key <> '' ORDER BY transcript_word.rowid DESC LIMIT ?2",
        )?;
        let mut rows = statement.query(params![asked, LOOKED_AT])?;
        let mut looked_at = 0;
        while let Some(row) = rows.next()? {
            looked_at += 1;
            let (key, agent): (String, String) = (row.get(0)?, row.get(1)?);
            if query.agent.as_ref().is_some_and(|wanted| *wanted != agent)
                || !(query.keys.is_empty() || query.keys.contains(&key))
            {
                continue;
            }
            let entry: Entry = json(&row.get::<_, String>(5)?)?;
            let Some((role, text)) = spoken(&entry) else { continue };
            let Some(snippet) = query.wanted.fits(&text) else { continue };
            if page.hits.len() == query.limit as usize {
                page.more = true;
                return Ok(page);
            }
            page.hits.push(SearchHit {
                key,
                agent,
                session_id: row.get(2)?,
                seq: unsigned(row.get(3)?),
                role,
                at_ms: row.get(4)?,
                snippet,
            });
        }
        page.more = looked_at == LOOKED_AT;
        Ok(page)
    }

    /// The question in the words of the index; `None` when none of the sessions has a transcript.
    fn asked(&self, query: &SearchQuery) -> Kept<Option<String>> {
        let mut all: Vec<String> = query
            .wanted
            .all()
            .into_iter()
            .map(|asked| match asked {
                Asked::Whole(word) => format!("\"{word}\""),
                Asked::Begin(word) => format!("\"{word}\"*"),
            })
            .collect();
        if let Some(agent) = &query.agent {
            all.push(format!("\"{}\"", agent_word(agent)));
        }
        if !query.keys.is_empty() {
            let mut of = Vec::new();
            let mut numbers = self.sql.prepare_cached("SELECT number FROM conversation WHERE key = ?1")?;
            for key in &query.keys {
                for number in numbers.query_map([key], |row| row.get::<_, i64>(0))? {
                    of.push(format!("\"{CONVERSATION}{}\"", number?));
                }
            }
            if of.is_empty() {
                return Ok(None);
            }
            if of.len() <= NAMED {
                all.push(format!("({})", of.join(" OR ")));
            }
        }
        Ok(Some(all.join(" AND ")))
    }
}

/// The words of an entry as the index has them; `None` for what is not searched.
fn words_of(conversation: i64, agent: &str, entry: &Entry) -> Option<String> {
    let (_, text) = spoken(entry)?;
    Some(format!("{} {CONVERSATION}{conversation} {}", indexed(&text), agent_word(agent)))
}

/// One word for an agent. Two agents may have the same: what is found is compared with the agent itself.
fn agent_word(agent: &str) -> String {
    let letters = agent.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { AGENT });
    std::iter::once(AGENT).chain(letters).collect()
}

/// A turn as a bench writes it: key and id of the conversation, when, run, and what was said.
#[cfg(feature = "bench")]
pub(crate) type Turned = (String, String, i64, String, Vec<Entry>);

#[cfg(feature = "bench")]
impl Sqlite {
    /// Writes ends of turns without what comes before them.
    pub(crate) fn write_turns(&mut self, turns: &[Turned]) -> Kept<()> {
        self.tx(|tx| {
            for (key, id, at_ms, run, entries) in turns {
                let said = entries.iter().map(|entry| Said { run, at_ms: *at_ms, entry });
                tx.say(&Conversation { id, key, agent: "main" }, said)?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::super::{migrate, open};
    use crate::store::{Rules, SearchQuery, Sqlite, Store as _, Wanted};

    /// A database of the schema before, with `count` entries in a session and one of a transcript that was reset.
    fn before(path: &std::path::Path, count: u32) {
        let conn = open::connect(path).unwrap();
        let conn = migrate::bring_up_to_date(conn, path, &open::MIGRATIONS[..3]).unwrap();
        conn.execute_batch(&format!(
            r#"INSERT INTO session (key, id, agent, kind, account, updated_ms, entries)
                   VALUES ('agent:main:main', 's2', 'main', 'direct', 'webchat:default', 1, {count});
               INSERT INTO lane (key, agent) VALUES ('agent:main:main', 'main');
               INSERT INTO turn (id, run, lane, epoch, session_id, account, history, fresh, attempts, begun_ms, ended_ms)
                   VALUES ('t', 'r', 'agent:main:main', 1, 's1', 'webchat:default', 0, 1, 1, 1, 1);
               INSERT INTO transcript VALUES
                   ('s1', 1, '{{"role":"user","content":[{{"type":"text","text":"the first ferry"}}],"timestamp":1}}', 1, 'r');
               WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count})
               INSERT INTO transcript
                   SELECT 's2', n, '{{"role":"user","content":[{{"type":"text","text":"ferry ' || n || '"}}],"timestamp":1}}',
                       n + 1, 'r' FROM n;"#
        ))
        .unwrap();
    }

    #[test]
    fn what_was_said_before_the_upgrade_is_found_piece_by_piece() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("creel.db");
        before(&path, 1_200);
        let mut store = Sqlite::open(&path, Rules::KEPT).unwrap();
        let history = store.history("agent:main:main", 2).unwrap();
        assert_eq!(history.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1_199, 1_200]);
        let find = |store: &mut Sqlite, typed: &str| {
            let wanted = Wanted::read(typed).unwrap();
            store.search(&SearchQuery { wanted, agent: None, keys: Vec::new(), limit: 2 }).unwrap()
        };
        let page = find(&mut store, "ferry");
        assert!(page.indexing && page.hits.is_empty(), "{page:?}");
        assert!(store.index_older().unwrap());
        let page = find(&mut store, "ferry");
        assert!(page.indexing && page.more, "{page:?}");
        assert_eq!(
            page.hits.iter().map(|hit| hit.seq).collect::<Vec<_>>(),
            [1_200, 1_199],
            "the newest first"
        );
        while store.index_older().unwrap() {}
        let page = find(&mut store, "first ferry");
        assert!(!page.indexing, "{page:?}");
        let [hit] = page.hits.as_slice() else { panic!("{page:?}") };
        assert_eq!(
            (hit.key.as_str(), hit.session_id.as_str()),
            ("agent:main:main", "s1"),
            "also of before a reset"
        );
        drop(store);
        let conn = Connection::open(&path).unwrap();
        let verdict: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
    }

    #[test]
    fn what_cannot_be_read_is_in_nobodys_way() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("creel.db");
        before(&path, 3);
        Connection::open(&path)
            .unwrap()
            .execute("UPDATE transcript SET entry = 'torn' WHERE session_id = 's2' AND seq = 2", [])
            .unwrap();
        let mut store = Sqlite::open(&path, Rules::KEPT).unwrap();
        assert!(!store.index_older().unwrap());
        let wanted = Wanted::read("ferry").unwrap();
        let page = store.search(&SearchQuery { wanted, agent: None, keys: Vec::new(), limit: 9 }).unwrap();
        assert_eq!(page.hits.len(), 3);
    }
}
