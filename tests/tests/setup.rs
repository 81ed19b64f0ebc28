//! `sandbox.setupCommand`: the home of an agent's commands is prepared before the first of them.

use anyhow::Result;
use creel_kit::Creel;
use creel_kit::deadline::{PATIENCE, until};
use creel_kit::ws::Client;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::sandbox::Place;
use crate::with;

/// Tells each time in the workspace, and what it prepares in the home.
const LINE: &str = "echo once >> ran; echo $GREETING > ~/prepared";

#[tokio::test]
async fn a_home_is_prepared_once_whoever_falls_and_again_for_another_line() -> Result<()> {
    let place = Place::new(json!({
        "sandbox": {"env": {"GREETING": "hello"}},
        "agents": {"defaults": {"sandbox": {"docker": {"setupCommand": LINE}}}},
    }))
    .await?;
    let times = || std::fs::read_to_string(place.workspace().join("ran")).unwrap_or_default().lines().count();
    with(place.home.start().await?, async |creel: &Creel| {
        let explained = creel.cli(&["sandbox", "explain"]).await?;
        assert!(
            explained.success()?.contains("sandbox.setupCommand: not run yet in this home"),
            "{explained:?}"
        );
        let mut client = Client::connect(creel).await?;
        for _ in 0..2 {
            let said = place.exec(&mut client, "cat ~/prepared").await?;
            assert!(said.starts_with("hello\n"), "{said}");
        }
        for unit in ["agent:main", "gateway"] {
            let old = creel.kill(unit, Signal::SIGKILL).await?;
            creel.wait_replaced(unit, old).await?;
        }
        creel.cli(&["upgrade", "--no-roll"]).await?.success()?;
        let mut client = Client::connect(creel).await?;
        place.exec(&mut client, "true").await?;
        assert_eq!(times(), 1);
        let explained = creel.cli(&["sandbox", "explain"]).await?;
        assert!(explained.success()?.contains("sandbox.setupCommand: done at "), "{explained:?}");
        assert!(explained.success()?.contains("sandbox.scope"), "{explained:?}");
        let events = creel.cli(&["events", "--unit", "agent:main"]).await?;
        assert!(events.success()?.contains("sandbox prepared"), "{events:?}");
        Ok(())
    })
    .await?;
    // A supervisor of another life; then another line, which the next command needs.
    with(place.home.start().await?, async |creel: &Creel| {
        let mut client = Client::connect(creel).await?;
        place.exec(&mut client, "true").await?;
        assert_eq!(times(), 1);
        let line = json!({"docker": {"setupCommand": format!("{LINE}; echo more > ~/more")}});
        place.home.configure(json!({"agents": {"defaults": {"sandbox": line}}}))?;
        creel.cli(&["reload"]).await?.success()?;
        let said = place.exec(&mut client, "cat ~/more").await?;
        assert!(said.starts_with("more\n"), "{said}");
        assert_eq!(times(), 2);
        // A home that somebody took away is prepared anew.
        std::fs::remove_dir_all(place.home.path().join("sandboxes/agent/main"))?;
        let said = place.exec(&mut client, "cat ~/more").await?;
        assert!(said.starts_with("more\n"), "{said}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn commands_wait_for_one_setup_and_are_told_when_it_fails() -> Result<()> {
    let line = "echo once >> ran; while [ ! -e go ]; do sleep 0.05; done; [ -e well ] || { echo broken >&2; exit 3; }";
    let place = Place::new(json!({"sandbox": {"setupCommand": line, "scope": "agent"}})).await?;
    let workspace = place.workspace();
    let ran = || std::fs::read_to_string(workspace.join("ran")).unwrap_or_default();
    with(place.home.start().await?, async |creel: &Creel| {
        let mut client = Client::connect(creel).await?;
        // Two sessions of one agent, and a process in the background: three that wait.
        let first = client.send("agent:main:one", "call exec {\"command\": \"touch by-one\"}").await?;
        let second = client.send("agent:main:two", "call exec {\"command\": \"touch by-two\"}").await?;
        let third = "call exec {\"command\": \"touch by-three\", \"background\": true}";
        client.send("agent:main:three", third).await?;
        until("the setup to begin", PATIENCE, async || Ok((!ran().is_empty()).then_some(()))).await?;
        creel.cli(&["upgrade", "--no-roll"]).await?.success()?;
        assert!(!workspace.join("by-one").exists());
        std::fs::write(workspace.join("go"), "")?;
        for run in [&first, &second] {
            let said = client.wait_final(run).await?.text;
            assert!(said.contains("never ran"), "{said}");
        }
        assert_eq!(ran(), "once\n");
        for name in ["by-one", "by-two", "by-three"] {
            assert!(!workspace.join(name).exists(), "{name}");
        }
        // The sentence, also for those who come within the minute, and for the operator.
        let said = place.exec(&mut client, "true").await?;
        assert!(
            said.contains("sandbox.setupCommand") && said.contains("exit code 3; it said: broken"),
            "{said}"
        );
        let events = creel.cli(&["events", "--unit", "agent:main"]).await?;
        assert!(events.success()?.contains("sandbox could not be prepared"), "{events:?}");
        assert_eq!(ran(), "once\n");
        // Whoever mends the line does not wait.
        std::fs::write(workspace.join("well"), "")?;
        place.home.configure(json!({"sandbox": {"setupCommand": format!("{line}; true")}}))?;
        creel.cli(&["reload"]).await?.success()?;
        let said = place.exec(&mut client, "echo runs").await?;
        assert!(said.starts_with("runs\n"), "{said}");
        // Without a sandbox there is nothing to prepare.
        place.home.configure(json!({"sandbox": {"setupCommand": "exit 9", "mode": "non-main"}}))?;
        creel.cli(&["reload"]).await?.success()?;
        let said = place.exec(&mut client, "echo runs").await?;
        assert!(said.starts_with("runs\n"), "{said}");
        Ok(())
    })
    .await
}
