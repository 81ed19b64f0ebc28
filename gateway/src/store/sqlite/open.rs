use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use crate::store::{Kept, StoreError};

/// How long one connection waits for another's lock.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// The steps from an empty file to today's, in order. A step is never edited once it was released.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];

pub(super) fn open(path: &Path) -> Kept<Connection> {
    let existed = path.exists();
    let mut conn = Connection::open(path).map_err(|error| unusable(path, &error))?;
    configure(&conn).and_then(|()| conn.busy_timeout(BUSY)).map_err(|error| unusable(path, &error))?;
    if existed {
        check(&conn, path)?;
    }
    migrate(&mut conn, path)?;
    Ok(conn)
}

fn configure(conn: &Connection) -> rusqlite::Result<()> {
    // FULL: with WAL and NORMAL the last commits can be lost when the power fails.
    conn.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA cache_size = -1024;
         PRAGMA journal_size_limit = 8388608;",
    )
}

fn check(conn: &Connection, path: &Path) -> Kept<()> {
    let verdict: String = conn
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| unusable(path, &error))?;
    if verdict == "ok" { Ok(()) } else { Err(damaged(path, &verdict)) }
}

fn migrate(conn: &mut Connection, path: &Path) -> Kept<()> {
    let at: u32 = conn
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|error| unusable(path, &error))?;
    let at = at as usize;
    if at > MIGRATIONS.len() {
        return Err(StoreError::Unusable {
            path: path.display().to_string(),
            reason: format!("it has schema {at}, and this Creel knows schemas up to {}", MIGRATIONS.len()),
            remedy: "Start the newer Creel that wrote it, or restore a backup from before the upgrade."
                .to_owned(),
        });
    }
    for (index, step) in MIGRATIONS.iter().enumerate().skip(at) {
        let tx = conn.transaction()?;
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", u32::try_from(index + 1).unwrap_or(u32::MAX))?;
        tx.execute(
            "INSERT OR REPLACE INTO meta VALUES ('schema_by', ?1)",
            [concat!("creel ", env!("CARGO_PKG_VERSION"))],
        )?;
        tx.commit()?;
    }
    Ok(())
}

fn damaged(path: &Path, reason: &str) -> StoreError {
    StoreError::Unusable {
        path: path.display().to_string(),
        reason: format!("it is damaged: {reason}"),
        remedy:
            "Move it away and restore a backup, or try `sqlite3 <file> .recover`; Creel does not touch it."
                .to_owned(),
    }
}

fn unusable(path: &Path, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => damaged(path, &error.to_string()),
        Some(ErrorCode::DiskFull) => StoreError::Full(error.to_string()),
        _ => StoreError::Unusable {
            path: path.display().to_string(),
            reason: error.to_string(),
            remedy: "Check that its folder exists and that this user may write there.".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use crate::store::{Rules, Sqlite};

    fn refusal(prepare: impl FnOnce(&std::path::Path)) -> String {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("creel.db");
        prepare(&path);
        let error = Sqlite::open(&path, Rules::KEPT).unwrap_err().to_string();
        error.replace(&home.path().display().to_string(), "HOME")
    }

    #[test]
    fn a_file_that_is_no_database_is_refused_and_left_alone() {
        let said = refusal(|path| std::fs::write(path, "no database at all, but long enough").unwrap());
        insta::assert_snapshot!(said, @"The database HOME/creel.db cannot be used: it is damaged: file is not a database. Move it away and restore a backup, or try `sqlite3 <file> .recover`; Creel does not touch it.");
    }

    #[test]
    fn a_database_of_a_newer_creel_is_refused() {
        let said = refusal(|path| {
            drop(Sqlite::open(path, Rules::KEPT).unwrap());
            let conn = rusqlite::Connection::open(path).unwrap();
            conn.pragma_update(None, "user_version", 99).unwrap();
        });
        insta::assert_snapshot!(said, @"The database HOME/creel.db cannot be used: it has schema 99, and this Creel knows schemas up to 1. Start the newer Creel that wrote it, or restore a backup from before the upgrade.");
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let said = Sqlite::open(std::path::Path::new("/nowhere/at/all/creel.db"), Rules::KEPT)
            .unwrap_err()
            .to_string();
        assert!(said.contains("/nowhere/at/all/creel.db"), "{said}");
    }
}
