//! What a turn costs: time until the model is asked, and processor time for each piece of its answer.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use creel_kit::ws::Client;
use creel_kit::{TelegramHome, process};
use serde_json::json;

use crate::figure::{Figure, figure, percentile};

const SAMPLES: usize = 400;
/// Turns before the first one that counts.
const WARM_UP: usize = 20;

/// Until the model has read the request: once from the moment at which a client sends `chat.send`, and once from the
/// moment at which Telegram has an update for a waiting poll, which is two hops through egress and a channel more.
pub(crate) async fn latency() -> Result<Vec<Figure>> {
    let home = TelegramHome::new().await?;
    home.home.configure(
        json!({"logging": {"level": "info"}, "channels": {"telegram": {"pollTimeoutSeconds": 30}}}),
    )?;
    let creel = home.start().await?;
    let mut client = Client::connect(&creel).await?;
    let mut from_client = Vec::with_capacity(SAMPLES);
    for n in 0..SAMPLES + WARM_UP {
        let text = format!("echo c-{n}");
        let started = Instant::now();
        let run = client.send(&format!("agent:main:s{n}"), &text).await?;
        from_client.push(asked_after(&home, started, &text).await?);
        client.wait_final(&run).await?;
        client.forget();
    }
    let mut from_platform = Vec::with_capacity(SAMPLES);
    for n in 0..SAMPLES + WARM_UP {
        let text = format!("echo l-{n}");
        let started = Instant::now();
        home.say(n as i64 + 1, &text)?;
        from_platform.push(asked_after(&home, started, &text).await?);
        home.wait_said(n as i64 + 1, 1).await?;
    }
    creel.stop().await?;
    let of = |samples: &[Duration], what: &str, (share, word): (f64, &str), target: f64| {
        let what = format!("{what} → model request read, durable, {word}");
        figure("latency", &what, (percentile(&samples[WARM_UP..], share), "ms"), target).of(SAMPLES)
    };
    let (half, worst) = ((0.5, "p50"), (0.99, "p99"));
    Ok(vec![
        of(&from_client, "message sent by a client", half, 3.0),
        of(&from_client, "message sent by a client", worst, 20.0),
        of(&from_platform, "update at the platform", half, 3.0)
            .noting("two hops more than the target speaks of"),
        of(&from_platform, "update at the platform", worst, 20.0)
            .noting("two hops more than the target speaks of"),
    ])
}

async fn asked_after(home: &TelegramHome, started: Instant, text: &str) -> Result<Duration> {
    let asked = home.wait_asked(text, |last| last.contains(text)).await?;
    home.model.control().forget();
    Ok(asked.at.saturating_duration_since(started))
}

pub(crate) async fn tokens() -> Result<Vec<Figure>> {
    const PIECES: u64 = 20_000;
    let home = TelegramHome::new().await?;
    home.home.configure(json!({"logging": {"level": "info"}}))?;
    let creel = home.start().await?;
    let mut client = Client::connect(&creel).await?;
    client.ask("main", "deltas 200").await?;
    client.forget();
    let units = ["gateway", "agent:main", "egress"];
    let mut pids = Vec::new();
    for unit in units {
        pids.push(creel.process(unit).await?.pid);
    }
    let used =
        || pids.iter().map(|pid| process::cpu_ns(*pid)).collect::<Option<Vec<_>>>().context("a unit ended");
    let before = used()?;
    let end = client.ask("main", &format!("deltas {PIECES}")).await?;
    let after = used()?;
    ensure!(
        end.text.len() as u64 == PIECES * 3 || end.text.len() as u64 == PIECES * 3 - 1,
        "the answer is not whole"
    );
    let of_unit = |n: usize| (after[n] - before[n]) as f64 / PIECES as f64 / 1e3;
    let note =
        (0..units.len()).map(|n| format!("{} {:.2}", units[n], of_unit(n))).collect::<Vec<_>>().join(", ");
    creel.stop().await?;
    let sum: f64 = (0..units.len()).map(of_unit).sum();
    let what = "processor time per streamed token, end to end";
    let note = format!("{note}; {} deltas at the client", end.deltas.len());
    Ok(vec![figure("tokens", what, (sum, "µs"), 10.0).of(PIECES as usize).noting(note)])
}
