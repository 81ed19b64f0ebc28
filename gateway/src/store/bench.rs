//! What the store on SQLite costs (and on PostgreSQL, where a server is given), measured beside the two things that people write first: one transaction for each
//! message, and a line appended to a file. Only in builds with the feature `bench`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use creel_ipc::msg::agent::InputMessage;
use creel_ipc::msg::channel::{ChatKind, Route};

use super::*;

mod intake;
mod large;
mod postgres;
mod recovery;
mod upgrade;

/// Chats that write at once.
const CHATS: usize = 50;
const ACCOUNT: &str = "telegram:bench";

/// The parts, by the names that `CREEL_BENCH_PARTS` may pick some of, with commas between them.
const PARTS: [&str; 5] = ["intake", "postgres", "recovery", "large", "upgrade"];

/// Measures everything, in a folder below `CREEL_BENCH_DIR` (a real disk: in memory nothing is synced), and says one
/// line of JSON for each figure.
///
/// # Errors
/// When something cannot be measured.
pub fn run(mut say: impl FnMut(String)) -> Result<()> {
    if recovery::is_the_victim() {
        return recovery::be_the_victim();
    }
    let below = std::env::var_os("CREEL_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let home = Home::new(&below)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let picked = std::env::var("CREEL_BENCH_PARTS").unwrap_or_else(|_| PARTS.join(","));
    for part in picked.split(',') {
        let figures = match part {
            "intake" => intake::measure(&home, &runtime)?,
            "postgres" => postgres::measure(&home, &runtime)?,
            "recovery" => recovery::measure(&home)?,
            "large" => large::measure(&home)?,
            "upgrade" => upgrade::measure(&home)?,
            other => anyhow::bail!("there is no part {other}; there are {}", PARTS.join(", ")),
        };
        figures.into_iter().for_each(&mut say);
    }
    Ok(())
}

/// A folder that goes away at the end.
struct Home(PathBuf);

impl Home {
    fn new(below: &Path) -> Result<Self> {
        let path = below.join(format!("creel-store-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self(path))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What stays is in the way of nobody.
        let _absent = std::fs::remove_dir_all(&self.0);
    }
}

/// One line, in the same words as those of the other benches.
fn figure(what: &str, value: f64, unit: &str, target: Option<f64>, samples: usize, note: &str) -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN);
    let value = (value * 1000.0).round() / 1000.0;
    serde_json::json!({
        "what": what, "value": value, "unit": unit, "target": target, "samples": samples,
        "command": "cargo xtask bench store", "load": load, "note": note,
    })
    .to_string()
}

/// Milliseconds below which this share of the samples lies.
fn percentile(samples: &mut [Duration], share: f64) -> f64 {
    samples.sort_unstable();
    let last = samples.len().saturating_sub(1);
    let at = (last as f64 * share).round() as usize;
    samples.get(at.min(last)).map_or(f64::NAN, |sample| sample.as_secs_f64() * 1e3)
}

/// The n-th message of a chat.
fn message(chat: usize, n: usize, text: &str) -> NewMessage {
    let route = Route {
        chat_id: chat.to_string(),
        kind: ChatKind::Direct,
        thread: None,
        reply_to: None,
        addressee: None,
    };
    let input = InputMessage {
        text: text.to_owned(),
        sender: Some("Somebody".to_owned()),
        author: None,
        context_only: false,
        quoted: None,
        attachments: Vec::new(),
        at_ms: 1_790_000_000_000,
    };
    let placed = Placed {
        lane: format!("agent:main:telegram:direct:{chat}"),
        agent: "main".to_owned(),
        kind: "direct".to_owned(),
        title: Some("Somebody".to_owned()),
        session_id: format!("session-{chat}"),
        run: None,
        resets: false,
        route: Some(route),
        input,
    };
    let fate = Fate::Turn(placed);
    NewMessage { ext_id: format!("{chat}-{n}"), cursor: Some(n.to_string()), now_ms: 1_790_000_000_000, fate }
}

/// A person's message, as long as such messages are.
const TEXT: &str = "Could you look up when the ferry to Tangier leaves on Thursday, and whether the one at noon still has room \
                    for a car? If not, the evening one would do as well. Thanks!";
