//! What a turn costs: time until the model is asked, and processor time for each piece of its answer.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use creel_kit::ws::Client;
use creel_kit::{TelegramHome, process, within};
use serde_json::json;

use crate::figure::{Figure, figure, percentile};

/// From the moment at which Telegram has an update for a waiting poll to the moment at which the model has read the
/// request: three hops, one durable commit of the message and one of the turn more than the target speaks of.
pub(crate) async fn latency() -> Result<Vec<Figure>> {
    const SAMPLES: usize = 400;
    let home = TelegramHome::new().await?;
    home.home.configure(
        json!({"logging": {"level": "info"}, "channels": {"telegram": {"pollTimeoutSeconds": 30}}}),
    )?;
    let creel = home.start().await?;
    let mut samples = Vec::with_capacity(SAMPLES);
    for n in 0..SAMPLES + 20 {
        let text = format!("echo l-{n}");
        let started = Instant::now();
        home.say(n as i64 + 1, &text)?;
        let asked = home.model.control().wait_asked(|asked| asked.last.contains(&text));
        let asked = within("the model is asked", Duration::from_secs(20), async { Ok(asked.await) }).await?;
        // The first ones warm up.
        if n >= 20 {
            samples.push(asked.at.saturating_duration_since(started));
        }
        home.model.control().forget();
        home.wait_said(n as i64 + 1, 1).await?;
    }
    creel.stop().await?;
    let of = |share: f64, word: &str, target: f64| {
        let what = format!("update at the platform → model request read, durable, {word}");
        figure("latency", &what, (percentile(&samples, share), "ms"), target).of(SAMPLES)
    };
    Ok(vec![of(0.5, "p50", 3.0), of(0.99, "p99", 20.0)])
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
