//! What is said.

use super::*;

pub(super) fn the_outbox_gives_each_chat_its_first_row(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    for (key, chat) in [("a1", "a"), ("b1", "b"), ("a2", "a")] {
        assert!(store.enqueue(&outbound(key, chat)).unwrap());
        assert!(!store.enqueue(&outbound(key, chat)).unwrap());
    }
    let mut topic = outbound("a-topic", "a");
    topic.route.thread = Some("9".into());
    store.enqueue(&topic).unwrap();
    assert_eq!(keys(&store.open_outbound(&own, 10).unwrap()), ["a1", "b1", "a-topic"]);
    assert_eq!(keys(&store.open_outbound(&own, 2).unwrap()), ["a1", "b1"]);
    assert!(store.attempt(&own, "a1", 1).unwrap());
    assert_eq!(keys(&store.open_outbound(&own, 1).unwrap()), ["a1"], "an attempt keeps its chat");
    store.settle(&own, "a1", &Settled::Sent { now_ms: 400 }).unwrap();
    assert_eq!(keys(&store.open_outbound(&own, 10).unwrap()), ["b1", "a2", "a-topic"]);
    let record = store.account(ACCOUNT).unwrap();
    assert_eq!((record.queued, record.unknown, record.outbound_ms), (3, 0, Some(400)));
}

pub(super) fn attempts_belong_to_an_incarnation(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    store.enqueue(&outbound("k1", "a")).unwrap();
    store.enqueue(&outbound("k2", "b")).unwrap();
    store.enqueue(&outbound("k3", "c")).unwrap();
    assert!(store.attempt(&own, "k1", 3).unwrap());
    assert!(store.attempt(&own, "k1", 3).unwrap(), "the same life may be asked again");
    assert!(!store.attempt(&own, "k1", 4).unwrap(), "another life must not");
    assert!(!store.attempt(&own, "k9", 4).unwrap());
    assert!(store.attempt(&own, "k2", 4).unwrap());
    assert_eq!(store.orphan_attempts(&own, Some(4)).unwrap(), ["k1"]);
    assert_eq!(store.orphan_attempts(&own, None).unwrap(), ["k2"]);
    let rows = store.outbox(10).unwrap();
    let states: Vec<OutboxState> = rows.iter().map(|row| row.state).collect();
    assert_eq!(states, [OutboxState::Queued, OutboxState::Unknown, OutboxState::Unknown]);
    assert_eq!(store.account(ACCOUNT).unwrap().unknown, 2);
}

pub(super) fn a_settled_row_stays_settled(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    store.enqueue(&outbound("k1", "a")).unwrap();
    store.attempt(&own, "k1", 1).unwrap();
    store.part_sent(&own, "k1", 2).unwrap();
    store.part_sent(&own, "k1", 1).unwrap();
    let again = Settled::Again { wait_ms: 900_000, hold: false, error: "later".into(), parts: Some(3) };
    store.settle(&own, "k1", &again).unwrap();
    let row = store.open_outbound(&own, 1).unwrap().remove(0);
    assert_eq!(
        (row.state, row.parts_sent, row.error.as_deref(), row.attempts),
        (OutboxState::Queued, 3, Some("later"), 1)
    );
    assert!((1..=900_000).contains(&row.wait_ms), "{}", row.wait_ms);
    store.attempt(&own, "k1", 1).unwrap();
    store.settle(&own, "k1", &Settled::Failed { error: "no".into() }).unwrap();
    store.settle(&own, "k1", &again).unwrap();
    store.settle(&own, "k1", &Settled::Sent { now_ms: 1 }).unwrap();
    assert_eq!(store.outbox(1).unwrap()[0].state, OutboxState::Failed);

    store.enqueue(&outbound("k2", "a")).unwrap();
    store.attempt(&own, "k2", 1).unwrap();
    store.orphan_attempts(&own, None).unwrap();
    store.settle(&own, "k2", &again).unwrap();
    assert_eq!(store.outbox(1).unwrap()[0].state, OutboxState::Unknown, "doubt is never replayed");
    store.settle(&own, "k2", &Settled::Sent { now_ms: 1 }).unwrap();
    assert_eq!(store.outbox(1).unwrap()[0].state, OutboxState::Sent, "late knowledge ends it");
}

pub(super) fn a_wait_that_the_platform_asks_for_is_the_accounts_whoever_holds_it(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    let elsewhere = hold(store, "g", "telegram:other");
    for (key, chat) in [("a1", "a"), ("b1", "b")] {
        store.enqueue(&outbound(key, chat)).unwrap();
    }
    store.enqueue(&NewOutbound { account: "telegram:other".into(), ..outbound("o1", "a") }).unwrap();
    let again = |wait_ms, hold| Settled::Again { wait_ms, hold, error: "later".into(), parts: None };
    let waits = |store: &mut dyn Store, own: &Held| {
        let rows = store.open_outbound(own, 9).unwrap();
        rows.into_iter().map(|row| (row.not_before_ms, row.wait_ms)).collect::<Vec<_>>()
    };
    store.attempt(&own, "a1", 1).unwrap();
    store.settle(&own, "a1", &again(60_000, false)).unwrap();
    let before = waits(store, &own);
    assert!((1..=60_000).contains(&before[0].1) && before[1].1 == 0, "only its own chat waits: {before:?}");
    store.attempt(&own, "b1", 1).unwrap();
    store.settle(&own, "b1", &again(600_000, true)).unwrap();
    // Another life of the worker, under another gateway.
    let own = hold(store, "g2", ACCOUNT);
    let held = waits(store, &own);
    assert!(held.iter().all(|(_, wait)| (60_001..=600_000).contains(wait)), "{held:?}");
    assert_eq!(held[0].0, held[1].0, "both wait for the same moment");
    assert_eq!(waits(store, &elsewhere)[0].1, 0, "another account does not wait");
    store.pass(std::time::Duration::from_secs(599));
    assert!(waits(store, &own).iter().all(|(_, wait)| *wait <= 1_000));
    store.pass(std::time::Duration::from_secs(2));
    assert!(waits(store, &own).iter().all(|(_, wait)| *wait == 0));
}
