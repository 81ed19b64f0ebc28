//! Changes of the file that need no restart.

use anyhow::Result;
use creel_kit::{Creel, TelegramHome};
use serde_json::json;

use crate::with;

#[tokio::test]
async fn an_allow_list_is_changed_in_place() -> Result<()> {
    let home = TelegramHome::new().await?;
    home.home.configure(json!({"channels": {"telegram": {"dmPolicy": "allowlist", "allowFrom": ["1"]}}}))?;
    with(home.start().await?, async |creel: &Creel| {
        let before = pids(creel).await?;
        home.say(2, "echo too early")?;
        home.say(1, "echo known")?;
        assert_eq!(home.wait_said(1, 1).await?, ["known"]);

        home.home.configure(json!({
            "channels": {"telegram": {"allowFrom": ["1", "2"]}}, "logging": {"level": "info"},
        }))?;
        creel.cli(&["reload"]).await?.success()?;
        home.say(2, "echo welcome")?;
        // What was said too early stays unanswered: it was refused then.
        assert_eq!(home.wait_said(2, 1).await?, ["welcome"]);
        assert_eq!(pids(creel).await?, before);
        Ok(())
    })
    .await
}

/// No command at all: the file is watched.
#[tokio::test]
async fn a_changed_file_is_taken_up_by_itself() -> Result<()> {
    let home = TelegramHome::new().await?;
    with(home.start().await?, async |creel: &Creel| {
        let before = pids(creel).await?;
        home.home.configure(json!({"agents": {"list": [{"id": "main"}, {"id": "late"}]}}))?;
        creel_kit::until("the new agent runs", creel_kit::deadline::PATIENCE, async || {
            let late = creel.unit("agent:late").await.ok();
            Ok(late.filter(|unit| unit.state == creel_ipc::msg::unit::UnitState::Running).map(drop))
        })
        .await?;
        let after = pids(creel).await?;
        assert!(before.iter().all(|row| after.contains(row)), "{before:?} {after:?}");
        home.home.configure(json!({"agents": {"list": [{"id": "main"}]}}))?;
        creel_kit::until("the new agent is gone", creel_kit::deadline::PATIENCE, async || {
            Ok(creel.unit("agent:late").await.is_err().then_some(()))
        })
        .await
    })
    .await
}

async fn pids(creel: &Creel) -> Result<Vec<(String, Option<u32>)>> {
    Ok(creel.status().await?.units.into_iter().map(|unit| (unit.name, unit.pid)).collect())
}
