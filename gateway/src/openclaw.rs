//! The sessions in OpenClaw's database of an agent (`agents/ID/agent/openclaw-agent.sqlite`, since its 2026.7).
//!
//! A row for each session names its current transcript, and the transcript's rows are the lines of the session file that
//! OpenClaw used to write. The tables were renamed once; of both spellings only what is used here is looked for.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use creel_ipc::foreign::{ForeignSession, READ_OPENCLAW};
use rusqlite::{Connection, OpenFlags, OptionalExtension};

/// Where sessions are, as table, column of the key and column of the transcript's id; newer spellings first.
const SESSIONS: &[(&str, &str, &str)] = &[
    ("session_nodes", "session_key", "current_session_id"),
    ("session_entries", "session_key", "session_id"),
];

/// Why there are no sessions.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForeignError {
    /// The file is no such database.
    #[error(
        "{path} is no database of an OpenClaw agent: {reason}. The file is `agents/ID/agent/openclaw-agent.sqlite` in \
         OpenClaw's folder."
    )]
    Unknown {
        /// The file.
        path: String,
        /// What is missing.
        reason: String,
    },
    /// The file cannot be read.
    #[error("{path} cannot be read: {error}. Stop OpenClaw first, or copy the file with its -wal file.")]
    Unread {
        /// The file.
        path: String,
        /// What SQLite said.
        error: rusqlite::Error,
    },
    /// Nobody takes what was read.
    #[error("Nobody takes what was read: {0}.")]
    Untold(#[from] io::Error),
}

/// Obeys the arguments of this process, if they name such a database.
pub(crate) fn obey(args: &[OsString]) -> Option<Result<(), ForeignError>> {
    let [word, path] = args else { return None };
    (word == READ_OPENCLAW).then(|| {
        let mut out = io::stdout().lock();
        read(Path::new(path), |session| {
            serde_json::to_writer(&mut out, &session).map_err(io::Error::from)?;
            writeln!(out)
        })
    })
}

/// Gives each session that has a transcript, by its key.
fn read(path: &Path, mut take: impl FnMut(ForeignSession) -> io::Result<()>) -> Result<(), ForeignError> {
    let unread = |error| ForeignError::Unread { path: path.display().to_string(), error };
    let unknown =
        |reason: &str| ForeignError::Unknown { path: path.display().to_string(), reason: reason.to_owned() };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(unread)?;
    let has = |table: &str| {
        let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        conn.query_row(sql, [table], |_| Ok(())).optional().map(|found| found.is_some())
    };
    match has("transcript_events") {
        Ok(true) => {}
        Ok(false) => return Err(unknown("it has no table transcript_events")),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            return Err(unknown("it is no SQLite file"));
        }
        Err(error) => return Err(unread(error)),
    }
    let mut found = None;
    for (table, key, id) in SESSIONS {
        if has(table).map_err(unread)? {
            found = Some((table, key, id));
            break;
        }
    }
    let Some((table, key, id)) = found else { return Err(unknown("it has no table session_nodes")) };
    let list = format!("SELECT * FROM (SELECT {key} AS key, {id} AS id FROM {table}) ORDER BY key");
    let mut list = conn.prepare(&list).map_err(unread)?;
    let sessions = list.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(unread)?;
    let sessions: Vec<(String, String)> = sessions.collect::<Result<_, _>>().map_err(unread)?;
    let label = format!("SELECT label FROM {table} WHERE {key} = ?1");
    for (key, id) in sessions {
        let mut lines = conn
            .prepare_cached("SELECT event_json FROM transcript_events WHERE session_id = ?1 ORDER BY seq")
            .map_err(unread)?;
        let lines = lines.query_map([&id], |row| row.get::<_, String>(0)).map_err(unread)?;
        let lines: Vec<String> = lines.collect::<Result<_, _>>().map_err(unread)?;
        let Some(first) = lines.first() else { continue };
        let mut text = String::new();
        if !is_header(first) {
            let header = serde_json::json!({"type": "session", "version": 3, "id": id, "cwd": "/"});
            text.push_str(&format!("{header}\n"));
        }
        for line in &lines {
            // A row is a line, whatever white space it was written with.
            text.extend(line.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }));
            text.push('\n');
        }
        // Older tables have no column for it.
        let label: Option<String> = conn.query_row(&label, [&key], |row| row.get(0)).unwrap_or_default();
        take(ForeignSession { key, id, label, text })?;
    }
    Ok(())
}

