//! Workers between two pieces of work, and new work that is held back from them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use creel_ipc::msg::supervisor::{UnitDrainParams, UnitLife};
use creel_ipc::msg::unit::{UnitState, UnitStatus};

use super::kit::*;
use crate::drain::{changed, drain};

const CHANNEL: &str = "channel:telegram:default";

fn asked(unit: &str, incarnation: u64) -> UnitDrainParams {
    let workers = vec![UnitLife { unit: unit.to_owned(), incarnation }];
    UnitDrainParams { unit: unit.to_owned(), incarnation, workers, deadline_ms: 0 }
}

fn running(unit: &str, incarnation: u64) -> UnitStatus {
    serde_json::from_value(serde_json::json!({
        "name": unit, "kind": "agent", "state": UnitState::Running, "incarnation": incarnation, "restarts": 0,
    }))
    .unwrap()
}

#[tokio::test]
async fn an_agent_is_idle_between_its_turns_and_gets_no_new_one_before_its_next_life() {
    let home = Home::new(OPEN);
    let gateway = home.gateway().await;
    let (world, platform) = (Arc::new(World::default()), Arc::new(Platform::default()));
    let (first, channel) = (agent(1, &world), channel(1, &platform));
    gateway.attach(&first, true);
    gateway.attach(&channel, true);
    world.hold.store(true, Ordering::SeqCst);
    say(&channel, &direct("u1", "7", "one")).await.unwrap();
    eventually("the turn", || world.held.load(Ordering::SeqCst) == 1).await;
    assert!(!drain(&gateway.core, asked("agent:main", 1)).await.idle, "a turn is open");
    // A no holds nothing back: another chat gets its turn.
    say(&channel, &direct("u2", "8", "two")).await.unwrap();
    eventually("the other turn", || world.held.load(Ordering::SeqCst) == 2).await;

    // It waits for the turns' ends.
    let patient = UnitDrainParams { deadline_ms: 30_000, ..asked("agent:main", 1) };
    let core = Arc::clone(&gateway.core);
    let waits = tokio::spawn(async move { drain(&core, patient).await.idle });
    eventually("the hold", || gateway.core.state().drains.hold("agent:main")).await;
    world.release();
    assert!(waits.await.unwrap());
    eventually("both replies", || platform.texts().len() == 2).await;

    // What comes in now is stored and waits, whichever way it comes.
    say(&channel, &direct("u3", "7", "three")).await.unwrap();
    say(&channel, &direct("u4", "9", "four")).await.unwrap();
    assert!(drain(&gateway.core, asked("agent:main", 1)).await.idle, "new work was begun");
    assert_eq!(world.begun.lock().unwrap().len(), 2);

    first.kill().await;
    let next = agent(2, &world);
    gateway.attach(&next, true);
    changed(&gateway.core, &running("agent:main", 2));
    eventually("all replies", || platform.texts().len() == 4).await;
    assert_eq!((platform.in_chat("7").len(), platform.in_chat("9").len()), (2, 1));
    assert_eq!(world.begun.lock().unwrap().len(), 4, "a turn was begun twice");
}

#[tokio::test]
async fn an_account_is_idle_when_nothing_is_on_its_way_and_its_outbox_waits() {
    let home = Home::new(OPEN);
    let gateway = home.gateway().await;
    let (world, platform) = (Arc::new(World::default()), Arc::new(Platform::default()));
    let (agent, first) = (agent(1, &world), channel(1, &platform));
    gateway.attach(&agent, true);
    gateway.attach(&first, true);
    platform.mute.store(true, Ordering::SeqCst);
    say(&first, &direct("u1", "7", "one")).await.unwrap();
    eventually("the send", || platform.taken.load(Ordering::SeqCst) == 1).await;
    assert!(!drain(&gateway.core, asked(CHANNEL, 1)).await.idle, "a message is on its way");

    // A gateway that takes over knows of it, too, before it has asked the worker.
    gateway.crash();
    let gateway = home.gateway().await;
    assert!(!drain(&gateway.core, asked(CHANNEL, 1)).await.idle, "nobody has it yet");
    gateway.attach(&agent, false);
    gateway.attach(&first, false);
    platform.mute.store(false, Ordering::SeqCst);
    let patient = UnitDrainParams { deadline_ms: 30_000, ..asked(CHANNEL, 1) };
    assert!(drain(&gateway.core, patient).await.idle);

    say(&first, &direct("u2", "7", "two")).await.unwrap();
    eventually("the turn's end", || world.endings.lock().unwrap().len() == 2).await;
    assert!(drain(&gateway.core, asked(CHANNEL, 1)).await.idle, "it was sent on");
    assert_eq!(platform.texts(), ["echo: one"]);
    first.kill().await;
    let next = channel(2, &platform);
    gateway.attach(&next, true);
    changed(&gateway.core, &running(CHANNEL, 2));
    eventually("the reply", || platform.texts() == ["echo: one", "echo: two"]).await;
}

#[tokio::test]
async fn what_was_held_back_is_not_said_through_a_life_that_is_over() {
    let home = Home::new(OPEN);
    let gateway = home.gateway().await;
    let (world, platform) = (Arc::new(World::default()), Arc::new(Platform::default()));
    let (agent, first) = (agent(1, &world), channel(1, &platform));
    gateway.attach(&agent, true);
    gateway.attach(&first, true);
    eventually("the worker", || gateway.core.state().workers.get(CHANNEL).is_some_and(|worker| worker.ready))
        .await;
    assert!(drain(&gateway.core, UnitDrainParams { deadline_ms: 30_000, ..asked(CHANNEL, 1) }).await.idle);
    say(&first, &direct("u1", "7", "one")).await.unwrap();
    eventually("the turn's end", || world.endings.lock().unwrap().len() == 1).await;
    // The supervisor tells of the next life before the link of the last one has ended.
    changed(&gateway.core, &running(CHANNEL, 2));
    eventually("the end of the link", || {
        gateway.core.state().workers.get(CHANNEL).is_none_or(|worker| worker.gone.is_cancelled())
    })
    .await;
    assert_eq!(platform.taken.load(Ordering::SeqCst), 0);
    first.kill().await;
    let next = channel(2, &platform);
    gateway.attach(&next, true);
    eventually("the reply", || platform.texts() == ["echo: one"]).await;
}
