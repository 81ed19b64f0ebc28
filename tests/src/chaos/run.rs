//! One run: traffic, misfortunes, and patience until everything has come to rest.

use std::collections::BTreeMap;
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

use crate::check::{Delivered, Injected, Row, Verdict, check};
use crate::conduct::Conduct;
use crate::history::History;
use crate::nemesis::{Blow, schedule};

/// Nothing new for so long means that nothing will come.
const STILL: Duration = Duration::from_secs(60);

/// What a gateway of the negative control says at its start.
const NO_FENCES: &str = "This is a control run without fences";

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
    pub conduct: Conduct,
    pub blows: BTreeMap<String, u64>,
    pub seconds: u64,
}

/// Everything that the parts of a run share.
struct Stage {
    home: TelegramHome,
    creel: Mutex<Option<Arc<Creel>>>,
    history: History,
    injected: Mutex<Vec<Injected>>,
    /// The outbox by the keys of its rows.
    rows: Mutex<BTreeMap<String, Row>>,
    blows: Mutex<BTreeMap<String, u64>>,
    conduct: Mutex<Conduct>,
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
        let mut rows = lock(&self.rows);
        for row in list["rows"].as_array().into_iter().flatten() {
            let word = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            let chat = word("to").parse().with_context(|| format!("this row goes nowhere: {row}"))?;
            rows.insert(word("key"), Row { chat, text: word("text"), state: word("state") });
        }
        Ok(())
    }

    fn judge(&self) -> Verdict {
        let rows: Vec<Row> = lock(&self.rows).values().cloned().collect();
        check(&lock(&self.injected), &self.delivered(), &rows)
    }

    /// Messages that are neither answered nor accounted for.
    fn open(&self) -> u64 {
        self.judge().lost
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
        let (text, command) = match random.within(0, 10) {
            0..6 => (format!("echo {token}"), false),
            6..9 => (format!("slow {} {token}", random.within(100, 1200)), false),
            _ => (format!("tool echo {token}"), true),
        };
        let chat = chat as i64 + 1;
        stage.history.note("message", &json!({"chat": chat, "text": text}));
        lock(&stage.injected).push(Injected { chat, token, command });
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
            lock(&stage.conduct).left_behind += left.len() as u64;
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
    let blows = schedule(plan.seed, plan.length);
    lock(&stage.conduct).planned = blows.len() as u64;
    for (at, blow) in blows {
        tokio::time::sleep(at.saturating_sub(started.elapsed())).await;
        // A victim that is down already cannot be hit again; too many of these make the run worth nothing.
        let hit = match strike(&stage, blow).await {
            Ok(()) => json!(true),
            Err(error) => {
                lock(&stage.conduct).missed += 1;
                json!(format!("{error:#}"))
            }
        };
        stage.history.note("blow", &json!({"blow": blow, "plannedMs": at.as_millis() as u64, "hit": hit}));
    }
}

/// A supervisor that ended by itself is started again, so that the run shows more than that; it is no good run.
async fn revive(stage: Arc<Stage>) {
    while !stage.over.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if stage.creel().is_none_or(|creel| creel.supervisor().is_alive()) {
            continue;
        }
        let dead = lock(&stage.creel).take();
        if let Some(creel) = dead {
            lock(&stage.conduct).ended_by_itself += 1;
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
        rows: Mutex::default(),
        blows: Mutex::default(),
        conduct: Mutex::new(Conduct { fences_out_asked: plan.without_fence, ..Conduct::default() }),
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
    for said in stage.home.telegram.sent() {
        stage.history.note(
            "sent",
            &json!({"chat": said.chat_id, "method": said.method, "text": said.text,
            "answered": said.answered, "platformMs": said.at_ms}),
        );
    }
    stage.history.note("outbox", &json!(*lock(&stage.rows)));
    let verdict = stage.judge();
    stage.history.note("verdict", &json!(verdict));
    let creel = lock(&stage.creel).take();
    keep_logs(&stage, history);
    let bad_stop = match creel.and_then(Arc::into_inner) {
        Some(creel) => creel.stop().await.err().map(|error| format!("{error:#}")),
        None => Some("no Creel runs that could be stopped".into()),
    };
    let conduct = {
        let mut conduct = lock(&stage.conduct);
        conduct.bad_stop = bad_stop;
        conduct.fences_out_seen = fences_out(&stage)?;
        conduct.clone()
    };
    stage.history.note("conduct", &json!(conduct));
    let blows = lock(&stage.blows).clone();
    Ok(Outcome { verdict, conduct, blows, seconds: started.elapsed().as_secs() })
}

/// Whether a gateway of this run said that it has no fences.
fn fences_out(stage: &Stage) -> Result<bool> {
    for log in std::fs::read_dir(stage.home.home.path().join("logs"))? {
        let log = log?;
        if log.file_name().to_string_lossy().starts_with("gateway")
            && String::from_utf8_lossy(&std::fs::read(log.path())?).contains(NO_FENCES)
        {
            return Ok(true);
        }
    }
    Ok(false)
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
    let mut last = (u64::MAX, Instant::now());
    loop {
        let _ = stage.look_at_outbox().await;
        let open = stage.open();
        let waiting = lock(&stage.rows).values().filter(|row| row.is_open()).count() as u64;
        let unconfirmed = stage.home.telegram.unconfirmed(TOKEN) as u64;
        let left = open + waiting + unconfirmed;
        if left == 0 {
            return;
        }
        if left < last.0 {
            last = (left, Instant::now());
        }
        if last.1.elapsed() > STILL {
            lock(&stage.conduct).gave_up = Some(format!(
                "{open} messages without an answer, {waiting} rows of the outbox that are not settled, \
                 {unconfirmed} updates that were never taken"
            ));
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
