use std::sync::Arc;
use std::sync::atomic::Ordering;

use creel_ipc::msg::agent::TurnOutcome;
use creel_ipc::msg::channel::ChatKind;
use creel_ipc::msg::transcript::Entry;

use super::kit::*;
use crate::hub::*;

#[tokio::test]
async fn a_message_is_answered_once_however_often_it_comes() {
    let home = Home::new(OPEN);
    let gateway = home.gateway().await;
    let (world, platform) = (Arc::new(World::default()), Arc::new(Platform::default()));
    let (agent, channel) = (agent(1, &world), channel(1, &platform));
    gateway.attach(&agent, true);
    gateway.attach(&channel, true);
    assert!(!say(&channel, &direct("u1", "7", "hello")).await.unwrap().duplicate);
    for _ in 0..3 {
        assert!(say(&channel, &direct("u1", "7", "hello")).await.unwrap().duplicate);
    }
    eventually("the reply", || platform.texts() == ["echo: hello"]).await;
    gateway
        .until("the row as sent", |hub| async move {
            let rows = hub.outbox_list(10).await.unwrap();
            (rows.len() == 1 && rows[0].state == OutboxState::Sent).then_some(())
        })
        .await;
    assert_eq!(world.begun.lock().unwrap().len(), 1);
    assert_eq!(world.effects_of("hello"), 1);
}

#[tokio::test]
async fn the_transcript_holds_the_question_the_steps_and_who_asked() {
    let home = Home::new(OPEN);
    let gateway = home.gateway().await;
    let (world, platform) = (Arc::new(World::default()), Arc::new(Platform::default()));
    let (agent, channel) = (agent(1, &world), channel(1, &platform));
    gateway.attach(&agent, true);
    gateway.attach(&channel, true);
    say(&channel, &direct("u1", "7", "hello")).await.unwrap();
    eventually("the reply", || platform.texts().len() == 1).await;
    let sessions = gateway.hub.sessions_list(SessionFilter::default()).await.unwrap();
    assert_eq!(sessions.len(), 1);
    let session = &sessions[0];
    assert_eq!(session.key, "agent:main:telegram:direct:7");
    assert_eq!(
        (session.entries, session.title.as_deref(), session.channel.as_deref()),
        (2, Some("Person 7"), Some("telegram"))
    );
    let history = gateway.hub.chat_history(&session.key, 10).await.unwrap();
    assert!(matches!(&history[0].entry, Entry::User { .. }));
    assert!(matches!(&history[1].entry, Entry::ToolResult { .. }));
    say(&channel, &direct("u2", "7", "again")).await.unwrap();
    eventually("the second turn", || world.begun.lock().unwrap().len() == 2).await;
    assert_eq!(world.begun.lock().unwrap()[1].history, 2);
}

