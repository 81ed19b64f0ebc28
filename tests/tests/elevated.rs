//! `tools.elevated`: a command leaves the tool sandbox for those whom the operator lists, for nobody else, and not unseen.

use anyhow::{Context, Result};
use creel_kit::{Creel, TelegramHome};
use serde_json::json;

use crate::with;

#[tokio::test]
async fn only_listed_people_have_commands_outside_of_the_sandbox_and_the_operator_reads_of_each() -> Result<()>
{
    let home = TelegramHome::new().await?;
    let elevated = json!({"allowFrom": {"telegram": [1]}});
    home.home.configure(json!({"agents": {"defaults": {"tools": {"elevated": elevated}}}}))?;
    // Everybody of the machine may read it, and no sandbox shows it.
    let outside = home.home.path().with_extension("outside");
    std::fs::write(&outside, "of the host\n")?;
    let asked = |elevated: bool| {
        let arguments = json!({"command": format!("cat {}", outside.display()), "elevated": elevated});
        format!("call exec {arguments}")
    };
    let outcome = with(home.start().await?, async |creel: &Creel| {
        let mut rounds = 0;
        let mut result = async |chat: i64, elevated: bool| -> Result<String> {
            home.model.control().forget();
            home.say(chat, &asked(elevated))?;
            rounds += 1;
            let asked = home.wait_asked("the result", |last| !last.contains("call exec")).await;
            asked.map(|asked| asked.last).with_context(|| format!("chat {chat}, round {rounds}"))
        };
        let said = result(1, false).await?;
        assert!(!said.contains("of the host"), "{said}");
        let said = result(1, true).await?;
        assert!(said.starts_with("of the host\n"), "{said}");
        let said = result(2, true).await?;
        assert!(said.contains("telegram:2, whom tools.elevated.allowFrom does not list"), "{said}");
        let said = creel.cli(&["agent", "--message", &asked(true)]).await?;
        assert!(said.success()?.contains("not for what is typed at Creel itself"), "{said:?}");
        let events = creel.cli(&["events", "--unit", "agent:main"]).await?;
        let lines: Vec<&str> =
            events.success()?.lines().filter(|line| line.contains("outside of the sandbox")).collect();
        assert_eq!(lines.len(), 2, "{events:?}");
        assert!(lines[0].contains("for telegram:1: cat /"), "{lines:?}");
        assert!(lines[1].contains("exit code 0"), "{lines:?}");
        // Taken away while it goes on.
        home.home.configure(json!({"agents": {"defaults": {"tools": {"elevated": {"enabled": false}}}}}))?;
        creel.cli(&["reload"]).await?.success()?;
        let said = result(1, true).await?;
        assert!(said.contains("the operator lists nobody in tools.elevated"), "{said}");
        Ok(())
    })
    .await;
    std::fs::remove_file(&outside)?;
    outcome
}
