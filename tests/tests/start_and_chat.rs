//! From nothing to an answer, without keys and without network.

use anyhow::{Context, Result};
use creel_ipc::msg::unit::UnitState;
use creel_kit::ws::Client;
use creel_kit::{Creel, TestHome};
use serde_json::json;

use crate::with;

#[tokio::test]
async fn a_fresh_home_answers_with_the_demo_and_a_tool() -> Result<()> {
    let home = TestHome::new()?;
    with(home.start().await?, async |creel| {
        let mut client = Client::connect(creel).await?;
        let end = client.ask("main", "hello").await?;
        assert_eq!(end.state, "final", "{}", end.payload);
        assert!(
            end.text.to_lowercase().contains("demo"),
            "the demo does not say that it is one: {}",
            end.text
        );
        assert!(end.deltas.len() >= 2, "the answer came in {} pieces", end.deltas.len());
        assert!(end.deltas.concat().contains(end.text.trim()), "{:?} against {:?}", end.deltas, end.text);

        let frames = client.frames();
        let tools: Vec<_> = frames
            .iter()
            .filter(|frame| frame["event"] == "agent" && frame["payload"]["stream"] == "tool")
            .map(|frame| &frame["payload"]["data"])
            .collect();
        let result = tools.iter().find(|data| data["phase"] == "result").context("no tool gave a result")?;
        assert_ne!(result["isError"], true, "{result}");
        assert!(
            tools.iter().any(|data| data["phase"] == "start" && data["name"] == result["name"]),
            "{tools:?}"
        );
        Ok(())
    })
    .await
}

/// What `status` claims is compared with what the kernel says of the same process.
#[tokio::test]
async fn status_tells_the_measured_isolation_of_each_unit() -> Result<()> {
    let home = TestHome::new()?;
    with(home.start().await?, async |creel| {
        let units = creel.status().await?;
        let names: Vec<_> = units.units.iter().map(|unit| unit.name.as_str()).collect();
        for name in ["gateway", "egress", "agent:main"] {
            assert!(names.contains(&name), "{name} is missing in {names:?}");
        }
        assert!(["L1", "L2", "L3"].contains(&units.level.as_str()), "level {}", units.level);
        assert_eq!(units.supervisor_pid, creel.supervisor().pid);
        for unit in &units.units {
            assert_eq!(unit.state, UnitState::Running, "{}", unit.name);
            let pid = unit.pid.with_context(|| format!("{} has no pid", unit.name))?;
            let isolation =
                unit.isolation.as_ref().with_context(|| format!("{} is not measured", unit.name))?;
            let kernel = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
            let said = |key: &str| {
                kernel.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().trim().to_owned()
            };
            assert_eq!((isolation.no_new_privs, said("NoNewPrivs:").as_str()), (true, "1"), "{}", unit.name);
            // A worker adds programs of its own to the launcher's, so the kernel may count more.
            let filters: u32 = said("Seccomp_filters:").parse()?;
            assert!(
                (1..=filters).contains(&isolation.seccomp_filters),
                "{}: {filters}, {isolation:?}",
                unit.name
            );
            assert!(isolation.landlock_abi > 0, "{}: {isolation:?}", unit.name);
            let test =
                isolation.selftest.as_ref().with_context(|| format!("{} did not test itself", unit.name))?;
            assert!(test.escaped.is_empty() && test.denied >= 25, "{}: {test:?}", unit.name);
            for name in ["net", "mnt", "user", "ipc", "pid", "uts"] {
                let theirs = std::fs::read_link(format!("/proc/{pid}/ns/{name}"))?;
                let ours = std::fs::read_link(format!("/proc/self/ns/{name}"))?;
                let claimed = isolation.namespaces.iter().any(|claimed| claimed == name);
                assert_eq!(claimed, theirs != ours, "{}: a {name} namespace of its own", unit.name);
            }
            if unit.name.starts_with("agent:") && units.level != "L1" {
                assert!(
                    isolation.namespaces.iter().any(|name| name == "net"),
                    "{}: {isolation:?}",
                    unit.name
                );
            }
        }
        let health = Client::connect(creel).await?.call("health", json!({})).await?;
        let agent = &health["isolation"]["agent:main"];
        assert_eq!(agent["level"], units.level, "{health}");
        assert!(agent["selftest"]["denied"].as_u64() >= Some(25), "{health}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_conversation_outlives_a_restart() -> Result<()> {
    let home = TestHome::new()?;
    let first = home.start().await?;
    let mut client = Client::connect(&first).await?;
    let end = client.ask("main", "remember this").await?;
    first.stop().await?;

    with(home.start().await?, async |creel| {
        let mut client = Client::connect(creel).await?;
        let history = client.history("main").await?;
        assert!(history.contains(&("user".into(), "remember this".into())), "{history:?}");
        let said = |(role, text): &(String, String)| {
            role == "assistant" && end.deltas.concat().contains(text.trim())
        };
        assert!(history.iter().any(said), "{history:?} against {end:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_same_key_twice_is_one_message() -> Result<()> {
    let home = TestHome::new()?;
    with(home.start().await?, async |creel| {
        let mut client = Client::connect(creel).await?;
        let send = json!({"sessionKey": "main", "message": "once", "idempotencyKey": "the-key"});
        let first = client.call("chat.send", send.clone()).await?;
        let second = client.call("chat.send", send).await?;
        assert_eq!(first["runId"], second["runId"]);
        client.wait_final("the-key").await?;
        let history = client.history("main").await?;
        assert_eq!(
            history.iter().filter(|(role, text)| role == "user" && text == "once").count(),
            1,
            "{history:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_command_line_answers_too() -> Result<()> {
    let home = TestHome::new()?;
    with(home.start().await?, async |creel: &Creel| {
        let answer = creel.cli(&["agent", "--message", "hello"]).await?;
        assert!(answer.success()?.to_lowercase().contains("demo"), "{answer:?}");
        let sessions = creel.cli(&["sessions", "--json"]).await?.json()?;
        assert!(sessions.to_string().contains("agent:main:main"), "{sessions}");
        let health = creel_kit::http::get(creel.home().port(), "/health", &[]).await?;
        assert_eq!(health.status, 200, "{}", health.text);
        Ok(())
    })
    .await
}
