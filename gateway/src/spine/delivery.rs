use std::sync::Arc;
use std::sync::atomic::Ordering;

use creel_ipc::{ErrorClass, RpcError};

use super::kit::*;
use crate::hub::*;

fn send(to: &str, text: &str) -> SendRequest {
    SendRequest {
        channel: "telegram".to_owned(),
        account: None,
        to: to.to_owned(),
        text: text.to_owned(),
        idempotency_key: format!("{to}-{text}"),
    }
}

async fn states(gateway: &Gateway) -> Vec<OutboxState> {
    gateway.hub.outbox_list(10).await.unwrap().iter().map(|row| row.state).collect()
}

#[tokio::test]
async fn what_a_dead_worker_had_is_unknown_and_never_said_again() {
    let home = Home::new(OPEN);
    let gateway = home.gateway().await;
    let platform = Arc::new(Platform::default());
    platform.mute.store(true, Ordering::SeqCst);
    let first = channel(1, &platform);
    gateway.attach(&first, true);
    gateway.hub.send(send("7", "hello")).await.unwrap();
    eventually("the send", || platform.taken.load(Ordering::SeqCst) == 1).await;
    assert_eq!(states(&gateway).await, [OutboxState::Attempting]);
    first.kill().await;
    gateway
        .until("unknown", |hub| async move {
            (hub.outbox_list(1).await.unwrap()[0].state == OutboxState::Unknown).then_some(())
        })
        .await;
    platform.mute.store(false, Ordering::SeqCst);
    let second = channel(2, &platform);
    gateway.attach(&second, true);
    gateway.hub.send(send("7", "next")).await.unwrap();
    eventually("the next one", || platform.texts() == ["hello", "next"]).await;
    gateway
        .until("the counts", |hub| async move {
            let row = &hub.channels_status().await[0];
            (row.unknown == 1 && row.queued == 0).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_gateway_and_a_worker_that_die_together_leave_it_unknown() {
    let home = Home::new(OPEN);
    let gateway = home.gateway().await;
    let platform = Arc::new(Platform::default());
    platform.mute.store(true, Ordering::SeqCst);
    let first = channel(1, &platform);
    gateway.attach(&first, true);
    gateway.hub.send(send("7", "hello")).await.unwrap();
    eventually("the send", || platform.taken.load(Ordering::SeqCst) == 1).await;
    gateway.crash();
    first.kill().await;
    platform.mute.store(false, Ordering::SeqCst);
    let successor = home.gateway().await;
    // A whole new supervisor counts from one again: only the number is the same.
    let second = channel(1, &platform);
    successor.attach(&second, true);
    successor
        .until("unknown", |hub| async move {
            (hub.outbox_list(1).await.unwrap()[0].state == OutboxState::Unknown).then_some(())
        })
        .await;
    assert_eq!(platform.texts(), ["hello"]);
}

#[tokio::test]
async fn a_new_gateway_asks_the_same_worker_for_the_same_key() {
    let home = Home::new(OPEN);
    let gateway = home.gateway().await;
    let platform = Arc::new(Platform::default());
    platform.mute.store(true, Ordering::SeqCst);
    let channel = channel(1, &platform);
    gateway.attach(&channel, true);
    gateway.hub.send(send("7", "hello")).await.unwrap();
    eventually("the send", || platform.taken.load(Ordering::SeqCst) == 1).await;
    gateway.crash();
    platform.mute.store(false, Ordering::SeqCst);
    let successor = home.gateway().await;
    successor.attach(&channel, false);
    successor
        .until("sent", |hub| async move {
            (hub.outbox_list(1).await.unwrap()[0].state == OutboxState::Sent).then_some(())
        })
        .await;
    assert_eq!(platform.texts(), ["hello"], "said once");
}

#[tokio::test]
async fn each_chat_keeps_its_order_through_errors() {
    let home = Home::new(OPEN);
    let gateway = home.gateway().await;
    let platform = Arc::new(Platform::default());
    *platform.errors.lock().unwrap() =
        vec![RpcError::retry_after("Slow down.", 20), RpcError::new(ErrorClass::BadRequest, "Not that one.")];
    for text in ["a", "b", "c", "d"] {
        gateway.hub.send(send("7", text)).await.unwrap();
    }
    assert!(gateway.hub.send(send("7", "a")).await.unwrap().duplicate);
    let channel = channel(1, &platform);
    gateway.attach(&channel, true);
    eventually("the rest", || platform.texts().len() == 3).await;
    assert_eq!(platform.texts(), ["b", "c", "d"]);
    gateway
        .until("the states", |hub| async move {
            let rows = hub.outbox_list(10).await.unwrap();
            let states: Vec<OutboxState> = rows.iter().map(|row| row.state).collect();
            let sent = OutboxState::Sent;
            (states == [sent, sent, sent, OutboxState::Failed]).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_wait_that_the_platform_asks_for_outlives_worker_and_gateway() {
    let home = Home::new(OPEN);
    let gateway = home.gateway().await;
    let platform = Arc::new(Platform::default());
    *platform.errors.lock().unwrap() = vec![RpcError::retry_after("Slow down.", 3_600_000)];
    gateway.hub.send(send("7", "a")).await.unwrap();
    let first = channel(1, &platform);
    gateway.attach(&first, true);
    let refused = |hub: Hub| async move {
        let row = hub.outbox_list(1).await.unwrap().remove(0);
        (row.state == OutboxState::Queued && row.attempts == 1).then_some(())
    };
    gateway.until("the refusal", refused).await;
    first.kill().await;
    gateway.crash();
    let successor = home.gateway().await;
    let second = channel(2, &platform);
    successor.attach(&second, true);
    // Another chat of the same account, too. An hour is not waited for here: an account that is not held says it at once.
    successor.hub.send(send("8", "b")).await.unwrap();
    let up = |hub: Hub| async move { hub.channels_status().await[0].running.then_some(()) };
    successor.until("the channel", up).await;
    let own = successor.core.hold("telegram:default").await.unwrap();
    let rows = successor.core.desk.read(move |store| store.open_outbound(&own, 9)).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.wait_ms > 1_800_000), "{rows:?}");
    assert_eq!(platform.texts(), Vec::<String>::new());
}

#[tokio::test]
async fn a_send_without_an_account_or_a_text_is_refused() {
    let home = Home::new(OPEN);
    let gateway = home.gateway().await;
    let class = |answer: Result<SendAccepted, HubError>| answer.unwrap_err().class;
    assert_eq!(class(gateway.hub.send(send("7", " ")).await), HubClass::Invalid);
    assert_eq!(class(gateway.hub.send(send("", "x")).await), HubClass::Invalid);
    let elsewhere = SendRequest { channel: "irc".to_owned(), ..send("7", "x") };
    assert_eq!(class(gateway.hub.send(elsewhere).await), HubClass::NotFound);
}
