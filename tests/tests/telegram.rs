//! The main job on a platform: every message answered, once, in order.

use anyhow::Result;
use creel_kit::TelegramHome;
use fake_model::Fault;

use crate::with;

#[tokio::test]
async fn a_thousand_messages_in_fifty_chats() -> Result<()> {
    const CHATS: i64 = 50;
    const EACH: i64 = 20;
    let home = TelegramHome::new().await?;
    with(home.start().await?, async |_| {
        for n in 0..EACH {
            for chat in 1..=CHATS {
                home.say(chat, &format!("echo m-{chat}-{n}"))?;
            }
        }
        for chat in 1..=CHATS {
            let expected: Vec<_> = (0..EACH).map(|n| format!("m-{chat}-{n}")).collect();
            assert_eq!(home.wait_said(chat, expected.len()).await?, expected, "chat {chat}");
        }
        // Nothing comes after the last answer: one more round, and the counts are still exact.
        for chat in 1..=CHATS {
            home.say(chat, "echo last")?;
        }
        for chat in 1..=CHATS {
            let said = home.wait_said(chat, EACH as usize + 1).await?;
            assert_eq!(said.len(), EACH as usize + 1, "chat {chat}: {said:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_tool_runs_in_its_sandbox() -> Result<()> {
    let home = TelegramHome::new().await?;
    with(home.start().await?, async |_| {
        home.say(1, "tool echo made > note.txt && cat note.txt")?;
        assert_eq!(home.wait_said(1, 1).await?, ["tool said: made"]);
        let note = home.home.path().join("workspace/note.txt");
        assert_eq!(std::fs::read_to_string(note)?.trim(), "made");
        // No network but an empty loopback, and no sight of Creel's own state.
        home.say(1, "tool cat /proc/net/route | tail -n +2 | wc -l")?;
        assert_eq!(home.wait_said(1, 2).await?[1], "tool said: 0");
        let token = home.home.path().join("state/gateway.token");
        home.say(
            1,
            &format!("tool cat {} >/dev/null 2>&1 && echo readable || echo refused", token.display()),
        )?;
        assert_eq!(home.wait_said(1, 3).await?[2], "tool said: refused");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_model_that_fails_is_asked_again() -> Result<()> {
    let home = TelegramHome::new().await?;
    with(home.start().await?, async |_| {
        home.model.control().fail_next([Fault::TooMany(1), Fault::Overloaded]);
        home.say(1, "echo patience pays")?;
        assert_eq!(home.wait_said(1, 1).await?, ["patience pays"]);
        home.model.control().fail_next([Fault::CutAfter(1)]);
        home.say(1, "echo an answer that was cut in its middle and came again")?;
        assert_eq!(home.wait_said(1, 2).await?[1], "an answer that was cut in its middle and came again");
        assert_eq!(home.model.control().stats().faults, 3);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_long_answer_arrives_whole() -> Result<()> {
    let home = TelegramHome::new().await?;
    with(home.start().await?, async |_| {
        home.say(1, "long 9000")?;
        home.say(1, "echo end")?;
        let expected: String = fake_model::script::long(9000).split_whitespace().collect();
        let said = creel_kit::until("the last answer comes", creel_kit::deadline::PATIENCE, async || {
            let said = home.said_in(1);
            Ok((said.last().map(String::as_str) == Some("end")).then_some(said))
        })
        .await?;
        let parts = &said[..said.len() - 1];
        assert!(
            parts.len() >= 3 && parts.iter().all(|part| part.encode_utf16().count() <= 4096),
            "{}",
            parts.len()
        );
        assert_eq!(parts.iter().flat_map(|part| part.split_whitespace()).collect::<String>(), expected);
        Ok(())
    })
    .await
}
