//! A store of years: a million messages in ten thousand sessions.

use creel_ipc::msg::transcript::{Block, Entry, StopReason, Usage};
use rusqlite::{Connection, params};

use super::*;
use crate::store::sqlite::Turned;

const SESSIONS: usize = 10_000;
const MESSAGES: usize = 1_000_000;
const SAMPLES: usize = 400;
/// Turns that are written at once, and how many of the last are written one by one, as a gateway does.
const AT_ONCE: usize = 500;
const ALONE: usize = 2_000;

pub(super) fn measure(home: &Home) -> Result<Vec<String>> {
    let path = home.file("large.db");
    let began = Instant::now();
    let (payload, text) = fill(&path)?;
    let filled = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let store = Sqlite::open(&path, Rules::KEPT)?;
    let opened = began.elapsed().as_secs_f64() * 1e3;
    let mut store = store.reader()?;
    let bytes = std::fs::metadata(&path)?.len();
    let (mut list, mut history) = (Vec::new(), Vec::new());
    let mut dice = Dice(1);
    for _ in 0..SAMPLES {
        let asked = Instant::now();
        let query = SessionQuery { since_ms: i64::MIN, limit: 100, ..SessionQuery::default() };
        anyhow::ensure!(store.sessions(&query)?.len() == 100, "sessions are missing");
        list.push(asked.elapsed());
        let key = key_of(dice.roll(SESSIONS));
        let asked = Instant::now();
        anyhow::ensure!(store.history(&key, 100)?.len() == 100, "the history of {key} is short");
        history.push(asked.elapsed());
    }
    let note = format!(
        "{} MiB with the index for {} MiB of entries with {} MiB of text; filled in {filled:.0} s",
        bytes >> 20,
        payload >> 20,
        text >> 20
    );
    let mut figures = vec![
        timed("1 M messages, 10 k sessions: list of 100, p99", &mut list),
        timed("1 M messages, 10 k sessions: history of 100, p99", &mut history),
        figure("database / payload", bytes as f64 / payload as f64, "×", Some(1.5), 1, &note),
        figure("opened with 1 M messages", opened, "ms", None, 1, "most of it looks for damage"),
    ];
    for (what, ask) in SEARCHES {
        let mut waits = Vec::new();
        let mut hits = 0;
        for _ in 0..SAMPLES {
            let query = ask(&mut dice).context("it has words")?;
            let asked = Instant::now();
            hits += store.search(&query)?.hits.len();
            waits.push(asked.elapsed());
        }
        anyhow::ensure!(hits > 0, "{what}: nothing was found");
        figures.push(timed(&format!("1 M messages: search, {what}, p99"), &mut waits));
    }
    Ok(figures)
}

fn timed(what: &str, waits: &mut [Duration]) -> String {
    figure(what, percentile(waits, 0.99), "ms", Some(20.0), waits.len(), "")
}

type Ask = fn(&mut Dice) -> Option<SearchQuery>;

/// What people search for.
const SEARCHES: [(&str, Ask); 6] = [
    ("a common word", |dice| anywhere(["ferry", "garden", "music"][dice.roll(3)])),
    ("two common words", |dice| anywhere(["ferry passport", "garden weather"][dice.roll(2)])),
    ("a rare word and a common one", |dice| anywhere(&format!("w{} music", dice.roll(20_000)))),
    ("characters without spaces", |dice| anywhere(["東京都", "都の天気", "天気"][dice.roll(3)])),
    ("the beginning of a word", |dice| anywhere(&format!("m{}*", 1_000 + dice.roll(9_000)))),
    ("in one session", |dice| {
        let keys = vec![key_of(dice.roll(SESSIONS))];
        anywhere("ferry").map(|all| SearchQuery { keys, ..all })
    }),
];

fn anywhere(typed: &str) -> Option<SearchQuery> {
    Some(SearchQuery { wanted: Wanted::read(typed)?, agent: None, keys: Vec::new(), limit: 25 })
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
}

fn key_of(session: usize) -> String {
    format!("agent:main:telegram:direct:{session}")
}

/// What the gateway has written after years, through its own code, the sessions mixed as people write. Says how many bytes
/// of it are entries, and how many of those text.
fn fill(path: &Path) -> Result<(u64, u64)> {
    let mut store = Sqlite::open(path, Rules::KEPT)?;
    let each = MESSAGES / SESSIONS;
    let id_of = |session: usize| uuid::Uuid::from_u128(session as u128 + (7 << 90)).to_string();
    let conn = Connection::open(path)?;
    conn.execute_batch("BEGIN")?;
    for number in 0..SESSIONS {
        let at_ms = 1_790_000_000_000 + (number as i64 * 7_919) % 1_000_000;
        conn.execute(
            "INSERT INTO session (key, id, agent, kind, account, title, updated_ms, entries)
             VALUES (?1, ?2, 'main', 'direct', ?3, ?4, ?5, ?6)",
            params![key_of(number), id_of(number), ACCOUNT, format!("Person {number}"), at_ms, each as i64],
        )?;
    }
    conn.execute_batch("COMMIT")?;
    let (mut payload, mut text) = (0, 0);
    let mut waiting: Vec<Turned> = Vec::new();
    let turns = MESSAGES / 2;
    for turn in 0..turns {
        // Every session has its turn once in each round, in another order each time.
        let (round, place) = (turn / SESSIONS, turn % SESSIONS);
        let session = (place * 7_919 + round * 4_241) % SESSIONS;
        let at_ms = 1_790_000_000_000 + turn as i64 * 60;
        let said = [words(turn * 2), words(turn * 2 + 1)];
        text += said.iter().map(|said| said.len() as u64).sum::<u64>();
        let [asked, answered] = said;
        let entries = vec![
            Entry::User { content: vec![Block::text(asked)], timestamp: at_ms },
            Entry::Assistant {
                content: vec![Block::text(answered)],
                api: "anthropic-messages".to_owned(),
                provider: "anthropic".to_owned(),
                model: "claude-opus-4".to_owned(),
                usage: Usage { input: 12, output: 214, cache_read: 10_240, cache_write: 512 },
                stop_reason: StopReason::Stop,
                error_message: None,
                timestamp: at_ms,
            },
        ];
        for entry in &entries {
            payload += serde_json::to_string(entry)?.len() as u64;
        }
        let run = uuid::Uuid::from_u128(turn as u128 + (9 << 90)).to_string();
        waiting.push((key_of(session), id_of(session), at_ms, run, entries));
        if waiting.len() >= AT_ONCE || turn + ALONE >= turns {
            store.write_turns(&waiting)?;
            waiting.clear();
        }
    }
    Ok((payload, text))
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
