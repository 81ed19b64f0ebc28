use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use creel_ipc::msg::agent::{StepEnd, StepEndParams, TurnDone, TurnDoneParams, TurnOutcome, TurnRef};
use creel_ipc::msg::transcript::{Block, Entry, Usage};
use creel_ipc::{ErrorClass, msg::agent::Reply};
use tokio::time::Instant;

use super::kit::*;
use crate::hub::*;
use crate::lane;

#[tokio::test]
async fn a_turn_whose_agent_died_goes_on_from_its_journal() {
    let home = Home::new(OPEN);
    let gateway = home.gateway().await;
    let (world, platform) = (Arc::new(World::default()), Arc::new(Platform::default()));
    world.hold.store(true, Ordering::SeqCst);
    let (first, channel) = (agent(1, &world), channel(1, &platform));
    gateway.attach(&first, true);
    gateway.attach(&channel, true);
    say(&channel, &direct("u1", "7", "hello")).await.unwrap();
    eventually("the turn behind its tool", || world.held.load(Ordering::SeqCst) == 1).await;
    first.kill().await;
    world.release();
    let second = agent(2, &world);
    gateway.attach(&second, true);
    eventually("the reply", || platform.texts() == ["echo: hello"]).await;
    assert_eq!(world.effects_of("hello"), 1, "the finished step is not repeated");
    let begun = world.begun.lock().unwrap();
    assert_eq!(begun.len(), 2);
    assert_eq!(begun[0].turn.turn, begun[1].turn.turn);
    assert!(begun[1].turn.epoch > begun[0].turn.epoch);
    assert_eq!(begun[1].journal, 1);
}

