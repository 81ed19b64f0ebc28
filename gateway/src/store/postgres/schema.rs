//! The database's tables, and which of Creel's releases may share them.

use tokio::runtime::Runtime;

use super::link::Link;
use super::value::Columns;
use crate::store::{Kept, StoreError};

/// The oldest server that is supported, as it numbers itself.
const OLDEST: i32 = 150_000;
/// Names the lock under which one gateway at a time brings the database up to date.
pub(super) const LOCK: i64 = 0x0063_7265_656c_6462;

/// A step from an empty database to today's. It is never edited once it was released.
pub(super) struct Step {
    pub(super) sql: &'static str,
    /// The oldest schema whose Creel can go on with the database after it. Gateways are upgraded one by one: what a
    /// release adds, the one before it must be able to leave alone, so this is at most the step before, until a later
    /// release takes away what nobody uses any more.
    pub(super) shared_from: usize,
}

/// The steps, in order.
pub(super) const STEPS: &[Step] = &[
    Step { sql: include_str!("migrations/001-begin.sql"), shared_from: 1 },
    Step { sql: include_str!("migrations/002-imports.sql"), shared_from: 1 },
    Step { sql: include_str!("migrations/003-search.sql"), shared_from: 1 },
    Step { sql: include_str!("migrations/004-session-settings.sql"), shared_from: 3 },
    Step { sql: include_str!("migrations/005-questions.sql"), shared_from: 4 },
    Step { sql: include_str!("migrations/006-waits.sql"), shared_from: 4 },
];

/// Brings the database up to date, unless it is, or a newer Creel has done so and shares it.
pub(super) fn migrate(rt: &Runtime, link: &Link, name: &str) -> Kept<()> {
    migrate_steps(rt, link, name, STEPS)
}

pub(super) fn migrate_steps(rt: &Runtime, link: &Link, name: &str, steps: &[Step]) -> Kept<()> {
    check_server(rt, link, name)?;
    if standing(rt, link, name, steps)? >= steps.len() {
        return Ok(());
    }
    // Before the transaction: one that had begun would not see the tables of another gateway that was first. Who fails
    // loses the connection and with it the lock.
    link.say(rt, &format!("SELECT pg_advisory_lock({LOCK})"))?;
    link.say(rt, "BEGIN; SET LOCAL statement_timeout = 0")?;
    let at = standing(rt, link, name, steps)?;
    lay_out(rt, link, steps, at)?;
    link.say(rt, &format!("COMMIT; SELECT pg_advisory_unlock({LOCK})"))
}

/// Takes the steps that the database has not had, in the transaction that is open.
pub(super) fn lay_out(rt: &Runtime, link: &Link, steps: &[Step], at: usize) -> Kept<()> {
    if at == 0 {
        link.say(
            rt,
            "CREATE SCHEMA IF NOT EXISTS creel;
             CREATE TABLE meta (key TEXT COLLATE \"C\" PRIMARY KEY, value TEXT NOT NULL)",
        )?;
    }
    for (index, step) in steps.iter().enumerate().skip(at) {
        link.say(rt, step.sql)?;
        let note = |key: &str, value: &str| {
            format!(
                "INSERT INTO meta VALUES ('{key}', '{value}') ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value"
            )
        };
        link.say(rt, &note("schema", &(index + 1).to_string()))?;
        link.say(rt, &note("shared_from", &step.shared_from.to_string()))?;
        link.say(rt, &note("schema_by", concat!("creel ", env!("CARGO_PKG_VERSION"))))?;
    }
    Ok(())
}

pub(super) fn check_server(rt: &Runtime, link: &Link, name: &str) -> Kept<()> {
    let sql = "SELECT current_setting('server_version_num')::bigint, current_setting('server_version'),
                      current_setting('server_encoding')";
    let rows = link.rows(rt, sql, &[])?;
    let Some(row) = rows.first() else { return Ok(()) };
    if row.count(0)? < u64::from(OLDEST.unsigned_abs()) {
        let version: &str = row.at(1)?;
        return Err(StoreError::Unusable {
            path: name.to_owned(),
            reason: format!("its server is PostgreSQL {version}"),
            remedy: "Creel needs PostgreSQL 15 or newer.".to_owned(),
        });
    }
    let encoding: &str = row.at(2)?;
    if encoding != "UTF8" {
        return Err(StoreError::Unusable {
            path: name.to_owned(),
            reason: format!("its encoding is {encoding}, which cannot hold every message"),
            remedy: "Create the database with `ENCODING 'UTF8' TEMPLATE template0`.".to_owned(),
        });
    }
    Ok(())
}

/// How many of the steps the database has.
pub(super) fn standing(rt: &Runtime, link: &Link, name: &str, steps: &[Step]) -> Kept<usize> {
    let rows = link.rows(rt, "SELECT to_regclass('creel.meta') IS NOT NULL", &[])?;
    if !rows.first().map(|row| row.at::<bool>(0)).transpose()?.unwrap_or(false) {
        return Ok(0);
    }
    let note = |sql| -> Kept<usize> {
        let rows = link.rows(rt, sql, &[])?;
        let value = rows.first().map(|row| row.at::<&str>(0)).transpose()?;
        Ok(value.and_then(|value| value.parse().ok()).unwrap_or(0))
    };
    let at = note("SELECT value FROM creel.meta WHERE key = 'schema'")?;
    let from = note("SELECT value FROM creel.meta WHERE key = 'shared_from'")?;
    if from > steps.len() {
        return Err(StoreError::Unusable {
            path: name.to_owned(),
            reason: format!(
                "it has schema {at}, which Creel shares from schema {from} on, and this Creel has schema {}",
                steps.len()
            ),
            remedy:
                "Upgrade this Creel to the release of the others, or restore a backup from before theirs."
                    .to_owned(),
        });
    }
    Ok(at)
}
