//! One run: traffic, misfortunes, and patience until everything has come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use creel_kit::creel::left_of;
use creel_kit::random::Random;
use creel_kit::telegram::inject;
use creel_kit::{Creel, TelegramHome, TestHome};
use fake_telegram::{Odds, TOKEN};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::check::{Delivered, Injected, Verdict, check, token_of};
use crate::history::History;
use crate::nemesis::{Blow, schedule};

/// Nothing new for so long means that nothing will come.
const STILL: Duration = Duration::from_secs(60);

/// What a run is like.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub length: Duration,
    pub seed: u64,
    pub chats: u32,
    pub per_second: u32,
    pub without_fence: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub verdict: Verdict,
    pub blows: BTreeMap<String, u64>,
    pub left_behind: u64,
    pub seconds: u64,
}

/// Everything that the parts of a run share.
struct Stage {
    home: TelegramHome,
    creel: Mutex<Option<Arc<Creel>>>,
    history: History,
    injected: Mutex<Vec<Injected>>,
    states: Mutex<BTreeMap<String, String>>,
    blows: Mutex<BTreeMap<String, u64>>,
    left_behind: Mutex<u64>,
    over: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage {
    fn creel(&self) -> Option<Arc<Creel>> {
        lock(&self.creel).clone()
    }

    fn delivered(&self) -> Vec<Delivered> {
        let sent = self.home.telegram.sent();
        let new = sent.into_iter().filter(|sent| sent.method == "sendMessage");
        new.map(|sent| Delivered { chat: sent.chat_id, text: sent.text }).collect()
    }

    /// Looks at the outbox. Rows are remembered, because the list shows only so many.
    async fn look_at_outbox(&self) -> Result<()> {
        let creel = self.creel().context("no Creel runs")?;
        let list = creel.gateway_call("outbox.list", &json!({"limit": 1000})).await?;
        let mut states = lock(&self.states);
        for row in list["rows"].as_array().into_iter().flatten() {
            if let (Some(token), Some(state)) =
                (row["text"].as_str().and_then(token_of), row["state"].as_str())
            {
                states.insert(token.to_owned(), state.to_owned());
            }
        }
        Ok(())
    }

    fn tokens(&self, fits: impl Fn(&str) -> bool) -> BTreeSet<String> {
        lock(&self.states).iter().filter(|(_, state)| fits(state)).map(|(token, _)| token.clone()).collect()
    }

    /// Messages that are neither answered nor accounted for.
    fn open(&self) -> usize {
        let said = self.delivered();
        let answered: BTreeSet<&str> = said.iter().filter_map(|said| token_of(&said.text)).collect();
        let settled = self.tokens(|state| state == "unknown" || state == "failed");
        let injected = lock(&self.injected);
        injected
            .iter()
            .filter(|m| !answered.contains(m.token.as_str()) && !settled.contains(&m.token))
            .count()
    }

    fn count(&self, blow: &str) {
        *lock(&self.blows).entry(blow.to_owned()).or_default() += 1;
    }
}

/// Messages, one after the other, at an even pace. Some are slow to answer, some need a tool.
async fn traffic(stage: Arc<Stage>, plan: Plan) -> Result<()> {
    let mut random = Random::new(plan.seed ^ 0x7261_6666_6963);
    let mut numbers = vec![0u64; plan.chats as usize];
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / plan.per_second.max(1));
    let end = Instant::now() + plan.length;
    while Instant::now() < end {
        ticks.tick().await;
        let chat = random.within(0, u64::from(plan.chats)) as usize;
        let token = format!("tok-{}-{}", chat + 1, numbers[chat]);
        numbers[chat] += 1;
        let text = match random.within(0, 10) {
            0..6 => format!("echo {token}"),
            6..9 => format!("slow {} {token}", random.within(100, 1200)),
            _ => format!("tool echo {token}"),
        };
        let chat = chat as i64 + 1;
        stage.history.note("message", &json!({"chat": chat, "text": text}));
        lock(&stage.injected).push(Injected { chat, token });
        inject(&stage.home.telegram, chat, &text)?;
    }
    Ok(())
}