#[tokio::test]
async fn turns_of_one_session_never_overlap_and_keep_their_order() {
    let home = Home::new(OPEN);
    let gateway = home.gateway().await;
    let (world, platform) = (Arc::new(World::default()), Arc::new(Platform::default()));
    let (agent, channel) = (agent(1, &world), channel(1, &platform));
    gateway.attach(&agent, true);
    gateway.attach(&channel, true);
    let messages: Vec<String> = (0..40).map(|number| format!("m{number:02}")).collect();
    // All of them are on their way before the first is answered.
    let calls = messages.iter().map(|text| {
        let message = direct(text, "7", text);
        let link = channel.link.clone();
        async move { link.call::<creel_ipc::msg::channel::InboundMessage>(&message).await.unwrap() }
    });
    futures_util::future::join_all(calls).await;
    let expected: Vec<String> = messages.iter().map(|text| format!("echo: {text}")).collect();
    eventually("all replies", || platform.texts().len() == 40).await;
    assert_eq!(platform.texts(), expected);
    assert_eq!(world.most_at_once.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn sessions_run_side_by_side_up_to_the_cap() {
    let home = Home::new(OPEN);
    let gateway = home.gateway().await;
    let (world, platform) = (Arc::new(World::default()), Arc::new(Platform::default()));
    world.hold.store(true, Ordering::SeqCst);
    let (agent, channel) = (agent(1, &world), channel(1, &platform));
    gateway.attach(&agent, true);
    gateway.attach(&channel, true);
    for person in 0..7 {
        say(&channel, &direct(&format!("u{person}"), &person.to_string(), "hi")).await.unwrap();
    }
    eventually("four turns", || world.held.load(Ordering::SeqCst) == 4).await;
    assert_eq!(world.begun.lock().unwrap().len(), 4);
    world.release();
    eventually("all replies", || platform.texts().len() == 7).await;
    assert_eq!(world.most_at_once.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn messages_behind_a_running_turn_are_answered_together() {
    let home = Home::new(&OPEN.replace("mode: \"followup\"", "mode: \"collect\", debounceMs: 50"));
    let gateway = home.gateway().await;
    let (world, platform) = (Arc::new(World::default()), Arc::new(Platform::default()));
    world.hold.store(true, Ordering::SeqCst);
    let (agent, channel) = (agent(1, &world), channel(1, &platform));
    gateway.attach(&agent, true);
    gateway.attach(&channel, true);
    say(&channel, &direct("u0", "7", "first")).await.unwrap();
    eventually("the first turn", || world.held.load(Ordering::SeqCst) == 1).await;
    for text in ["a", "b", "c"] {
        say(&channel, &direct(text, "7", text)).await.unwrap();
    }
    world.release();
    eventually("both replies", || platform.texts().len() == 2).await;
    assert_eq!(platform.texts(), ["echo: first", "echo: a | b | c"]);
}

#[tokio::test]
async fn a_group_is_answered_when_it_asks_and_what_was_said_before_comes_along() {
    let home = Home::new(OPEN);
    let gateway = home.gateway().await;
    let (world, platform) = (Arc::new(World::default()), Arc::new(Platform::default()));
    let (agent, channel) = (agent(1, &world), channel(1, &platform));
    gateway.attach(&agent, true);
    gateway.attach(&channel, true);
    for (number, text, mentioned) in
        [(1, "lunch?", false), (2, "pizza", false), (3, "what do you think?", true)]
    {
        let mut message = direct(&format!("g{number}"), "7", text);
        message.chat.kind = ChatKind::Group;
        message.chat.id = "-100".to_owned();
        message.chat.title = Some("Friends".to_owned());
        message.mentioned = mentioned;
        say(&channel, &message).await.unwrap();
    }
    eventually("the reply", || platform.in_chat("-100").len() == 1).await;
    let begun = world.begun.lock().unwrap().clone();
    assert_eq!(begun.len(), 1);
    let input: Vec<(&str, bool)> =
        begun[0].input.iter().map(|input| (input.text.as_str(), input.context_only)).collect();
    assert_eq!(input, [("lunch?", true), ("pizza", true), ("what do you think?", false)]);
    assert_eq!(begun[0].session.key, "agent:main:telegram:group:-100");
    assert_eq!(begun[0].input[0].sender.as_deref(), Some("Person 7"));
}

#[tokio::test]
async fn the_web_page_writes_through_the_same_lane_and_hears_of_it_by_events() {
    let home = Home::new(OPEN);
    let gateway = home.gateway().await;
    let world = Arc::new(World::default());
    let agent = agent(1, &world);
    gateway.attach(&agent, true);
    let mut events = gateway.hub.subscribe();
    let send = ChatSend {
        session_key: "main".to_owned(),
        message: "hello".to_owned(),
        idempotency_key: "run-1".to_owned(),
        client: "test".to_owned(),
        attachments: Vec::new(),
    };
    let accepted = gateway.hub.chat_send(send.clone()).await.unwrap();
    assert_eq!((accepted.run_id.as_str(), accepted.duplicate), ("run-1", false));
    let status = gateway.hub.run_wait("run-1", 30_000).await.unwrap();
    assert_eq!(status.state, RunState::Ended(TurnOutcome::Done));
    assert_eq!(status.text.as_deref(), Some("echo: hello"));
    assert!(gateway.hub.chat_send(send).await.unwrap().duplicate);
    assert!(gateway.hub.outbox_list(10).await.unwrap().is_empty(), "the web page has no outbox");
    let mut names = Vec::new();
    while let Ok(event) = events.try_recv() {
        match event {
            CoreEvent::RunStarted { run, .. } => names.push(format!("started {run}")),
            CoreEvent::RunEnded { run, text, .. } => names.push(format!("ended {run} {text}")),
            _ => {}
        }
    }
    assert_eq!(names, ["started run-1", "ended run-1 echo: hello"]);
    assert_eq!(gateway.hub.run_wait("nothing", 10).await.unwrap_err().class, HubClass::NotFound);
}

#[tokio::test]
async fn a_word_begins_the_session_afresh() {
    let home = Home::new(OPEN);
    let gateway = home.gateway().await;
    let (world, platform) = (Arc::new(World::default()), Arc::new(Platform::default()));
    let (agent, channel) = (agent(1, &world), channel(1, &platform));
    gateway.attach(&agent, true);
    gateway.attach(&channel, true);
    for (id, text) in [("u1", "one"), ("u2", "/new"), ("u3", "two"), ("u4", "/reset three")] {
        say(&channel, &direct(id, "7", text)).await.unwrap();
    }
    eventually("all replies", || platform.texts().len() == 4).await;
    assert_eq!(platform.texts(), ["echo: one", "A new session begins.", "echo: two", "echo: three"]);
    let begun = world.begun.lock().unwrap();
    let ids: std::collections::HashSet<&str> = begun.iter().map(|start| start.session.id.as_str()).collect();
    assert_eq!((begun.len(), ids.len()), (3, 3));
    assert!(begun.iter().skip(2).all(|start| start.history == 0));
}
