//! Whether what was acknowledged outlives the server.

use tokio::runtime::Runtime;

use super::link::Link;
use super::value::Columns;
use crate::store::{Kept, StoreError};

/// What is promised of an acknowledged message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// It outlives any one server.
    NoLoss,
    /// It outlives the server's crash, and not a failover to a standby that has not heard of it yet.
    BestEffort,
}

const SETTINGS: &str = "SELECT current_setting('fsync') = 'on', current_setting('full_page_writes') = 'on',
        current_setting('synchronous_standby_names') <> '',
        (SELECT count(*) FROM pg_stat_replication
         WHERE coalesce(state, 'streaming') IN ('streaming', 'catchup')
           AND coalesce(application_name, '') NOT IN ('pg_receivewal', 'pg_basebackup')
           AND pid NOT IN (SELECT active_pid FROM pg_replication_slots
                           WHERE slot_type = 'logical' AND active_pid IS NOT NULL))";

/// Refuses a server that cannot keep the promise.
///
/// # Errors
/// [`StoreError::Unusable`], with what to set.
pub(super) fn check(rt: &Runtime, link: &Link, name: &str, promise: Promise) -> Kept<()> {
    if promise == Promise::BestEffort {
        return Ok(());
    }
    let rows = link.rows(rt, SETTINGS, &[])?;
    let Some(row) = rows.first() else { return Ok(()) };
    let refused = |reason: String, remedy: &str| {
        Err(StoreError::Unusable { path: name.to_owned(), reason, remedy: remedy.to_owned() })
    };
    for (index, setting) in [(0, "fsync"), (1, "full_page_writes")] {
        if !row.at::<bool>(index)? {
            return refused(
                format!(
                    "its server has `{setting} = off`, so a power failure can take acknowledged messages"
                ),
                "Set it to `on` in postgresql.conf and reload the server.",
            );
        }
    }
    let standbys = row.count(3)?;
    if standbys > 0 && !row.at::<bool>(2)? {
        return refused(
            format!(
                "its server has asynchronous standbys ({standbys}), and whoever fails over to one loses what was acknowledged last"
            ),
            "On the server run `ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'` and `SELECT pg_reload_conf()`.",
        );
    }
    Ok(())
}
