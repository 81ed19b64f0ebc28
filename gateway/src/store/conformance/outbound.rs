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
    let again = Settled::Again { not_before_ms: 900, error: "later".into(), parts: Some(3) };
    store.settle(&own, "k1", &again).unwrap();
    let row = store.open_outbound(&own, 1).unwrap().remove(0);
    assert_eq!(
        (row.state, row.parts_sent, row.not_before_ms, row.error.as_deref(), row.attempts),
        (OutboxState::Queued, 3, 900, Some("later"), 1)
    );
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