async fn strike(stage: &Arc<Stage>, blow: Blow) -> Result<()> {
    match blow {
        Blow::KillSupervisor => {
            let creel = lock(&stage.creel).take().context("no Creel runs")?;
            // Others may still be asking it something; they see it die.
            let before = creel.processes();
            creel.supervisor().signal(Signal::SIGKILL)?;
            let left = left_of(&before, Duration::from_secs(5)).await;
            *lock(&stage.left_behind) += left.len() as u64;
            if !left.is_empty() {
                stage.history.note("left behind", &json!(creel_kit::process::show(&left)));
                for stat in &left {
                    stat.process.signal(Signal::SIGKILL)?;
                }
            }
            creel.forget();
            *lock(&stage.creel) = Some(Arc::new(stage.home.home.launch()?));
            stage.count("SIGKILL supervisor");
        }
        Blow::Kill(victim) => {
            stage.creel().context("no Creel runs")?.kill(victim.unit(), Signal::SIGKILL).await?;
            stage.count(&format!("SIGKILL {}", victim.unit()));
        }
        Blow::Pause(victim, ms) => {
            let process =
                stage.creel().context("no Creel runs")?.kill(victim.unit(), Signal::SIGSTOP).await?;
            stage.count(&format!("SIGSTOP {}", victim.unit()));
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                let _ = process.signal(Signal::SIGCONT);
            });
        }
    }
    Ok(())
}

async fn nemesis(stage: Arc<Stage>, plan: Plan) {
    let started = Instant::now();
    for (at, blow) in schedule(plan.seed, plan.length) {
        tokio::time::sleep(at.saturating_sub(started.elapsed())).await;
        // A victim that is down already cannot be hit again; that is no fault of the run.
        let hit = match strike(&stage, blow).await {
            Ok(()) => json!(true),
            Err(error) => {
                stage.count("missed");
                json!(format!("{error:#}"))
            }
        };
        stage.history.note("blow", &json!({"blow": blow, "plannedMs": at.as_millis() as u64, "hit": hit}));
    }
}

/// A supervisor that ended by itself is started again, and that is counted.
async fn revive(stage: Arc<Stage>) {
    while !stage.over.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if stage.creel().is_none_or(|creel| creel.supervisor().is_alive()) {
            continue;
        }
        let dead = lock(&stage.creel).take();
        if let Some(creel) = dead {
            stage.count("supervisor ended by itself");
            stage.history.note("supervisor ended", &json!(creel.said()));
            creel.forget();
            match stage.home.home.launch() {
                Ok(creel) => *lock(&stage.creel) = Some(Arc::new(creel)),
                Err(error) => stage.history.note("not started", &json!(format!("{error:#}"))),
            }
        }
    }
}

async fn progress(stage: Arc<Stage>, started: Instant) {
    while !stage.over.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_secs(5)).await;
        if let Err(error) = stage.look_at_outbox().await {
            stage.history.note("outbox not seen", &json!(format!("{error:#}")));
        }
        let injected = lock(&stage.injected).len();
        let blows: u64 = lock(&stage.blows).values().sum();
        let line = format!(
            "{:4} s  in {injected:5}  out {:5}  open {:4}  blows {blows}",
            started.elapsed().as_secs(),
            stage.delivered().len(),
            stage.open()
        );
        crate::say(&line);
        stage.history.note("progress", &json!(line));
    }
}

/// What Telegram does wrong. Polls fail too, but not so often that nothing gets through.
fn odds(seed: u64) -> Odds {
    Odds {
        seed,
        methods: ["getUpdates", "sendMessage", "sendChatAction", "getMe"].map(str::to_owned).into(),
        retry_after: 0.02,
        retry_after_seconds: 1,
        error_before: 0.02,
        error_after: 0.01,
        closed_before: 0.01,
        lost_response: 0.01,
        half_open: 0.002,
        slow: 0.05,
        slow_ms: 300,
        duplicate_new_id: 0.03,
        duplicate_same_id: 0.03,
    }
}

