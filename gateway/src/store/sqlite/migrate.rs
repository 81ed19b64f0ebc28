//! From the schema that a file has to today's: forward only, with a copy of the file to go back to.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::open::{check, copy_of, remove, unusable};
use crate::store::{Kept, StoreError};

/// Takes the steps that the file has not had. A file with something in it is copied before, and put back when a step
/// fails or leaves it damaged: it is as it was then, for the Creel that wrote it.
///
/// # Errors
/// For a file of a newer Creel, and when a step failed.
pub(super) fn bring_up_to_date(mut conn: Connection, path: &Path, steps: &[&str]) -> Kept<Connection> {
    let at = schema(&conn, path, steps)?;
    if at == steps.len() {
        return Ok(conn);
    }
    if at == 0 {
        take_steps(&mut conn, path, steps)?;
        return Ok(conn);
    }
    let before = before(path, at);
    let kept = copy_of(&conn, &before).inspect_err(|_no_room| remove(&before))?;
    drop(kept);
    // Nobody but this user reads conversations, in a copy neither.
    private(&before)?;
    let tried = take_steps(&mut conn, path, steps).and_then(|()| check(&conn, path));
    match tried {
        Ok(()) => {
            tracing::info!(
                "{} has schema {} now; as it was before it is kept as {}.",
                path.display(),
                steps.len(),
                before.display()
            );
            forget_older(path, at);
            Ok(conn)
        }
        Err(error) => {
            drop(conn);
            Err(put_back(path, &before, at, steps.len(), &error))
        }
    }
}

/// Where a file is kept that had this schema.
fn before(path: &Path, at: usize) -> PathBuf {
    path.with_extension(format!("before-schema-{}.db", at + 1))
}

fn private(path: &Path) -> Kept<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mode)
        .map_err(|error| StoreError::Engine(format!("the mode of {} cannot be set: {error}", path.display())))
}

/// One copy is enough: the way back leads to the last Creel only.
fn forget_older(path: &Path, at: usize) {
    for older in 0..at {
        remove(&before(path, older));
    }
}

fn put_back(path: &Path, before: &Path, at: usize, to: usize, error: &StoreError) -> StoreError {
    remove(path);
    let error = error.to_string();
    let error = error.trim_end_matches('.');
    let (reason, remedy) = match std::fs::rename(before, path) {
        Ok(()) => (
            format!("it cannot be brought from schema {at} to {to}: {error}"),
            "It was put back as it was; start the Creel that wrote it.".to_owned(),
        ),
        Err(moved) => (
            format!("it cannot be brought from schema {at} to {to} ({error}), nor put back: {moved}"),
            format!("As it was it lies in {}; move that to its place.", before.display()),
        ),
    };
    StoreError::Unusable { path: path.display().to_string(), reason, remedy }
}

/// How many of the steps the database has.
pub(super) fn schema(conn: &Connection, path: &Path, steps: &[&str]) -> Kept<usize> {
    let at: u32 = conn
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|error| unusable(path, &error))?;
    let (at, known) = (at as usize, steps.len());
    if at > known {
        return Err(StoreError::Unusable {
            path: path.display().to_string(),
            reason: format!("it has schema {at}, and this Creel knows schemas up to {known}"),
            remedy: "Start the newer Creel that wrote it, or restore a backup from before the upgrade."
                .to_owned(),
        });
    }
    Ok(at)
}

/// Each step is one transaction.
pub(super) fn take_steps(conn: &mut Connection, path: &Path, steps: &[&str]) -> Kept<()> {
    let at = schema(conn, path, steps)?;
    for (index, step) in steps.iter().enumerate().skip(at) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::open::connect;

    const FIRST: &str =
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT); CREATE TABLE said (text TEXT);";

    fn files(home: &Path) -> Vec<String> {
        let names = std::fs::read_dir(home).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn with(home: &Path) -> PathBuf {
        let path = home.join("creel.db");
        let conn = bring_up_to_date(connect(&path).unwrap(), &path, &[FIRST]).unwrap();
        conn.execute("INSERT INTO said VALUES ('hello')", []).unwrap();
        path
    }

    fn said(path: &Path) -> (u32, String) {
        let conn = Connection::open(path).unwrap();
        let version = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        (version, conn.query_row("SELECT text FROM said", [], |row| row.get(0)).unwrap())
    }

    #[test]
    fn the_file_as_it_was_is_kept_until_the_next_step() {
        let home = tempfile::tempdir().unwrap();
        let path = with(home.path());
        assert_eq!(files(home.path()), ["creel.db"], "an empty file is not copied");
        let steps = [FIRST, "UPDATE said SET text = 'later'", "UPDATE said SET text = 'last'"];
        drop(bring_up_to_date(connect(&path).unwrap(), &path, &steps[..2]).unwrap());
        assert_eq!(files(home.path()), ["creel.before-schema-2.db", "creel.db"]);
        assert_eq!(said(&home.path().join("creel.before-schema-2.db")), (1, "hello".to_owned()));
        drop(bring_up_to_date(connect(&path).unwrap(), &path, &steps).unwrap());
        assert_eq!(files(home.path()), ["creel.before-schema-3.db", "creel.db"]);
        assert_eq!(said(&path), (3, "last".to_owned()));
    }

    #[test]
    fn a_step_that_fails_puts_the_file_back() {
        let home = tempfile::tempdir().unwrap();
        let path = with(home.path());
        let steps = [FIRST, "UPDATE said SET text = 'gone'", "INSERT INTO nowhere VALUES (1)"];
        let refused = bring_up_to_date(connect(&path).unwrap(), &path, &steps).unwrap_err().to_string();
        let refused = refused.replace(&home.path().display().to_string(), "HOME");
        insta::assert_snapshot!(refused, @"The database HOME/creel.db cannot be used: it cannot be brought from schema 1 to 3: The store failed: no such table: nowhere. It was put back as it was; start the Creel that wrote it.");
        assert_eq!(said(&path), (1, "hello".to_owned()), "also what an earlier step had done");
        assert_eq!(files(home.path()), ["creel.db"]);
        drop(connect(&path).unwrap());
    }
}
