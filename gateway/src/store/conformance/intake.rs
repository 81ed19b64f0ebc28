//! Messages on their way in.

use super::*;

pub(super) fn a_message_is_stored_once(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    assert_eq!(store.cursor(ACCOUNT).unwrap(), None);
    assert_eq!(say(store, &own, "a"), Accepted::Fresh);
    assert_eq!(say(store, &own, "a"), Accepted::Duplicate { run: None });
    assert_eq!(store.accept(&own, &message("z", Fate::Ignored)).unwrap(), Accepted::Fresh);
    assert_eq!(
        store.cursor(ACCOUNT).unwrap().as_deref(),
        Some("c-z"),
        "also what is ignored moves the cursor"
    );
    let other = hold(store, "g", "telegram:work");
    assert_eq!(say(store, &other, "a"), Accepted::Fresh, "ids are unique within an account");
    let claimed = store.claim_lane(&claim("t1", false)).unwrap().unwrap();
    assert_eq!((texts(&claimed), claimed.pending), (vec!["a"], 1));
}

pub(super) fn a_former_holder_of_an_account_is_fenced(store: &mut dyn Store) {
    let old = hold(store, "g1", ACCOUNT);
    let new = hold(store, "g2", ACCOUNT);
    assert!(new.epoch() > old.epoch());
    let refused = [
        store.accept(&old, &message("a", Fate::Turn(placed("a")))).map(|_| ()),
        store.open_outbound(&old, 10).map(|_| ()),
        store.attempt(&old, "k", 1).map(|_| ()),
        store.part_sent(&old, "k", 1),
        store.settle(&old, "k", &Settled::Sent { now_ms: 1 }),
        store.orphan_attempts(&old, None).map(|_| ()),
    ];
    assert!(refused.iter().all(|outcome| outcome.as_ref().is_err_and(StoreError::is_fenced)), "{refused:?}");
    assert!(store.open_lanes(&gateway("g")).unwrap().is_empty(), "nothing was written");
    assert_eq!(say(store, &new, "a"), Accepted::Fresh);
}

pub(super) fn a_lane_is_taken_in_order_and_by_place(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    assert_eq!(store.claim_lane(&claim("t0", true)).unwrap(), None);
    say(store, &own, "a");
    say(store, &own, "b");
    let elsewhere = Placed { route: Some(route("8")), ..placed("c") };
    store.accept(&own, &message("c", Fate::Turn(elsewhere))).unwrap();
    say(store, &own, "d");
    assert_eq!(
        store.open_lanes(&gateway("g")).unwrap(),
        [OpenLane { lane: LANE.into(), agent: "main".into(), pending: 4, turn: None }]
    );
    for (turn, merge, expected, left) in
        [("t1", true, vec!["a", "b"], 2), ("t2", true, vec!["c"], 1), ("t3", true, vec!["d"], 0)]
    {
        let claimed = store.claim_lane(&claim(turn, merge)).unwrap().unwrap();
        assert_eq!((texts(&claimed), claimed.pending), (expected, left));
        assert_eq!(claimed.route.unwrap().chat_id, if turn == "t2" { "8" } else { "7" });
        assert_eq!(store.finish_turn(&claimed.turn, &finish(&[])).unwrap().pending, left);
    }
    assert_eq!(store.claim_lane(&claim("t4", true)).unwrap(), None);
}

pub(super) fn messages_with_a_run_of_their_own_stay_alone(store: &mut dyn Store) {
    let own = hold(store, "g", "webchat:default");
    for run in ["r1", "r2"] {
        let typed = Placed { run: Some(run.into()), route: None, ..placed(run) };
        assert_eq!(store.accept(&own, &message(run, Fate::Turn(typed.clone()))).unwrap(), Accepted::Fresh);
        let again = store.accept(&own, &message(run, Fate::Turn(typed))).unwrap();
        assert_eq!(again, Accepted::Duplicate { run: Some(run.into()) });
    }
    let claimed = store.claim_lane(&claim("t1", true)).unwrap().unwrap();
    assert_eq!((texts(&claimed), claimed.run.as_str(), &claimed.route), (vec!["r1"], "r1", &None));
    let finished = store.finish_turn(&claimed.turn, &finish(&["hello"])).unwrap();
    assert_eq!((finished.account, finished.pending), (None, 1));
    assert!(store.outbox(10).unwrap().is_empty());
}

pub(super) fn context_comes_with_the_next_message_and_is_bounded(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    for text in ["x1", "x2", "x3"] {
        let mut placed = placed(text);
        placed.input.context_only = true;
        store.accept(&own, &message(text, Fate::Context { placed, keep: 2 })).unwrap();
    }
    assert!(store.open_lanes(&gateway("g")).unwrap().is_empty(), "context alone starts nothing");
    say(store, &own, "a");
    let mut late = placed("x4");
    late.input.context_only = true;
    store.accept(&own, &message("x4", Fate::Context { placed: late, keep: 2 })).unwrap();
    let claimed = store.claim_lane(&claim("t1", true)).unwrap().unwrap();
    assert_eq!(texts(&claimed), ["x3", "a"], "two were kept, and x4 came after the question");
    store.finish_turn(&claimed.turn, &finish(&[])).unwrap();
    say(store, &own, "b");
    let claimed = store.claim_lane(&claim("t2", true)).unwrap().unwrap();
    assert_eq!(texts(&claimed), ["x4", "b"]);
}
