//! One run: traffic, misfortunes, and patience until everything has come to rest.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Result;
use creel_kit::random::Random;
use creel_kit::telegram::inject;
use creel_kit::{TestHome, config};
use fake_model::FakeModel;
use fake_telegram::{Fake, Odds, TOKEN};
use futures_util::future::join_all;
use serde_json::json;

use crate::check::{Injected, Verdict};
use crate::cluster::Cluster;
use crate::conduct::Conduct;
use crate::control::{Control, controls};
use crate::disk::Disk;
use crate::history::History;
use crate::host::Host;
use crate::scenario::{Control as Switch, Traits};
use crate::stage::{Stage, lock};
use crate::strike::{nemesis, revive};

/// Nothing new for so long means that nothing will come.
const STILL: Duration = Duration::from_secs(60);

/// What a run is like.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub traits: &'static Traits,
    pub length: Duration,
    pub seed: u64,
    pub chats: u32,
    pub per_second: u32,
    /// Whether the scenario's guarantee is switched off.
    pub control: bool,
    /// Whether the platform leaves some requests without an answer.
    pub half_open: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub verdict: Verdict,
    pub conduct: Conduct,
    pub controls: Vec<Control>,
    pub blows: BTreeMap<String, u64>,
    pub seconds: u64,
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
        inject(&stage.telegram, chat, &text)?;
    }
    Ok(())
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

/// What Telegram does wrong. Polls fail too, but not so often that nothing gets through; not where it counts who polls, because one
/// that is kept waiting before it begins is nobody's.
fn odds(seed: u64, polls: bool) -> Odds {
    let methods = ["getUpdates", "sendMessage", "sendChatAction", "getMe"];
    Odds {
        seed,
        methods: methods[usize::from(!polls)..].iter().map(|method| (*method).to_owned()).collect(),
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
    let telegram = Fake::start().await?;
    let model = FakeModel::start(0).await?;
    let (hosts, cluster, disk) = if plan.traits.cluster {
        let (cluster, hosts) = Cluster::build(&telegram, &model, plan.traits.broken(plan.control))?;
        (hosts, Some(cluster), None)
    } else {
        let (host, disk) = alone(plan, &telegram, &model)?;
        (vec![host], None, disk)
    };
    let started_all = join_all(hosts.iter().map(async |host| {
        host.home.configure(plan.traits.config())?;
        *lock(&host.creel) = Some(Arc::new(host.home.start().await?));
        anyhow::Ok(())
    }));
    started_all.await.into_iter().collect::<Result<()>>()?;
    let odds = odds(plan.seed, cluster.is_none());
    telegram.odds(if plan.half_open { odds } else { Odds { half_open: 0.0, ..odds } });
    let stage = Arc::new(Stage {
        traits: plan.traits,
        disk,
        telegram,
        _model: model,
        hosts,
        cluster,
        history: History::create(history)?,
        injected: Mutex::default(),
        rows: Mutex::default(),
        blows: Mutex::default(),
        cuts: Mutex::default(),
        conduct: Mutex::new(Conduct { control_asked: plan.control, ..Conduct::default() }),
        over: AtomicBool::new(false),
    });
    let watching = tokio::task::spawn_local(progress(Arc::clone(&stage), started));
    let reviving = tokio::task::spawn_local(revive(Arc::clone(&stage)));
    let striking = tokio::task::spawn_local(nemesis(Arc::clone(&stage), plan.clone()));
    traffic(Arc::clone(&stage), plan.clone()).await?;
    striking.await?;

    // Calm: no more faults, everybody goes on, and then it may take as long as it gets on.
    stage.telegram.odds(Odds::default());
    crate::say("calm: waiting for what is still open");
    drain(&stage).await;
    stage.over.store(true, Ordering::Relaxed);
    watching.await?;
    reviving.await?;
    for said in stage.telegram.sent() {
        stage.history.note(
            "sent",
            &json!({"chat": said.chat_id, "method": said.method, "text": said.text,
            "answered": said.answered, "platformMs": said.at_ms}),
        );
    }
    stage.history.note("outbox", &json!(lock(&stage.rows).iter().collect::<Vec<_>>()));
    let verdict = stage.judge();
    let controls = controls(&stage.evidence());
    stage.history.note("verdict", &json!({"verdict": verdict, "controls": controls}));
    let control_seen = control_seen(&stage)?;
    let mut bad_stop = None;
    for host in &stage.hosts {
        keep_logs(host, history);
        let creel = lock(&host.creel).take();
        let stopped = match creel.and_then(Arc::into_inner) {
            Some(creel) => creel.stop().await.err().map(|error| format!("{error:#}")),
            None => Some("no Creel runs that could be stopped".into()),
        };
        bad_stop = bad_stop.or(stopped);
    }
    let conduct = {
        let mut conduct = lock(&stage.conduct);
        conduct.bad_stop = bad_stop;
        conduct.control_seen = control_seen;
        conduct.clone()
    };
    stage.history.note("conduct", &json!(conduct));
    let blows = lock(&stage.blows).clone();
    Ok(Outcome { verdict, conduct, controls, blows, seconds: started.elapsed().as_secs() })
}

/// A home of its own, on a small disk where the scenario wants one.
fn alone(plan: &Plan, telegram: &Fake, model: &FakeModel) -> Result<(Host, Option<Disk>)> {
    let home = match plan.traits.control {
        Switch::Gateway { variable, .. } => {
            TestHome::with_env([(variable, if plan.control { "1" } else { "0" })])?
        }
        Switch::Topology(_) => TestHome::new()?,
    };
    let small = plan.traits.small_disk.then(|| Disk::under(&home.path(), &home.config_path()));
    let disk = small.transpose()?;
    home.configure(config::model(&model.openai_url()))?;
    home.configure(config::telegram(&telegram.api_root(), TOKEN))?;
    Ok((Host::alone(home), disk))
}

/// Whether the guarantee was switched off in this run.
fn control_seen(stage: &Stage) -> Result<bool> {
    let says = match (stage.traits.control, &stage.cluster) {
        (Switch::Topology(_), cluster) => return cluster.as_ref().map_or(Ok(false), Cluster::is_broken),
        (Switch::Gateway { says, .. }, _) => says,
    };
    for log in std::fs::read_dir(stage.hosts[0].home.path().join("logs"))? {
        let log = log?;
        if log.file_name().to_string_lossy().starts_with("gateway")
            && String::from_utf8_lossy(&std::fs::read(log.path())?).contains(says)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Logs lie in the home, which goes; whoever looks into a failed run wants them beside the history.
fn keep_logs(host: &Host, history: &Path) {
    let folder = history.with_extension("logs").join(host.name);
    let _ = std::fs::create_dir_all(&folder);
    for log in std::fs::read_dir(host.home.path().join("logs")).into_iter().flatten().flatten() {
        let _ = std::fs::copy(log.path(), folder.join(log.file_name()));
    }
    let _ = std::fs::copy(host.home.scratch().join("up.log"), folder.join("up.log"));
    let _ = std::fs::copy(host.home.path().join("state/creel.db"), folder.join("creel.db"));
    let _ = std::fs::copy(host.home.path().join("state/creel.db-wal"), folder.join("creel.db-wal"));
}

async fn drain(stage: &Arc<Stage>) {
    let mut last = (u64::MAX, Instant::now());
    loop {
        let _ = stage.look_at_outbox().await;
        let open = stage.open();
        let waiting = lock(&stage.rows).values().filter(|row| row.is_open()).count() as u64;
        let unconfirmed = stage.telegram.unconfirmed(TOKEN) as u64;
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