/// Runs the plan, within a `LocalSet`. The home is dropped at the end; the history stays.
pub(crate) async fn run(plan: &Plan, history: &Path) -> Result<Outcome> {
    let started = Instant::now();
    let fence = if plan.without_fence { "1" } else { "0" };
    let home = TelegramHome::in_home(TestHome::with_env([("CREEL_CHAOS_NO_FENCE", fence)])?).await?;
    home.home.configure(json!({"logging": {"level": "info"}}))?;
    let creel = Arc::new(home.start().await?);
    home.telegram.odds(odds(plan.seed));
    let stage = Arc::new(Stage {
        home,
        creel: Mutex::new(Some(creel)),
        history: History::create(history)?,
        injected: Mutex::default(),
        states: Mutex::default(),
        blows: Mutex::default(),
        left_behind: Mutex::default(),
        over: AtomicBool::new(false),
    });
    let watching = tokio::task::spawn_local(progress(Arc::clone(&stage), started));
    let reviving = tokio::task::spawn_local(revive(Arc::clone(&stage)));
    let striking = tokio::task::spawn_local(nemesis(Arc::clone(&stage), plan.clone()));
    traffic(Arc::clone(&stage), plan.clone()).await?;
    striking.await?;

    // Calm: no more faults, everybody goes on, and then it may take as long as it gets on.
    stage.home.telegram.odds(Odds::default());
    crate::say("calm: waiting for what is still open");
    drain(&stage).await;
    stage.over.store(true, Ordering::Relaxed);
    watching.await?;
    reviving.await?;
    let unknown = stage.tokens(|state| state == "unknown");
    let delivered = stage.delivered();
    for said in stage.home.telegram.sent() {
        stage.history.note(
            "sent",
            &json!({"chat": said.chat_id, "method": said.method, "text": said.text,
            "answered": said.answered, "platformMs": said.at_ms}),
        );
    }
    stage.history.note("outbox", &json!(*lock(&stage.states)));
    let injected = lock(&stage.injected).clone();
    let verdict = check(&injected, &delivered, &unknown);
    stage.history.note("verdict", &json!(verdict));
    let blows = lock(&stage.blows).clone();
    let mut left_behind = *lock(&stage.left_behind);
    let creel = lock(&stage.creel).take();
    if let Some(creel) = creel.and_then(Arc::into_inner) {
        keep_logs(&stage, history);
        if let Err(error) = creel.stop().await {
            crate::say(&format!("the last stop was not clean: {error:#}"));
            left_behind += 1;
        }
    }
    Ok(Outcome { verdict, blows, left_behind, seconds: started.elapsed().as_secs() })
}

/// Logs lie in the home, which goes; whoever looks into a failed run wants them beside the history.
fn keep_logs(stage: &Stage, history: &Path) {
    let folder = history.with_extension("logs");
    let _ = std::fs::create_dir_all(&folder);
    for log in std::fs::read_dir(stage.home.home.path().join("logs")).into_iter().flatten().flatten() {
        let _ = std::fs::copy(log.path(), folder.join(log.file_name()));
    }
    let _ = std::fs::copy(stage.home.home.scratch().join("up.log"), folder.join("up.log"));
    let _ = std::fs::copy(stage.home.home.path().join("state/creel.db"), folder.join("creel.db"));
    let _ = std::fs::copy(stage.home.home.path().join("state/creel.db-wal"), folder.join("creel.db-wal"));
}

async fn drain(stage: &Arc<Stage>) {
    let mut last = (usize::MAX, Instant::now());
    loop {
        let _ = stage.look_at_outbox().await;
        let open = stage.open();
        let waiting = !stage.tokens(|state| state == "queued" || state == "attempting").is_empty();
        if open == 0 && !waiting && stage.home.telegram.unconfirmed(TOKEN) == 0 {
            return;
        }
        if open < last.0 {
            last = (open, Instant::now());
        }
        if last.1.elapsed() > STILL {
            stage.history.note("gave up", &json!({"open": open, "waiting": waiting}));
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
