use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::migrate;
use crate::store::{Kept, StoreError};

/// How long one connection waits for another's lock.
pub(in crate::store) const BUSY: Duration = Duration::from_secs(5);

/// How long a database is looked at for damage when it is opened.
const CHECK_FOR: Duration = Duration::from_secs(2);

/// The steps from an empty file to today's, in order. A step is never edited once it was released.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/001-begin.sql"),
    include_str!("migrations/002-leases.sql"),
    include_str!("migrations/003-imports.sql"),
    include_str!("migrations/004-search.sql"),
    include_str!("migrations/005-session-settings.sql"),
    include_str!("migrations/006-questions.sql"),
    include_str!("migrations/007-waits.sql"),
];

pub(in crate::store) fn open(path: &Path) -> Kept<Connection> {
    let existed = path.exists();
    let conn = connect(path)?;
    if existed {
        check(&conn, path)?;
    }
    migrate::bring_up_to_date(conn, path, MIGRATIONS)
}

/// Which schema the file has, and which it should have.
pub(in crate::store) fn schemas(conn: &Connection, path: &Path) -> Kept<(usize, usize)> {
    Ok((migrate::schema(conn, path, MIGRATIONS)?, MIGRATIONS.len()))
}

/// A file as an older Creel has left it.
#[cfg(feature = "bench")]
pub(in crate::store) fn of_schema(path: &Path, steps: usize) -> Kept<Connection> {
    migrate::bring_up_to_date(connect(path)?, path, MIGRATIONS.get(..steps).unwrap_or(MIGRATIONS))
}

pub(super) fn connect(path: &Path) -> Kept<Connection> {
    let conn = Connection::open(path).map_err(|error| unusable(path, &error))?;
    configure(&conn).and_then(|()| conn.busy_timeout(BUSY)).map_err(|error| unusable(path, &error))?;
    Ok(conn)
}

/// Whether this program could go on with the database at `path`, which another one may be using: nothing is changed in it.
/// Steps that it does not have yet are tried on a copy beside it.
///
/// # Errors
/// What [`open`] would say.
pub(super) fn rehearse(path: &Path) -> Kept<()> {
    rehearse_steps(path, MIGRATIONS)
}

fn rehearse_steps(path: &Path, steps: &[&str]) -> Kept<()> {
    if !path.exists() {
        return Ok(());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(|error| unusable(path, &error))?;
    conn.busy_timeout(BUSY)?;
    if migrate::schema(&conn, path, steps)? == steps.len() {
        return Ok(());
    }
    let copy = path.with_extension("rehearsal");
    let tried = copy_of(&conn, &copy).and_then(|mut conn| {
        check(&conn, path)?;
        migrate::take_steps(&mut conn, path, steps)
    });
    remove(&copy);
    tried
}

pub(super) fn copy_of(conn: &Connection, copy: &Path) -> Kept<Connection> {
    remove(copy);
    let copied = || {
        let mut to = Connection::open(copy)?;
        // In one step: whoever writes meanwhile would make it begin anew after each.
        Backup::new(conn, &mut to)?.step(-1)?;
        Ok(to)
    };
    copied().map_err(|error| unusable(copy, &error))
}

pub(in crate::store) fn remove(copy: &Path) {
    for end in ["", "-journal", "-wal", "-shm"] {
        let mut path = copy.as_os_str().to_owned();
        path.push(end);
        let _absent = std::fs::remove_file(path);
    }
}

fn configure(conn: &Connection) -> rusqlite::Result<()> {
    // The first has an effect on an empty file only. FULL: with WAL and NORMAL the last commits can be lost when the power fails.
    conn.execute_batch(
        "PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA cache_size = -1024;
         PRAGMA journal_size_limit = 8388608;",
    )
}

/// Looks for damage, for at most [`CHECK_FOR`]: a database of years must not keep a service from starting.
pub(in crate::store) fn check(conn: &Connection, path: &Path) -> Kept<()> {
    let handle = conn.get_interrupt_handle();
    let (done, waits) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        // Whoever is done drops the other end.
        if waits.recv_timeout(CHECK_FOR) == Err(RecvTimeoutError::Timeout) {
            handle.interrupt();
        }
    });
    let verdict = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    drop(done);
    // It has nothing to tell.
    let _ended = watch.join();
    match verdict {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(verdict) => Err(damaged(path, &verdict)),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            let seconds = CHECK_FOR.as_secs();
            tracing::info!("{} is large: what was checked of it in {seconds} s is whole.", path.display());
            Ok(())
        }
        Err(error) => Err(unusable(path, &error)),
    }
}

