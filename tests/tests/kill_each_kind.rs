//! `kill -9` of each kind of process while an answer is being written: the reply arrives, once.

use anyhow::{Context, Result};
use creel_ipc::msg::unit::ExitCause;
use creel_kit::{Creel, TelegramHome, deadline};
use nix::sys::signal::Signal;

use crate::with;

const CHAT: i64 = 7;
const WORDS: &str = "a reply that takes its time and must not be lost on the way";

async fn killed_while_streaming(unit: &str) -> Result<()> {
    let home = TelegramHome::new().await?;
    with(home.start().await?, async |creel: &Creel| {
        let model = home.model.control();
        model.keep_open(true);
        home.say(CHAT, &format!("slow 500 {WORDS}"))?;
        creel_kit::until("the answer begins", deadline::PATIENCE, async || {
            Ok((model.stats().pieces > 0).then_some(()))
        })
        .await?;
        let others = others(creel, unit).await?;
        let killed = creel.kill(unit, Signal::SIGKILL).await?;
        // In the middle of the answer, not after it: otherwise this test shows nothing.
        assert_eq!(home.said_in(CHAT), Vec::<String>::new(), "the turn was over before the kill");
        assert_eq!(model.stats().finished, 0, "the answer was over before the kill");
        model.keep_open(false);

        assert_eq!(home.wait_said(CHAT, 1).await?, [WORDS]);
        let status = creel.wait_replaced(unit, killed).await?;
        assert!(status.restarts >= 1, "{status:?}");
        let exit = status.last_exit.context("a killed unit has a last exit")?;
        assert_eq!((exit.cause, exit.signal), (ExitCause::Signal, Some(9)), "{exit:?}");
        assert_eq!(others, self::others(creel, unit).await?, "only {unit} was killed");

        // Once: what follows comes right behind it.
        home.say(CHAT, "echo next")?;
        assert_eq!(home.wait_said(CHAT, 2).await?, [WORDS, "next"]);
        Ok(())
    })
    .await
}

/// The processes of all other units.
async fn others(creel: &Creel, unit: &str) -> Result<Vec<(String, Option<u32>)>> {
    let units = creel.status().await?.units;
    // Tool runs come and go by themselves.
    let rows = units.into_iter().filter(|row| row.name != unit && !row.name.starts_with("tool:"));
    let mut rows: Vec<_> = rows.map(|row| (row.name, row.pid)).collect();
    rows.sort();
    Ok(rows)
}

#[tokio::test]
async fn fault_50_gateway() -> Result<()> {
    killed_while_streaming("gateway").await
}

#[tokio::test]
async fn egress() -> Result<()> {
    killed_while_streaming("egress").await
}

#[tokio::test]
async fn agent() -> Result<()> {
    killed_while_streaming("agent:main").await
}

#[tokio::test]
async fn fault_51_channel() -> Result<()> {
    killed_while_streaming("channel:telegram:default").await
}

/// A finished side effect is not done again when the agent dies after it.
#[tokio::test]
async fn a_tool_that_has_run_does_not_run_again() -> Result<()> {
    let home = TelegramHome::new().await?;
    with(home.start().await?, async |creel: &Creel| {
        // The tool's result goes to the model, and that request hangs: the agent is killed right there.
        home.say(CHAT, "tool echo x >> ran.txt; wc -l < ran.txt")?;
        home.wait_asked("a tool", |last| last.starts_with("tool ")).await?;
        home.model.control().pace(fake_model::Pace { delay_ms: 600_000, gap_ms: 0 });
        home.wait_asked("what follows the tool", |last| !last.starts_with("tool ")).await?;
        creel.kill("agent:main", Signal::SIGKILL).await?;
        assert_eq!(home.said_in(CHAT), Vec::<String>::new(), "the turn was over before the kill");
        home.model.control().pace(fake_model::Pace::default());
        assert_eq!(home.wait_said(CHAT, 1).await?, ["tool said: 1"]);
        let ran = std::fs::read_to_string(home.home.path().join("workspace/ran.txt"))?;
        assert_eq!(ran.lines().count(), 1, "{ran:?}");
        Ok(())
    })
    .await
}

/// A command that outlives its agent is neither run again nor forgotten: what the supervisor kept is its result.
async fn a_command_outlives_its_agent(ends_while_it_is_down: bool) -> Result<()> {
    let home = TelegramHome::new().await?;
    with(home.start().await?, async |creel: &Creel| {
        let script = "touch began; while [ ! -e go ]; do sleep 0.1; done; echo x >> ran.txt; wc -l < ran.txt";
        home.say(CHAT, &format!("tool {script}"))?;
        let workspace = home.home.path().join("workspace");
        creel_kit::until("the command runs", deadline::PATIENCE, async || {
            Ok(workspace.join("began").exists().then_some(()))
        })
        .await?;
        let killed = creel.kill("agent:main", Signal::SIGKILL).await?;
        assert_eq!(home.said_in(CHAT), Vec::<String>::new(), "the turn was over before the kill");
        if !ends_while_it_is_down {
            creel.wait_replaced("agent:main", killed).await?;
        }
        std::fs::write(workspace.join("go"), "")?;
        assert_eq!(home.wait_said(CHAT, 1).await?, ["tool said: 1"]);
        let ran = std::fs::read_to_string(workspace.join("ran.txt"))?;
        assert_eq!(ran.lines().count(), 1, "{ran:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_command_that_still_runs_is_waited_for_by_the_next_life() -> Result<()> {
    a_command_outlives_its_agent(false).await
}

#[tokio::test]
async fn a_command_that_ended_without_its_agent_has_its_result() -> Result<()> {
    a_command_outlives_its_agent(true).await
}

/// A stopped process is not a dead one: when it goes on, everything does.
#[tokio::test]
async fn a_gateway_that_slept() -> Result<()> {
    let home = TelegramHome::new().await?;
    with(home.start().await?, async |creel: &Creel| {
        home.model.control().keep_open(true);
        home.say(CHAT, &format!("slow 500 {WORDS}"))?;
        home.wait_asked("anything", |_| true).await?;
        let gateway = creel.kill("gateway", Signal::SIGSTOP).await?;
        home.model.control().keep_open(false);
        // The model finishes while nobody is there to take the answer.
        creel_kit::until("the model is done", deadline::PATIENCE, async || {
            Ok((home.model.control().stats().finished > 0).then_some(()))
        })
        .await?;
        gateway.signal(Signal::SIGCONT)?;
        assert_eq!(home.wait_said(CHAT, 1).await?, [WORDS]);
        assert_eq!(creel.process("gateway").await?, gateway, "it was not restarted");
        Ok(())
    })
    .await
}
