//! A store of years: a million messages in ten thousand sessions.

use creel_ipc::msg::transcript::{Block, Entry};
use rusqlite::{Connection, params};

use super::*;

const SESSIONS: usize = 10_000;
const MESSAGES: usize = 1_000_000;
const SAMPLES: usize = 400;

pub(super) fn measure(home: &Home) -> Result<Vec<String>> {
    let path = home.file("large.db");
    drop(Sqlite::open(&path, Rules::KEPT)?);
    let began = Instant::now();
    let payload = fill(&path)?;
    let filled = began.elapsed().as_secs_f64();
    let mut store = Sqlite::open(&path, Rules::KEPT)?.reader()?;
    let bytes = std::fs::metadata(&path)?.len();
    let mut dice = 1_u64;
    let mut roll = |below: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) as usize % below
    };
    let mut list = Vec::new();
    let mut history = Vec::new();
    for _ in 0..SAMPLES {
        let asked = Instant::now();
        let query = SessionQuery { since_ms: i64::MIN, limit: 100, ..SessionQuery::default() };
        anyhow::ensure!(store.sessions(&query)?.len() == 100, "sessions are missing");
        list.push(asked.elapsed());
        let key = key_of(roll(SESSIONS));
        let asked = Instant::now();
        anyhow::ensure!(store.history(&key, 100)?.len() == 100, "the history of {key} is short");
        history.push(asked.elapsed());
    }
    let note = format!("{} MiB for {} MiB of entries; filled in {filled:.0} s", bytes >> 20, payload >> 20);
    Ok(vec![
        figure(
            "1 M messages, 10 k sessions: list of 100, p99",
            percentile(&mut list, 0.99),
            "ms",
            Some(20.0),
            SAMPLES,
            "",
        ),
        figure(
            "1 M messages, 10 k sessions: history of 100, p99",
            percentile(&mut history, 0.99),
            "ms",
            Some(20.0),
            SAMPLES,
            "",
        ),
        figure("database / payload", bytes as f64 / payload as f64, "×", Some(1.5), 1, &note),
    ])
}

fn key_of(session: usize) -> String {
    format!("agent:main:telegram:direct:{session}")
}

/// What the gateway has written after years. Says how many bytes of it are entries.
fn fill(path: &Path) -> Result<u64> {
    let mut conn = Connection::open(path)?;
    conn.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -65536")?;
    let mut payload = 0;
    let each = MESSAGES / SESSIONS;
    let tx = conn.transaction()?;
    {
        let mut session = tx.prepare(
            "INSERT INTO session (key, id, agent, kind, account, title, updated_ms, entries)
             VALUES (?1, ?2, 'main', 'direct', ?3, ?4, ?5, ?6)",
        )?;
        let mut transcript = tx.prepare("INSERT INTO transcript VALUES (?1, ?2, ?3, ?4, ?5)")?;
        for number in 0..SESSIONS {
            let id = uuid::Uuid::from_u128(number as u128).to_string();
            let at_ms = 1_790_000_000_000 + (number as i64 * 7_919) % 1_000_000;
            session.execute(params![
                key_of(number),
                id,
                ACCOUNT,
                format!("Person {number}"),
                at_ms,
                each as i64
            ])?;
            for seq in 1..=each {
                let text = words(number * each + seq);
                let entry = Entry::User { content: vec![Block::text(text)], timestamp: at_ms };
                let entry = serde_json::to_string(&entry)?;
                payload += entry.len() as u64;
                let run = uuid::Uuid::from_u128((number * each + seq / 2) as u128).to_string();
                transcript.execute(params![id, seq as i64, entry, at_ms, run])?;
            }
        }
    }
    tx.commit()?;
    Ok(payload)
}

/// About as long as messages are, and not the same twice.
fn words(n: usize) -> String {
    const SOME: [&str; 16] = [
        "ferry",
        "Thursday",
        "garden",
        "invoice",
        "please",
        "weather",
        "the train leaves at",
        "thank you",
        "meeting",
        "東京都の天気",
        "project",
        "deadline",
        "grandmother",
        "passport",
        "recipe",
        "music",
    ];
    let mut text = format!("m{n}");
    let mut state = n.wrapping_mul(2_654_435_761);
    for _ in 0..24 {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        text.push(' ');
        text.push_str(SOME[(state >> 16) % SOME.len()]);
        if (state >> 8).is_multiple_of(4) {
            text.push_str(&format!(" w{}", (state >> 12) % 20_000));
        }
    }
    text
}