fn is_header(line: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line["type"] == "session")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(path: &Path) -> Result<Vec<ForeignSession>, ForeignError> {
        let mut all = Vec::new();
        read(path, |session| {
            all.push(session);
            Ok(())
        })?;
        Ok(all)
    }

    fn database(sql: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("openclaw-agent.sqlite");
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        (home, path)
    }

    /// The columns that are looked at, of those that OpenClaw's own schema has.
    const TODAY: &str = r#"
        CREATE TABLE session_nodes (session_key TEXT PRIMARY KEY, current_session_id TEXT NOT NULL,
            entry_json TEXT NOT NULL, label TEXT) STRICT;
        CREATE TABLE transcript_events (session_id TEXT NOT NULL, seq INTEGER NOT NULL, event_json TEXT NOT NULL,
            created_at INTEGER NOT NULL, PRIMARY KEY (session_id, seq)) STRICT;
        INSERT INTO session_nodes VALUES ('agent:main:telegram:direct:7', 's7', '{}', 'Ann'),
            ('agent:main:main', 's1', '{}', NULL), ('agent:main:empty', 's9', '{}', NULL);
        INSERT INTO transcript_events VALUES
            ('s7', 2, '{"type":"message","id":"a","parentId":null}', 2),
            ('s7', 1, '{"type":"session","version":3,"id":"s7"}', 1),
            ('s1', 1, '{"type":"message",
                "id":"b"}', 1),
            ('old', 1, '{"type":"session","version":3,"id":"old"}', 1);
    "#;

    #[test]
    fn each_session_is_a_file_of_its_current_transcript() {
        let (_home, path) = database(TODAY);
        let all = sessions(&path).unwrap();
        let keys: Vec<_> = all.iter().map(|one| (one.key.as_str(), one.label.as_deref())).collect();
        assert_eq!(keys, [("agent:main:main", None), ("agent:main:telegram:direct:7", Some("Ann"))]);
        let lines: Vec<&str> = all[0].text.lines().collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(is_header(lines[0]) && lines[0].contains("\"s1\""), "one was made for it: {lines:?}");
        assert!(lines[1].contains("\"id\":\"b\""), "{lines:?}");
        let seventh: Vec<&str> = all[1].text.lines().collect();
        assert!(is_header(seventh[0]) && seventh[1].contains("\"message\""), "by number: {seventh:?}");
    }

    #[test]
    fn the_older_spelling_is_read_too() {
        let (_home, path) = database(
            "CREATE TABLE session_entries (session_key TEXT PRIMARY KEY, session_id TEXT NOT NULL, entry_json TEXT);
             CREATE TABLE transcript_events (session_id TEXT, seq INTEGER, event_json TEXT, created_at INTEGER);
             INSERT INTO session_entries VALUES ('agent:main:main', 's1', '{}');
             INSERT INTO transcript_events VALUES ('s1', 0, '{\"type\":\"session\",\"id\":\"s1\"}', 0);",
        );
        let all = sessions(&path).unwrap();
        assert_eq!((all.len(), all[0].id.as_str(), all[0].label.as_deref()), (1, "s1", None));
    }

    #[test]
    fn what_is_no_such_database_is_said() {
        let (home, path) = database("CREATE TABLE other (x)");
        let text = home.path().join("text");
        std::fs::write(
            &text,
            "a long enough text that is no database at all, not even nearly one".repeat(20),
        )
        .unwrap();
        let name = |path: &Path| path.display().to_string();
        for (path, part) in [
            (&path, "it has no table transcript_events"),
            (&text, "it is no SQLite file"),
            (&home.path().join("absent"), "cannot be read"),
        ] {
            let said = sessions(path).unwrap_err().to_string();
            assert!(said.contains(part) && said.contains(&name(path)), "{said}");
        }
    }
}