pub(super) fn damaged(path: &Path, reason: &str) -> StoreError {
    StoreError::Unusable {
        path: path.display().to_string(),
        reason: format!("it is damaged: {reason}"),
        remedy:
            "Move it away and restore a backup, or try `sqlite3 <file> .recover`; Creel does not touch it."
                .to_owned(),
    }
}

pub(in crate::store) fn unusable(path: &Path, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => damaged(path, &error.to_string()),
        // On some file systems a missing page of the shared index is all that a full disk is seen by.
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => StoreError::Full(error.to_string()),
        _ => StoreError::Unusable {
            path: path.display().to_string(),
            reason: error.to_string(),
            remedy: "Check that its folder exists and that this user may write there.".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{MIGRATIONS, rehearse, rehearse_steps};
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
            let conn = Connection::open(path).unwrap();
            conn.pragma_update(None, "user_version", 99).unwrap();
        });
        insta::assert_snapshot!(said, @"The database HOME/creel.db cannot be used: it has schema 99, and this Creel knows schemas up to 7. Start the newer Creel that wrote it, or restore a backup from before the upgrade.");
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let said = Sqlite::open(std::path::Path::new("/nowhere/at/all/creel.db"), Rules::KEPT)
            .unwrap_err()
            .to_string();
        assert!(said.contains("/nowhere/at/all/creel.db"), "{said}");
    }

    #[test]
    fn what_is_forgotten_gives_its_room_back() {
        use crate::store::Store as _;
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("creel.db");
        let mut store = Sqlite::open(&path, Rules::KEPT).unwrap();
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2000)
             INSERT INTO inbox (account, ext_id, lane, state, resets, place, input, at_ms)
             SELECT 'a', n, 'l', 'done', 0, '', printf('%.2000c', 'x'), n FROM n",
        )
        .unwrap();
        let pages = || conn.query_row("PRAGMA page_count", [], |row| row.get::<_, u32>(0)).unwrap();
        let full = pages();
        let mut pieces = 0;
        while store.prune(1_000_000).unwrap() > 0 {
            pieces += 1;
        }
        assert!(pieces > 1, "one write forgets no more than a piece");
        assert!(pages() * 4 < full, "{} of {full} pages are left", pages());
    }

    #[test]
    fn a_rehearsal_says_what_would_happen_and_changes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("creel.db");
        rehearse(&path).unwrap();
        assert!(!path.exists());
        let in_use = Sqlite::open(&path, Rules::KEPT).unwrap();
        rehearse(&path).unwrap();
        let with = |step| [MIGRATIONS, &[step]].concat();
        rehearse_steps(&path, &with("CREATE TABLE later (a); INSERT INTO later VALUES (1);")).unwrap();
        let refused =
            rehearse_steps(&path, &with("INSERT INTO nowhere VALUES (1);")).unwrap_err().to_string();
        assert!(refused.contains("no such table: nowhere"), "{refused}");
        let older = rehearse_steps(&path, &[]).unwrap_err().to_string();
        assert!(older.contains("it has schema 7, and this Creel knows schemas up to 0"), "{older}");
        drop(in_use);
        let conn = Connection::open(&path).unwrap();
        let count = |sql| conn.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap();
        assert_eq!(count("PRAGMA user_version") as usize, MIGRATIONS.len());
        assert_eq!(count("SELECT count(*) FROM sqlite_schema WHERE name = 'later'"), 0);
        drop(conn);
        let left: Vec<_> =
            std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["creel.db"]);
    }
}