#[tokio::test]
async fn a_message_that_fells_its_agent_is_set_aside_and_the_lane_goes_on() {
    let home = Home::new(OPEN);
    let gateway = home.gateway().await;
    let (world, platform) = (Arc::new(World::default()), Arc::new(Platform::default()));
    world.hold.store(true, Ordering::SeqCst);
    let channel = channel(1, &platform);
    gateway.attach(&channel, true);
    say(&channel, &direct("u1", "7", "poison")).await.unwrap();
    say(&channel, &direct("u2", "7", "next")).await.unwrap();
    // The first life gets as far as its tool; it and the next four fall where it stood.
    for life in 1..=5 {
        let agent = agent(life, &world);
        gateway.attach(&agent, true);
        // Killed lives stay counted.
        eventually("the held turn", || world.held.load(Ordering::SeqCst) == usize::try_from(life).unwrap())
            .await;
        agent.kill().await;
    }
    world.release();
    let last = agent(6, &world);
    gateway.attach(&last, true);
    eventually("both replies", || platform.texts().len() == 2).await;
    let texts = platform.texts();
    assert!(texts[0].contains("fell 5 times"), "{texts:?}");
    assert_eq!(texts[1], "echo: next");
    let parked = gateway.core.inbox_list(10).await.unwrap();
    assert_eq!((parked.len(), parked[0].text.as_str(), parked[0].attempts), (1, "poison", 5));
    assert_eq!(gateway.core.inbox_retry(parked[0].id).await.unwrap(), parked[0].session_key);
    eventually("the answer after all", || platform.texts().len() == 3).await;
    assert_eq!(platform.texts()[2], "echo: poison");
    assert!(gateway.core.inbox_list(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn how_often_an_agent_may_fall_is_configured() {
    let home = Home::new(&OPEN.replace("messages: {", "messages: { inbound: { parkAfter: 1 }, "));
    let gateway = home.gateway().await;
    let (world, platform) = (Arc::new(World::default()), Arc::new(Platform::default()));
    world.hold.store(true, Ordering::SeqCst);
    let channel = channel(1, &platform);
    gateway.attach(&channel, true);
    say(&channel, &direct("u1", "7", "poison")).await.unwrap();
    let first = agent(1, &world);
    gateway.attach(&first, true);
    eventually("the held turn", || world.held.load(Ordering::SeqCst) == 1).await;
    first.kill().await;
    let paused = |hub: Hub| async move {
        let rows = hub.sessions_list(SessionFilter::default()).await.unwrap();
        (rows[0].phase == SessionPhase::Paused).then_some(())
    };
    gateway.until("the pause", paused).await;
    let last = agent(2, &world);
    gateway.attach(&last, true);
    eventually("the notice", || platform.texts().len() == 1).await;
    assert!(platform.texts()[0].contains("fell once"), "{:?}", platform.texts());
    let session = gateway.hub.sessions_list(SessionFilter::default()).await.unwrap().remove(0);
    assert_eq!(session.phase, SessionPhase::Active, "it goes on without the message");
    let parked = gateway.core.inbox_list(10).await.unwrap();
    gateway.core.inbox_drop(parked[0].id).await.unwrap();
    assert!(gateway.core.inbox_list(10).await.unwrap().is_empty());
}

/// Each gateway claims the turn and dies before any agent has it: nobody fell, however often that happens.
#[tokio::test]
async fn gateways_that_die_set_no_message_aside() {
    let home = Home::new(&OPEN.replace("messages: {", "messages: { inbound: { parkAfter: 1 }, "));
    let (world, platform) = (Arc::new(World::default()), Arc::new(Platform::default()));
    let channel = channel(1, &platform);
    let mut gateway = home.gateway().await;
    gateway.attach(&channel, true);
    say(&channel, &direct("u1", "7", "hello")).await.unwrap();
    for _ in 0..3 {
        let claim = lane::claim_of(&gateway.core, "agent:main:telegram:direct:7");
        let claimed = gateway.core.desk.write(move |store| store.claim_lane(&claim)).await.unwrap().unwrap();
        assert_eq!(claimed.falls, 0);
        gateway.crash();
        gateway = home.gateway().await;
        gateway.attach(&channel, false);
    }
    let agent = agent(1, &world);
    gateway.attach(&agent, true);
    eventually("the answer", || platform.texts() == ["echo: hello"]).await;
}

#[tokio::test]
async fn a_new_gateway_takes_over_in_the_middle_and_the_reply_comes_once() {
    let home = Home::new(OPEN);
    let (world, platform) = (Arc::new(World::default()), Arc::new(Platform::default()));
    world.hold.store(true, Ordering::SeqCst);
    let (agent, channel) = (agent(1, &world), channel(1, &platform));
    let gateway = home.gateway().await;
    gateway.attach(&agent, true);
    gateway.attach(&channel, true);
    say(&channel, &direct("u1", "7", "hello")).await.unwrap();
    eventually("the turn behind its tool", || world.held.load(Ordering::SeqCst) == 1).await;
    gateway.crash();
    // The agent ends its turn while there is no gateway at all.
    world.release();
    let message = direct("u2", "7", "while you were out");
    let waiting = say(&channel, &message);
    let successor = home.gateway().await;
    successor.attach(&agent, false);
    successor.attach(&channel, false);
    assert!(!waiting.await.unwrap().duplicate);
    eventually("both replies", || platform.texts().len() == 2).await;
    assert_eq!(platform.texts(), ["echo: hello", "echo: while you were out"]);
    assert_eq!(world.effects_of("hello"), 1);
    assert_eq!(world.begun.lock().unwrap().len(), 2, "the running turn was taken over, not begun again");
    eventually("both endings", || world.endings.lock().unwrap().len() == 2).await;
    assert!(world.endings.lock().unwrap().iter().all(Result::is_ok));
}

/// A turn that is let go of because the gateway ends is free at that moment, and its agent still runs it.
#[tokio::test]
async fn a_gateway_that_ends_takes_nothing_up_again_that_its_agent_runs() {
    const LANE: &str = "agent:main:telegram:direct:7";
    for before in [false, true] {
        let home = Home::new(OPEN);
        let (world, platform) = (Arc::new(World::default()), Arc::new(Platform::default()));
        world.hold.store(true, Ordering::SeqCst);
        let (agent, channel) = (agent(1, &world), channel(1, &platform));
        let gateway = home.gateway().await;
        gateway.attach(&agent, true);
        gateway.attach(&channel, true);
        say(&channel, &direct("u1", "7", "hello")).await.unwrap();
        eventually("the turn behind its tool", || world.held.load(Ordering::SeqCst) == 1).await;
        let core = Arc::clone(&gateway.core);
        {
            // Whoever looks for work stands before this door already, or comes to it when the end has begun.
            let mut state = core.state();
            if before {
                core.wake.notify_one();
                std::thread::sleep(Duration::from_millis(50));
            }
            core.stopping.cancel();
            state.lanes.ended(LANE, true, Instant::now(), Duration::ZERO);
            core.wake.notify_one();
        }
        gateway.crash();
        assert!(!core.state().lanes.is_running(LANE), "it was taken up once more");
        let successor = home.gateway().await;
        successor.attach(&agent, false);
        successor.attach(&channel, false);
        world.release();
        eventually("the reply", || platform.texts() == ["echo: hello"]).await;
        let begun = world.begun.lock().unwrap();
        assert!(begun.len() == 1, "it was begun once more: {begun:?}");
    }
}

#[tokio::test]
async fn gateways_that_die_at_any_moment_lose_nothing_and_double_nothing() {
    let home = Home::new(OPEN);
    let (world, platform) = (Arc::new(World::default()), Arc::new(Platform::default()));
    let (agent, channel) = (agent(1, &world), channel(1, &platform));
    let link = channel.link.clone();
    let speaker = tokio::spawn(async move {
        for number in 0..30 {
            let message = direct(&format!("u{number}"), &(number % 3).to_string(), &format!("m{number:02}"));
            link.call::<creel_ipc::msg::channel::InboundMessage>(&message).await.unwrap();
        }
    });
    for life in 0..6_u32 {
        let gateway = home.gateway().await;
        gateway.attach(&agent, life == 0);
        gateway.attach(&channel, life == 0);
        let wanted = usize::try_from(life + 1).unwrap() * 4;
        eventually("some progress", || platform.texts().len() >= wanted.min(20)).await;
        gateway.crash();
    }
    let last = home.gateway().await;
    last.attach(&agent, false);
    last.attach(&channel, false);
    speaker.await.unwrap();
    eventually("all replies", || platform.texts().len() >= 30).await;
    last.until("all rows as sent", |hub| async move {
        let rows = hub.outbox_list(100).await.unwrap();
        (rows.len() == 30 && rows.iter().all(|row| row.state == OutboxState::Sent)).then_some(())
    })
    .await;
    for person in 0..3 {
        let expected: Vec<String> =
            (0..30).filter(|n| n % 3 == person).map(|n| format!("echo: m{n:02}")).collect();
        assert_eq!(platform.in_chat(&person.to_string()), expected);
    }
    assert!(world.effects.lock().unwrap().values().all(|times| *times == 1));
}

/// Ends a turn with a token that another life of the turn has outdated. Says whether that was refused.
async fn stale_ending_refused(home: Home) -> bool {
    let gateway = home.gateway().await;
    let (world, platform) = (Arc::new(World::default()), Arc::new(Platform::default()));
    world.hold.store(true, Ordering::SeqCst);
    let (first, channel) = (agent(1, &world), channel(1, &platform));
    gateway.attach(&first, true);
    gateway.attach(&channel, true);
    say(&channel, &direct("u1", "7", "hello")).await.unwrap();
    eventually("the turn behind its tool", || world.held.load(Ordering::SeqCst) == 1).await;
    first.kill().await;
    world.held.store(0, Ordering::SeqCst);
    let second = agent(2, &world);
    gateway.attach(&second, true);
    eventually("the second life", || world.begun.lock().unwrap().len() == 2).await;
    let old: TurnRef = world.begun.lock().unwrap()[0].turn.clone();
    let entry = Entry::ToolResult {
        tool_call_id: "c9".to_owned(),
        tool_name: "exec".to_owned(),
        content: vec![Block::text("from the dead")],
        is_error: false,
        timestamp: 1,
    };
    let step = second.link.call::<StepEnd>(&StepEndParams { turn: old.clone(), step: 9, entry }).await;
    let done = second
        .link
        .call::<TurnDone>(&TurnDoneParams {
            turn: old,
            outcome: TurnOutcome::Done,
            error: None,
            replies: vec![Reply { text: "from the dead".to_owned(), attachments: Vec::new() }],
            usage: Usage::default(),
        })
        .await;
    let conflict = |error: creel_link::CallError| error.class() == ErrorClass::Conflict;
    let refused = step.is_err_and(conflict) && done.is_err_and(conflict);
    world.release();
    eventually("a reply", || !platform.texts().is_empty()).await;
    refused && platform.texts() == ["echo: hello"]
}

#[tokio::test]
async fn the_end_of_a_turn_is_refused_from_a_life_that_is_over() {
    assert!(stale_ending_refused(Home::new(OPEN)).await);
}

#[tokio::test]
async fn control_without_epochs_the_same_test_fails() {
    assert!(!stale_ending_refused(Home::without_rules(OPEN)).await);
}

#[tokio::test]
async fn what_no_disk_can_take_is_not_acknowledged() {
    let home = Home::new(OPEN);
    let gateway = home.gateway().await;
    let platform = Arc::new(Platform::default());
    let channel = channel(1, &platform);
    gateway.attach(&channel, true);
    assert!(!say(&channel, &direct("u1", "7", "fits")).await.unwrap().duplicate);
    gateway.core.desk.write(|store| store.limit_pages()).await.unwrap();
    let big = "x".repeat(500_000);
    let refusal = say(&channel, &direct("u2", "7", &big)).await.unwrap_err();
    assert_eq!(refusal.class(), ErrorClass::Transient, "{refusal}");
    let health = gateway.hub.health().await;
    assert!(!health.store_ok && !health.ready, "{health:?}");
}
