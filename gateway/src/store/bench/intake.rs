//! Messages on their way in.

use std::io::Write;

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::*;

/// How long each is measured.
const SPAN: Duration = Duration::from_secs(6);
/// Between two messages of a steady stream.
const EVERY: Duration = Duration::from_millis(2);

pub(super) fn measure(home: &Home, runtime: &Runtime) -> Result<Vec<String>> {
    let store = Sqlite::open(&home.file("intake.db"), Rules::KEPT)?;
    let desk = Desk::over_sqlite(store)?;
    let (rate, count) = runtime.block_on(flat_out(&desk))?;
    let mut waits = runtime.block_on(steady(&desk))?;
    drop(desk);
    let mut disk = synced(home)?;
    let plain = plain_sqlite(home)?;
    let lines = appended_lines(home)?;
    let p99 = percentile(&mut waits, 0.99);
    let p50 = percentile(&mut waits, 0.5);
    Ok(vec![
        figure(
            "accepted, 50 chats, WAL and FULL",
            rate,
            "messages/s",
            Some(2_000.0),
            count,
            "more is better",
        ),
        figure("peer: SQLite, one transaction a message, WAL and FULL", plain, "messages/s", None, 1, ""),
        figure("peer: a line of JSON appended and fsynced", lines, "messages/s", None, 1, ""),
        figure("accepted at 500/s, p50", p50, "ms", None, waits.len(), ""),
        figure("accepted at 500/s, p99", p99, "ms", Some(20.0), waits.len(), ""),
        figure(
            "the disk: 4 KiB appended and synced, p50",
            percentile(&mut disk, 0.5),
            "ms",
            None,
            disk.len(),
            "",
        ),
        figure(
            "the disk: 4 KiB appended and synced, p99",
            percentile(&mut disk, 0.99),
            "ms",
            None,
            disk.len(),
            "",
        ),
    ])
}

async fn hold(desk: &Desk) -> Result<Held> {
    let held = desk.write(|store| store.claim_account(&Claimant::alone("bench"), ACCOUNT)).await?;
    held.context("the account is held by somebody else")
}

/// Every chat writes as soon as its last message is stored.
pub(super) async fn flat_out(desk: &Desk) -> Result<(f64, usize)> {
    let held = hold(desk).await?;
    let began = Instant::now();
    let mut chats = JoinSet::new();
    for chat in 0..CHATS {
        let (desk, own) = (desk.clone(), held.clone());
        chats.spawn(async move {
            let mut count = 0;
            while began.elapsed() < SPAN {
                let (own, message) = (own.clone(), message(chat, count, TEXT));
                desk.write(move |store| store.accept(&own, &message)).await?;
                count += 1;
            }
            Ok::<usize, StoreError>(count)
        });
    }
    let mut count = 0;
    while let Some(done) = chats.join_next().await {
        count += done??;
    }
    Ok((count as f64 / began.elapsed().as_secs_f64(), count))
}

/// One message after the other, at its time, whether the ones before are stored or not.
pub(super) async fn steady(desk: &Desk) -> Result<Vec<Duration>> {
    let held = hold(desk).await?;
    let mut ticks = tokio::time::interval(EVERY);
    let mut sent = JoinSet::new();
    let began = Instant::now();
    let mut n = 0;
    while began.elapsed() < SPAN {
        ticks.tick().await;
        let (desk, own, message) = (desk.clone(), held.clone(), message(n % CHATS, 1_000_000 + n, TEXT));
        sent.spawn(async move {
            let asked = Instant::now();
            desk.write(move |store| store.accept(&own, &message)).await.map(|_| asked.elapsed())
        });
        n += 1;
    }
    let mut waits = Vec::with_capacity(n);
    while let Some(wait) = sent.join_next().await {
        waits.push(wait??);
    }
    Ok(waits)
}

/// What the disk alone takes, right beside: nothing that is durable is faster.
pub(super) fn synced(home: &Home) -> Result<Vec<Duration>> {
    let mut file = std::fs::File::create(home.file("synced"))?;
    let (began, mut waits) = (Instant::now(), Vec::new());
    while began.elapsed() < SPAN {
        let asked = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        waits.push(asked.elapsed());
        std::thread::sleep(EVERY);
    }
    Ok(waits)
}

fn plain_sqlite(home: &Home) -> Result<f64> {
    let conn = rusqlite::Connection::open(home.file("plain.db"))?;
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE message (seq INTEGER PRIMARY KEY, chat INTEGER, ext_id TEXT UNIQUE, input TEXT)",
    )?;
    rate(|n| {
        let mut insert =
            conn.prepare_cached("INSERT INTO message (chat, ext_id, input) VALUES (?1, ?2, ?3)")?;
        insert.execute(rusqlite::params![(n % CHATS) as i64, n.to_string(), TEXT])?;
        Ok(())
    })
}

fn appended_lines(home: &Home) -> Result<f64> {
    let mut file = std::fs::File::create(home.file("messages.jsonl"))?;
    rate(|n| {
        writeln!(file, "{}", serde_json::json!({"chat": n % CHATS, "id": n, "text": TEXT}))?;
        Ok(file.sync_data()?)
    })
}

fn rate(mut write: impl FnMut(usize) -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < SPAN / 2 {
        write(count)?;
        count += 1;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}
