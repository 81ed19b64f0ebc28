//! The database as it is at one moment, in another file, while it is written.

use std::path::Path;

use creel_ipc::msg::agent::TurnOutcome;
use creel_ipc::msg::transcript::Usage;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::open::{BUSY, damaged, unusable};
use crate::store::{Ending, Kept, StoreError};

/// Pages that are copied at a time.
const STEP: i32 = 2_000;

fn look_into(path: &Path) -> Kept<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(|error| unusable(path, &error))?;
    conn.busy_timeout(BUSY)?;
    Ok(conn)
}

/// Copies what is durable at this moment to `to`, whatever is written meanwhile, and tells how many bytes of how many it
/// has copied.
///
/// # Errors
/// When one of the two cannot be used, or there is no room.
pub(crate) fn snapshot(path: &Path, to: &Path, mut tell: impl FnMut(u64, u64)) -> Kept<()> {
    let conn = look_into(path)?;
    // One look for the whole copy: without it each write of the gateway would make it begin anew.
    conn.execute_batch("BEGIN")?;
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        .map_err(|error| unusable(path, &error))?;
    let bytes: u32 = conn.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let mut copy = Connection::open(to).map_err(|error| unusable(to, &error))?;
    // It is synced once, at the end, by who puts it to its place.
    copy.execute_batch("PRAGMA synchronous = OFF")?;
    {
        let backup = Backup::new(&conn, &mut copy)?;
        loop {
            let step = backup.step(STEP).map_err(|error| unusable(to, &error))?;
            let pages = backup.progress();
            let of = |pages: i32| u64::try_from(pages).unwrap_or(0) * u64::from(bytes);
            tell(of(pages.pagecount - pages.remaining), of(pages.pagecount));
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                _ => std::thread::sleep(std::time::Duration::from_millis(20)),
            }
        }
    }
    copy.close().map_err(|(_, error)| StoreError::from(error))
}

/// Looks for damage in the whole file, however long that takes.
///
/// # Errors
/// What is damaged.
pub(crate) fn check_file(path: &Path) -> Kept<()> {
    let conn = Connection::open(path).map_err(|error| unusable(path, &error))?;
    let verdict: String = conn
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| unusable(path, &error))?;
    if verdict == "ok" { Ok(()) } else { Err(damaged(path, &verdict)) }
}

/// In a copy of another time nobody knows whether what waited to be said was said since, nor whether what waited for an
/// answer got one. Neither happens again by itself: replies become unknown, and messages are set aside, unless they are to be
/// answered (`resume`). Returns how many replies and how many messages those are.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn doubt_what_waits(path: &Path, resume: bool) -> Kept<(u64, u64)> {
    let mut conn = Connection::open(path).map_err(|error| unusable(path, &error))?;
    let tx = conn.transaction()?;
    let replies = tx.execute(
        "UPDATE outbox SET state = 'unknown',
                error = 'This comes from a backup; it may have been said since that was made.'
         WHERE state IN ('queued', 'attempting')",
        [],
    )?;
    let mut messages = 0;
    if !resume {
        messages = tx.execute("UPDATE inbox SET state = 'parked' WHERE state IN ('waiting', 'taken')", [])?;
        let ending = Ending {
            outcome: TurnOutcome::Aborted,
            error: Some(
                "This comes from a backup; it may have been answered since that was made.".to_owned(),
            ),
            text: String::new(),
            usage: Usage::default(),
        };
        tx.execute("DELETE FROM step WHERE turn IN (SELECT id FROM turn WHERE ended_ms IS NULL)", [])?;
        tx.execute("DELETE FROM question", [])?;
        tx.execute(
            "UPDATE turn SET ended_ms = ?1, ending = ?2 WHERE ended_ms IS NULL",
            rusqlite::params![crate::core::now_ms(), serde_json::to_string(&ending)?],
        )?;
        tx.execute("UPDATE lane SET pending = 0, turn = NULL WHERE pending > 0 OR turn IS NOT NULL", [])?;
    }
    tx.commit()?;
    Ok((replies as u64, messages as u64))
}
