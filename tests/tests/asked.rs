//! Commands of which nobody knows what became of them: people are asked, and nothing is run twice without their word.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use creel_kit::creel::left_of;
use creel_kit::{Creel, TelegramHome, deadline, process};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::with;

const CHAT: i64 = 7;

/// A home whose every process was killed between a command's side effect and the record of its end.
struct Interrupted {
    home: TelegramHome,
}

impl Interrupted {
    async fn new(config: Value) -> Result<Self> {
        let home = TelegramHome::new().await?;
        home.home.configure(config)?;
        let creel = home.start().await?;
        let this = Self { home };
        // The second time it ends by itself.
        let script = "echo x >> ran.txt; if [ ! -e go ]; then touch go; sleep 3600; fi; wc -l < ran.txt";
        this.home.say(CHAT, &format!("tool {script}"))?;
        creel_kit::until("the side effect", deadline::PATIENCE, async || {
            Ok((this.ran() == 1 && this.workspace().join("go").exists()).then_some(()))
        })
        .await?;
        let before = creel.kill_supervisor().await?;
        let left = left_of(&before, Duration::from_secs(60)).await;
        assert!(left.is_empty(), "left behind: {}", process::show(&left));
        Ok(this)
    }

    fn workspace(&self) -> PathBuf {
        self.home.home.path().join("workspace")
    }

    /// How often the command has run.
    fn ran(&self) -> usize {
        std::fs::read_to_string(self.workspace().join("ran.txt")).unwrap_or_default().lines().count()
    }
}

async fn inbox(creel: &Creel) -> Result<Value> {
    Ok(serde_json::from_str(creel.cli(&["inbox", "--json"]).await?.success()?)?)
}

/// The number of the only question.
async fn question(creel: &Creel) -> Result<u64> {
    deadline::until("the question", deadline::PATIENCE, async || {
        // A gateway that is about to start may not answer yet.
        let Ok(inbox) = inbox(creel).await else { return Ok(None) };
        Ok(inbox["questions"].as_array().and_then(|all| all.first()?["id"].as_u64()))
    })
    .await
}

#[tokio::test]
async fn a_command_runs_again_when_its_person_says_so_over_lives_of_agent_and_gateway() -> Result<()> {
    let this = Interrupted::new(json!({})).await?;
    with(this.home.start().await?, async |creel: &Creel| {
        let asked = this.home.wait_said(CHAT, 1).await?.remove(0);
        assert!(asked.contains("nobody knows what became of it") && asked.contains("/again"), "{asked}");
        assert!(asked.contains("echo x >> ran.txt"), "{asked}");
        let id = question(creel).await?;
        for unit in ["agent:main", "gateway"] {
            let old = creel.kill(unit, Signal::SIGKILL).await?;
            creel.wait_replaced(unit, old).await?;
        }
        assert_eq!(question(creel).await?, id, "it is the same question");
        // A message of its own waits behind the question.
        this.home.say(CHAT, "echo and then")?;
        this.home.say(CHAT, "/again")?;
        let said = this.home.wait_said(CHAT, 3).await?;
        assert_eq!(said[1..], ["tool said: 2", "and then"], "nobody was asked twice");
        assert_eq!(this.ran(), 2);
        assert_eq!(inbox(creel).await?["questions"], json!([]));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_operator_decides_that_a_command_is_not_run_again() -> Result<()> {
    let this = Interrupted::new(json!({})).await?;
    with(this.home.start().await?, async |creel: &Creel| {
        let id = question(creel).await?;
        let unknown = creel.cli(&["inbox", "answer", "4711", "skip"]).await?;
        assert!(unknown.code != Some(0) && unknown.stderr.contains("No question 4711"), "{unknown:?}");
        creel.cli(&["inbox", "answer", &id.to_string(), "skip"]).await?.success()?;
        let said = this.home.wait_said(CHAT, 2).await?;
        let told = said.last().context("nothing was said")?;
        assert!(told.contains("the person who was asked did not want it"), "{told}");
        assert_eq!(this.ran(), 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn where_nobody_is_to_be_asked_it_is_not_run_again() -> Result<()> {
    let this =
        Interrupted::new(json!({"agents": {"defaults": {"tools": {"exec": {"askInterruptedMinutes": 0}}}}}))
            .await?;
    with(this.home.start().await?, async |creel: &Creel| {
        let said = this.home.wait_said(CHAT, 1).await?.remove(0);
        assert!(said.contains("running it twice could do harm"), "{said}");
        assert_eq!((this.ran(), &inbox(creel).await?["questions"]), (1, &json!([])));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_turn_is_stopped_instead() -> Result<()> {
    let this = Interrupted::new(json!({})).await?;
    with(this.home.start().await?, async |creel: &Creel| {
        this.home.wait_said(CHAT, 1).await?;
        this.home.say(CHAT, "/stop")?;
        this.home.say(CHAT, "echo next")?;
        assert_eq!(this.home.wait_said(CHAT, 2).await?[1], "next");
        assert_eq!((this.ran(), &inbox(creel).await?["questions"]), (1, &json!([])));
        Ok(())
    })
    .await
}
