//! The supervisor itself: killed, doubled, stopped.

use anyhow::Result;
use creel_kit::creel::left_of;
use creel_kit::deadline::PATIENCE;
use creel_kit::{Creel, TelegramHome, TestHome, process};
use fake_model::Fault;

use crate::with;

const EX_TEMPFAIL: i32 = 75;

#[tokio::test]
async fn fault_35_a_killed_supervisor_leaves_nothing_and_loses_nothing() -> Result<()> {
    const CHATS: i64 = 3;
    let home = TelegramHome::new().await?;
    let creel = home.start().await?;
    // A tool runs, and four answers do not come: nothing is being said when the end comes, so nothing is uncertain.
    home.say(100, "tool sleep 3600")?;
    creel_kit::until("the tool runs", PATIENCE, async || {
        Ok(creel.processes().iter().any(|stat| stat.name == "sleep").then_some(()))
    })
    .await?;
    home.model.control().fail_next([Fault::Silent; CHATS as usize]);
    for chat in 1..=CHATS {
        home.say(chat, &format!("echo answer {chat}"))?;
    }
    for chat in 1..=CHATS {
        let answer = format!("answer {chat}");
        home.wait_asked(&answer, |last| last.ends_with(&answer)).await?;
    }
    let before = creel.kill_supervisor().await?;
    assert!(before.len() >= 5, "{}", process::show(&before));
    let left = left_of(&before, PATIENCE).await;
    assert!(left.is_empty(), "left behind: {}", process::show(&left));

    with(home.start().await?, async |_| {
        for chat in 1..=CHATS {
            home.say(chat, "echo after")?;
        }
        for chat in 1..=CHATS {
            assert_eq!(home.wait_said(chat, 2).await?, [format!("answer {chat}"), "after".into()]);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_second_supervisor_is_refused() -> Result<()> {
    let home = TestHome::new()?;
    with(home.start().await?, async |creel: &Creel| {
        let second = home.cli(&["up"]).await?;
        assert_eq!(second.code, Some(EX_TEMPFAIL), "{second:?}");
        let owner = format!("(pid {})", creel.supervisor().pid);
        assert!(second.stderr.contains("already runs") && second.stderr.contains(&owner), "{second:?}");
        assert_eq!(creel.status().await?.supervisor_pid, creel.supervisor().pid);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn stop_stops_in_order() -> Result<()> {
    let home = TestHome::new()?;
    let creel = home.start().await?;
    creel.cli(&["stop"]).await?.success()?;
    let status = creel.ended(PATIENCE).await?;
    assert!(status.success(), "{status}");
    // Commands that need it say that it is not there.
    let output = home.cli(&["status"]).await?;
    assert_ne!(output.code, Some(0), "{output:?}");
    assert!(output.stderr.contains("creel up"), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn the_log_of_a_unit_can_be_read() -> Result<()> {
    let home = TestHome::new()?;
    with(home.start().await?, async |creel: &Creel| {
        let logs = creel.cli(&["logs", "gateway"]).await?;
        assert!(!logs.success()?.trim().is_empty());
        assert!(!home.log("gateway").is_empty());
        let unknown = creel.cli(&["logs", "agent:nobody"]).await?;
        assert_ne!(unknown.code, Some(0), "{unknown:?}");
        Ok(())
    })
    .await
}
