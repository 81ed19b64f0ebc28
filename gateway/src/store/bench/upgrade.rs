//! A store of years that an upgrade finds: the longest step there is, which writes all transcripts anew.

use super::*;
use crate::store::sqlite::open;

/// The last schema before that step, and what is in it.
const BEFORE: usize = 3;
const MESSAGES: usize = 1_000_000;
const SESSIONS: usize = 10_000;

pub(super) fn measure(home: &Home) -> Result<Vec<String>> {
    let path = home.file("upgrade.db");
    let (conn, each) = (open::of_schema(&path, BEFORE)?, MESSAGES / SESSIONS);
    conn.execute_batch(&format!(
        r#"BEGIN;
           WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {SESSIONS} - 1)
           INSERT INTO session (key, id, agent, kind, account, updated_ms, entries)
               SELECT 'agent:main:telegram:direct:' || n, printf('s%05d', n), 'main', 'direct', '{ACCOUNT}', n, {each} FROM n;
           WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {MESSAGES} - 1)
           INSERT INTO transcript (session_id, seq, entry, at_ms, run)
               SELECT printf('s%05d', n / {each}), n % {each} + 1,
                   '{{"role":"user","content":[{{"type":"text","text":"' || n || ' {TEXT} {TEXT}"}}],"timestamp":1}}',
                   (n % {each}) * 600000 + n / {each} * 60, 'run' || n
               FROM n;
           COMMIT;"#
    ))?;
    drop(conn);
    let bytes = std::fs::metadata(&path)?.len();
    let began = Instant::now();
    let mut store = Sqlite::open(&path, Rules::KEPT)?;
    let opened = began.elapsed().as_secs_f64();
    let began = Instant::now();
    while store.index_older()? {}
    let indexed = began.elapsed().as_secs_f64();
    let note = format!("{} MiB, copied before; from schema {BEFORE}", bytes >> 20);
    Ok(vec![
        figure("1 M messages brought up to date at the start", opened, "s", None, 1, &note),
        figure("1 M messages taken into the index behind it", indexed, "s", None, 1, "in pieces of 500"),
    ])
}
