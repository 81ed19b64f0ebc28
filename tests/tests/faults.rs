//! Rows of the fault matrix that the gateway settles: what a worker does wrong on its link, and messages that must
//! survive. The misbehaving workers are the supervisor's test unit in place of the real agent.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use creel_ipc::msg::unit::{ExitCause, UnitStatus};
use creel_kit::{Creel, TelegramHome, TestHome, deadline, process};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::with;

/// Longer than three pings and all that follows them.
const WATCHED: Duration = Duration::from_secs(120);

/// A home in which the agents are test units that misbehave as their names say.
struct Misbehaving {
    home: TestHome,
    _programs: tempfile::TempDir,
}

impl Misbehaving {
    fn new(agent: &str) -> Result<Self> {
        let real = creel_kit::binaries::folder()?;
        let programs = tempfile::tempdir()?;
        for name in ["creel-gateway", "creel-egress", "creel-channel"] {
            link(&real.join(name), &programs.path().join(name))?;
        }
        let unit = real.join("examples/test-worker");
        link(&unit, &programs.path().join("creel-agent")).with_context(|| {
            format!("{} is missing; `cargo build -p creel --examples` makes it", unit.display())
        })?;
        let home = TestHome::with_env([("CREEL_LIBEXEC", &*programs.path().to_string_lossy())])?;
        home.configure(json!({"agents": {"list": [{"id": agent}, {"id": "good"}]}}))?;
        Ok(Self { home, _programs: programs })
    }
}

fn link(from: &Path, to: &Path) -> Result<()> {
    if std::fs::hard_link(from, to).is_err() {
        std::fs::copy(from, to)?;
    }
    Ok(())
}

/// Waits until a unit has had an end of this cause.
async fn ended(creel: &Creel, unit: &str, cause: ExitCause) -> Result<UnitStatus> {
    creel_kit::until(&format!("{unit} ends by {cause:?}"), WATCHED, async || {
        // It may not be up yet.
        let row = creel.unit(unit).await.ok();
        Ok(row.filter(|row| row.last_exit.as_ref().is_some_and(|exit| exit.cause == cause)))
    })
    .await
}

/// The agent misbehaves once it is ready and is ended for it; everybody else goes on.
async fn ended_for(habit: &str, cause: ExitCause) -> Result<()> {
    let place = Misbehaving::new(habit)?;
    let creel = place.home.launch()?;
    with(creel, async |creel: &Creel| {
        let row = ended(creel, &format!("agent:{habit}"), cause).await?;
        assert!(row.last_exit.as_ref().is_some_and(|exit| exit.detail.is_some()), "{row:?}");
        for unit in ["gateway", "egress", "agent:good"] {
            assert_eq!(creel.unit(unit).await?.incarnation, 1, "{unit}");
        }
        Ok(())
    })
    .await
}

