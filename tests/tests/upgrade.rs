//! Another program in place of the running supervisor while twenty agents answer: nobody notices.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use creel_ipc::msg::unit::UnitState;
use creel_kit::process::Process;
use creel_kit::telegram::texts;
use creel_kit::{Creel, TelegramHome, TestHome, binaries, deadline};
use fake_telegram::{Inject, control};
use serde_json::{Value, json};

use crate::with;

/// Agents, and as many channels: each agent has one of its own.
const MANY: i64 = 20;
/// How many of them are in the middle of an answer.
const ANSWERING: i64 = 6;
const WORDS: &str = "a reply that takes its time and must neither be lost nor come twice";

fn token(number: i64) -> String {
    format!("{}:fake-token", 2000 + number)
}

/// Agents, each behind an account of its own, and programs that can be replaced.
async fn agents(many: i64) -> Result<TelegramHome> {
    let home = TelegramHome::in_home(TestHome::installed()?).await?;
    let mut config = home.home.config()?;
    let telegram = config.pointer_mut("/channels/telegram").context("there is no telegram")?;
    telegram.as_object_mut().context("telegram is no table")?.remove("botToken");
    let accounts: serde_json::Map<String, Value> =
        (0..many).map(|n| (format!("t{n}"), json!({"botToken": token(n)}))).collect();
    telegram["accounts"] = accounts.into();
    config["agents"]["list"] = (0..many).map(|n| json!({"id": format!("a{n}")})).collect();
    config["bindings"] = (0..many)
        .map(|n| {
            json!({"agentId": format!("a{n}"), "match": {"channel": "telegram", "accountId": format!("t{n}")}})
        })
        .collect();
    home.home.write_config(&config)?;
    Ok(home)
}

/// Somebody writes to the bot of an account, in a chat that is only there.
fn say(home: &TelegramHome, number: i64, text: &str) -> Result<()> {
    let from = control::From { id: 100 + number, ..control::From::default() };
    let message =
        Inject { token: token(number), chat: 100 + number, from, text: text.to_owned(), ..Inject::default() };
    home.telegram.inject(message).map(drop).map_err(anyhow::Error::msg)
}

/// The processes of all units; all of them must run, and never have been started again.
async fn units(creel: &Creel) -> Result<BTreeMap<String, Process>> {
    let mut processes = BTreeMap::new();
    for unit in creel.status().await?.units {
        ensure!(unit.state == UnitState::Running && unit.restarts == 0, "{unit:?}");
        let pid = unit.pid.with_context(|| format!("{} has no process", unit.name))?;
        processes.insert(unit.name, Process::of(pid).context("it is gone")?);
    }
    Ok(processes)
}