/// The agent misbehaves once it is ready, and that costs nobody anything, itself included.
async fn goes_on_after(habit: &str, counted: &str, times: usize) -> Result<()> {
    let place = Misbehaving::new(habit)?;
    let creel = place.home.launch()?;
    with(creel, async |creel: &Creel| {
        creel_kit::until("the gateway counts it", deadline::PATIENCE, async || {
            Ok((place.home.log("gateway").matches(counted).count() >= times).then_some(()))
        })
        .await?;
        let gateway = creel.process("gateway").await?;
        let peak = process::memory(gateway.pid, "VmHWM").context("the gateway has a peak")?;
        assert!(peak < 128 << 20, "{peak}");
        for unit in ["gateway", "egress", "agent:good", &format!("agent:{habit}")] {
            assert_eq!(creel.unit(unit).await?.incarnation, 1, "{unit}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn fault_15_a_worker_closes_its_link() -> Result<()> {
    ended_for("closeout", ExitCause::Protocol).await
}

#[tokio::test]
async fn fault_19_a_worker_prints_no_json() -> Result<()> {
    ended_for("nonjson", ExitCause::Protocol).await
}

#[tokio::test]
async fn fault_20_a_worker_writes_a_line_of_100_mb() -> Result<()> {
    goes_on_after("bigline", "is over the limit of 1048576", 1).await
}

#[tokio::test]
async fn fault_22_a_worker_writes_strange_lines() -> Result<()> {
    goes_on_after("strange", "wrote a line that is no message", 6).await
}

#[tokio::test]
async fn fault_18_a_worker_floods_the_gateway() -> Result<()> {
    let place = Misbehaving::new("chatter")?;
    let creel = place.home.launch()?;
    with(creel, async |creel: &Creel| {
        creel_kit::until("the end of the noise", deadline::PATIENCE, async || {
            Ok(place.home.log("agent:chatter").contains("all noise is made").then_some(()))
        })
        .await?;
        let gateway = creel.process("gateway").await?;
        let peak = process::memory(gateway.pid, "VmHWM").context("the gateway has a peak")?;
        assert!(peak < 128 << 20, "{peak}");
        assert_eq!(creel.unit("agent:good").await?.incarnation, 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn fault_18_a_worker_asks_without_reading_answers() -> Result<()> {
    let place = Misbehaving::new("requests")?;
    let creel = place.home.launch()?;
    with(creel, async |creel: &Creel| {
        let row = ended(creel, "agent:requests", ExitCause::Protocol).await?;
        let detail = row.last_exit.and_then(|exit| exit.detail).unwrap_or_default();
        assert!(detail.contains("floods its link: more than 256 requests"), "{detail}");
        let gateway = creel.process("gateway").await?;
        let peak = process::memory(gateway.pid, "VmHWM").context("the gateway has a peak")?;
        assert!(peak < 128 << 20, "{peak}");
        assert_eq!(
            (creel.unit("agent:good").await?.incarnation, creel.unit("gateway").await?.incarnation),
            (1, 1)
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn fault_11_a_worker_hangs() -> Result<()> {
    let home = TestHome::new()?;
    with(home.start().await?, async |creel: &Creel| {
        let stopped = creel.kill("agent:main", Signal::SIGSTOP).await?;
        let row = ended(creel, "agent:main", ExitCause::Watchdog).await?;
        let detail = row.last_exit.and_then(|exit| exit.detail).unwrap_or_default();
        assert!(detail.contains("pings"), "{detail}");
        creel.wait_replaced("agent:main", stopped).await?;
        assert_eq!(creel.unit("gateway").await?.incarnation, 1);
        Ok(())
    })
    .await
}

/// What a loss of power leaves: nothing of the processes, nothing of the runtime folder, everything that was written.
/// Whether the disk kept what it was told to keep is another matter; no process can show that.
#[tokio::test]
async fn fault_49_power_is_lost() -> Result<()> {
    let home = TelegramHome::new().await?;
    let creel = home.start().await?;
    home.say(1, "echo before")?;
    assert_eq!(home.wait_said(1, 1).await?, ["before"]);
    home.model.control().fail_next([fake_model::Fault::Silent]);
    home.say(1, "echo during")?;
    home.wait_asked("the answer that does not come", |last| last.ends_with("during")).await?;
    let before = creel.processes();
    for stat in &before {
        stat.process.signal(Signal::SIGSTOP)?;
    }
    let left = creel.kill_supervisor().await?;
    for stat in before.iter().chain(&left) {
        stat.process.signal(Signal::SIGKILL)?;
    }
    creel_kit::creel::left_of(&before, deadline::PATIENCE).await;
    let runtime = home.home.control_socket();
    std::fs::remove_dir_all(runtime.parent().context("the socket lies in a folder")?)?;
    // The machine's next run: another boot, and somebody else has the old supervisor's number.
    let lock = home.home.path().join("state/supervisor.lock");
    std::fs::write(lock, std::process::id().to_string())?;
    with(home.start().await?, async |_| {
        assert_eq!(home.wait_said(1, 2).await?, ["before", "during"]);
        home.say(1, "echo after")?;
        assert_eq!(home.wait_said(1, 3).await?, ["before", "during", "after"]);
        Ok(())
    })
    .await
}