/// The supervisor runs the file that is at its path now.
fn runs_what_is_there(home: &TestHome, creel: &Creel) -> Result<bool> {
    let running = File::open(format!("/proc/{}/exe", creel.supervisor().pid))?.metadata()?;
    let there = std::fs::metadata(home.binaries().join("creel"))?;
    Ok((running.dev(), running.ino()) == (there.dev(), there.ino()))
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_agents_and_twenty_channels_notice_nothing_in_the_middle_of_their_answers() -> Result<()> {
    let home = agents(MANY).await?;
    with(home.start().await?, async |creel: &Creel| {
        let own = creel.supervisor();
        let before = deadline::until("all units run", deadline::PATIENCE, async || {
            Ok(units(creel).await.ok().filter(|units| units.len() == 2 + 2 * MANY as usize))
        })
        .await?;

        // Answers that are being written, with an end that comes when this test says so.
        let model = home.model.control();
        model.keep_open(true);
        for number in 0..ANSWERING {
            say(&home, number, &format!("slow 6000 {WORDS} ({number})"))?;
        }
        for number in 0..ANSWERING {
            let end = format!("({number})");
            home.wait_asked(&end, |last| last.ends_with(&end)).await?;
        }
        let begun = model.stats().pieces;
        deadline::until("the answers begin", deadline::PATIENCE, async || {
            Ok((model.stats().pieces > begun).then_some(()))
        })
        .await?;

        for round in 1..=2 {
            home.home.replace_program("creel")?;
            ensure!(!runs_what_is_there(&home.home, creel)?, "the file was not replaced");
            let state = creel.cli(&["upgrade", "--json"]).await?.json()?;
            assert_eq!(
                (&state["phase"], &state["kept"], &state["number"]),
                (&json!("done"), &json!(before.len()), &json!(round)),
                "{state}"
            );
            ensure!(runs_what_is_there(&home.home, creel)?, "the supervisor runs its old program");
            assert_eq!(creel.supervisor(), own);
            ensure!(own.is_alive(), "the supervisor is another process");
            assert_eq!(units(creel).await?, before);
            // What comes in now goes its whole way, beside the answers that are open.
            let other = ANSWERING + round - 1;
            say(&home, other, "echo meanwhile")?;
        }
        // In the middle of the answers, not after them: otherwise this test shows nothing.
        assert_eq!(model.stats().finished, 0, "an answer was over before the upgrades");
        for number in 0..MANY {
            assert_eq!(
                said(&home, number),
                Vec::<String>::new(),
                "chat {number} was answered before the upgrades"
            );
        }
        let at_upgrade = model.stats().pieces;
        model.keep_open(false);

        for number in 0..ANSWERING {
            assert_eq!(wait_said(&home, number, 1).await?, [format!("{WORDS} ({number})")]);
        }
        assert!(model.stats().pieces >= at_upgrade + ANSWERING as u64, "the answers did not go on");
        for number in ANSWERING..ANSWERING + 2 {
            assert_eq!(wait_said(&home, number, 1).await?, ["meanwhile"]);
        }
        // Once: what follows comes right behind it, from every one of the twenty.
        for number in 0..MANY {
            say(&home, number, "echo next")?;
        }
        for number in 0..MANY {
            let mut expected = match number {
                _ if number < ANSWERING => vec![format!("{WORDS} ({number})")],
                _ if number < ANSWERING + 2 => vec!["meanwhile".to_owned()],
                _ => Vec::new(),
            };
            expected.push("next".to_owned());
            assert_eq!(wait_said(&home, number, expected.len()).await?, expected, "chat {number}");
        }
        assert_eq!(model.asked().len(), (ANSWERING + 2 + MANY) as usize, "a request was made twice");
        assert_eq!(units(creel).await?, before);

        let events = creel.cli(&["events", "--json"]).await?;
        let upgraded =
            events.success()?.lines().filter(|line| line.contains("\"supervisor_upgraded\"")).count();
        assert_eq!(upgraded, 2, "{}", events.stdout);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_cannot_go_on_with_the_database_is_found_before_anything_changes() -> Result<()> {
    let home = agents(1).await?;
    with(home.start().await?, async |creel: &Creel| {
        let before = deadline::until("all units run", deadline::PATIENCE, async || {
            Ok(units(creel).await.ok().filter(|units| units.len() == 4))
        })
        .await?;
        let checked = creel.cli(&["upgrade", "--check", "--json"]).await?.json()?;
        assert_eq!(checked["phase"], "done", "{checked}");
        // As a newer Creel would have left it; the gateway that runs has looked long ago.
        let database = rusqlite::Connection::open(home.home.path().join("state/creel.db"))?;
        database.pragma_update(None, "user_version", 99)?;
        let refused = creel.cli(&["upgrade"]).await?;
        assert_ne!(refused.code, Some(0), "{refused:?}");
        let words = "it has schema 99, and this Creel knows schemas up to";
        ensure!(
            refused.stderr.contains(words) && refused.stderr.contains("Nothing was changed"),
            "{refused:?}"
        );
        assert_eq!(units(creel).await?, before);
        say(&home, 0, "echo still here")?;
        assert_eq!(wait_said(&home, 0, 1).await?, ["still here"]);
        Ok(())
    })
    .await
}

fn said(home: &TelegramHome, number: i64) -> Vec<String> {
    texts(&home.telegram.sent(), 100 + number)
}

async fn wait_said(home: &TelegramHome, number: i64, count: usize) -> Result<Vec<String>> {
    home.wait_said(100 + number, count).await
}

/// The units whose processes are others than before.
fn moved(before: &BTreeMap<String, Process>, now: &BTreeMap<String, Process>) -> Vec<String> {
    before
        .iter()
        .filter(|(name, process)| now.get(*name) != Some(process))
        .map(|(name, _)| name.clone())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn units_are_moved_to_their_new_programs_when_they_are_idle_and_not_before() -> Result<()> {
    const MOVED: i64 = 3;
    let home = agents(MOVED).await?;
    with(home.start().await?, async |creel: &Creel| {
        let before = deadline::until("all units run", deadline::PATIENCE, async || {
            Ok(units(creel).await.ok().filter(|units| units.len() == 2 + 2 * MOVED as usize))
        })
        .await?;
        let model = home.model.control();
        model.keep_open(true);
        say(&home, 0, &format!("slow 500 {WORDS}"))?;
        home.wait_asked("an answer", |last| last.ends_with(WORDS)).await?;
        for name in binaries::NAMES {
            home.home.replace_program(name)?;
        }

        // Without being asked for, nothing is moved.
        let state = creel.cli(&["upgrade", "--no-roll", "--json"]).await?.json()?;
        let left = state["left"].as_array().context("there is no list")?.len();
        assert_eq!((&state["phase"], left), (&json!("done"), before.len()), "{state}");
        assert_eq!(units(creel).await?, before);

        let rolls = tokio::spawn({
            let home = home.home.clone();
            async move { home.cli_within(&["upgrade", "--json"], Duration::from_secs(150)).await }
        });
        let busy = ["agent:a0", "egress"];
        let idle: Vec<String> =
            before.keys().filter(|name| !busy.contains(&name.as_str())).cloned().collect();
        deadline::until("all but the busy ones are moved", deadline::PATIENCE, async || {
            Ok(units(creel).await.ok().filter(|now| moved(&before, now) == idle))
        })
        .await?;
        assert_eq!(model.stats().finished, 0, "the answer was over before the others were moved");
        assert_eq!(said(&home, 0), Vec::<String>::new());
        // For a busy one, and for an idle one of the same platform.
        say(&home, 1, "echo beside")?;
        say(&home, 0, "echo behind")?;
        assert_eq!(moved(&before, &units(creel).await?), idle, "the busy ones were not waited for");
        model.keep_open(false);

        assert_eq!(wait_said(&home, 0, 2).await?, [WORDS, "behind"]);
        assert_eq!(wait_said(&home, 1, 1).await?, ["beside"]);
        let state = rolls.await??.json()?;
        assert_eq!((&state["phase"], &state["left"]), (&json!("done"), &json!([])), "{state}");
        let mut rolled: Vec<String> = serde_json::from_value(state["rolled"].clone())?;
        assert_eq!(rolled.first().map(String::as_str), Some("gateway"));
        rolled.sort();
        assert_eq!(rolled, before.keys().cloned().collect::<Vec<_>>());
        assert_eq!(moved(&before, &units(creel).await?), rolled);

        for number in 0..MOVED {
            say(&home, number, "echo next")?;
        }
        assert_eq!(wait_said(&home, 0, 3).await?, [WORDS, "behind", "next"]);
        assert_eq!(wait_said(&home, 1, 2).await?, ["beside", "next"]);
        assert_eq!(wait_said(&home, 2, 1).await?, ["next"]);
        assert_eq!(model.asked().len(), 6, "a request was made twice");
        Ok(())
    })
    .await
}
