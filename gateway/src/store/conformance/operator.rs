//! What an operator brings back, gives up, takes in and takes out.

use super::*;

fn parked(store: &mut dyn Store, turn: &str) -> ParkedRecord {
    let claimed = store.claim_lane(&claim(turn, false)).unwrap().unwrap();
    let sentence = Some("It fell.".to_owned());
    let ending = Finish { outcome: TurnOutcome::Failed, error: sentence, parked: true, ..finish(&[]) };
    store.finish_turn(&claimed.turn, &ending).unwrap();
    store.parked(10).unwrap().pop().unwrap()
}

pub(super) fn what_was_set_aside_stays_until_somebody_decides(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    say(store, &own, "poison");
    say(store, &own, "next");
    let record = parked(store, "t1");
    assert_eq!(
        (record.lane.as_str(), record.account.as_str(), record.input.text.as_str()),
        (LANE, ACCOUNT, "poison")
    );
    assert_eq!((record.parked_ms, record.error.as_deref()), (Some(300), Some("It fell.")));
    store.prune(10_000).unwrap();
    let forgotten = store.parked(10).unwrap().remove(0);
    assert_eq!(
        (forgotten.id, forgotten.parked_ms),
        (record.id, None),
        "the turn is forgotten, the message is not"
    );
    assert_eq!(store.unpark(record.id + 100).unwrap(), None);
    assert_eq!(store.unpark(record.id).unwrap(), Some((LANE.to_owned(), "main".to_owned())));
    assert_eq!(store.unpark(record.id).unwrap(), None, "it waits already");
    assert_eq!(store.open_lanes(&gateway("g")).unwrap()[0].pending, 2);
    let again = parked(store, "t2");
    assert_eq!((again.id, again.input.text.as_str()), (record.id, "poison"), "in its old place");
    assert!(store.discard(again.id).unwrap());
    assert!(!store.discard(again.id).unwrap());
    assert_eq!(store.parked(10).unwrap(), []);
    let claimed = store.claim_lane(&claim("t3", false)).unwrap().unwrap();
    assert_eq!(texts(&claimed), ["next"]);
}

pub(super) fn a_run_is_as_its_newest_turn_says(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    let mut typed = placed("poison");
    typed.run = Some("r1".into());
    store.accept(&own, &message("m1", Fate::Turn(typed))).unwrap();
    let record = parked(store, "t1");
    assert_eq!(store.run("r1").unwrap().unwrap().outcome, Some(TurnOutcome::Failed));
    store.unpark(record.id).unwrap();
    let later = LaneClaim { now_ms: 900, ..claim("t2", false) };
    let turn = store.claim_lane(&later).unwrap().unwrap().turn;
    assert_eq!(store.run("r1").unwrap().unwrap().outcome, None, "it is under way again");
    store.finish_turn(&turn, &finish(&["well"])).unwrap();
    assert_eq!(store.run("r1").unwrap().unwrap().outcome, Some(TurnOutcome::Done));
}

pub(super) fn what_was_not_said_is_said_again_only_by_wish(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    for key in ["k1", "k2"] {
        store.enqueue(&outbound(key, "a")).unwrap();
    }
    let state = |store: &mut dyn Store, key: &str| {
        let rows = store.outbox(10).unwrap();
        let row = rows.into_iter().find(|row| row.what.key == key).unwrap();
        (row.state, row.attempts, row.parts_sent, row.what.now_ms, row.error)
    };
    assert_eq!(store.resend("k1", 700).unwrap(), Wished::NotNow(OutboxState::Queued));
    store.attempt(&own, "k1", 1).unwrap();
    assert_eq!(store.resend("k1", 700).unwrap(), Wished::NotNow(OutboxState::Attempting));
    assert_eq!(
        store.give_up("k1", "no").unwrap(),
        Wished::NotNow(OutboxState::Attempting),
        "it may be said now"
    );
    store.part_sent(&own, "k1", 2).unwrap();
    store.orphan_attempts(&own, None).unwrap();
    assert_eq!(keys(&store.open_outbound(&own, 9).unwrap()), ["k2"]);
    assert_eq!(store.resend("k1", 700).unwrap(), Wished::Done(ACCOUNT.into()));
    assert_eq!(state(store, "k1"), (OutboxState::Queued, 0, 2, 700, None), "what was said is not said again");
    assert_eq!(keys(&store.open_outbound(&own, 9).unwrap()), ["k1"], "before what comes after it");
    assert!(store.attempt(&own, "k1", 2).unwrap(), "by any life of the worker");
    store.settle(&own, "k1", &Settled::Failed { error: "No.".into() }).unwrap();
    assert_eq!(store.give_up("k1", "no").unwrap(), Wished::NotNow(OutboxState::Failed));
    assert_eq!(store.give_up("k2", "The operator gave it up.").unwrap(), Wished::Done(ACCOUNT.into()));
    assert_eq!(state(store, "k2").4.as_deref(), Some("The operator gave it up."));
    assert_eq!(store.open_outbound(&own, 9).unwrap(), []);
    assert_eq!(store.resend("k9", 1).unwrap(), Wished::NoRow);
    assert_eq!(store.give_up("k9", "no").unwrap(), Wished::NoRow);
}

fn session(id: &str) -> NewSession {
    NewSession {
        id: id.into(),
        key: LANE.into(),
        spare_key: format!("agent:main:import:{id}"),
        agent: "main".into(),
        kind: "direct".into(),
        title: Some("Old".into()),
        account: ACCOUNT.into(),
        entries: vec![(10, result("one")), (20, result("two"))],
        lines: vec!["header".into(), "line".into()],
        updated_ms: 20,
        now_ms: 900,
    }
}

pub(super) fn a_session_from_a_file_is_taken_in_once(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    assert_eq!(store.session_file(LANE).unwrap(), None);
    assert_eq!(store.import(&session("old")).unwrap(), Imported::Fresh(LANE.into()));
    assert_eq!(store.import(&session("old")).unwrap(), Imported::Known(Some(LANE.into())));
    let spare = "agent:main:import:other".to_owned();
    assert_eq!(store.import(&session("other")).unwrap(), Imported::Fresh(spare));
    assert_eq!(store.history(LANE, 10).unwrap().len(), 2);
    // It goes on like any other.
    say(store, &own, "and now?");
    let claimed = store.claim_lane(&claim("t1", false)).unwrap().unwrap();
    assert_eq!((claimed.history, claimed.session_id.as_str()), (2, "old"));
    assert_eq!(store.context_page(&claimed.turn, None).unwrap().entries, [result("one"), result("two")]);
    store.finish_turn(&claimed.turn, &finish(&[])).unwrap();
    let file = store.session_file(LANE).unwrap().unwrap();
    assert_eq!((file.session.entries, file.lines), (3, vec!["header".to_owned(), "line".to_owned()]));
    assert_eq!(
        file.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(),
        [3],
        "what came with it is in its lines"
    );
    // A reset leaves the old transcript where it is: it is still known.
    let mut reset = placed("/new");
    (reset.resets, reset.session_id) = (true, "s9".into());
    store.accept(&own, &message("reset", Fate::Turn(reset))).unwrap();
    store.claim_lane(&claim("t2", false)).unwrap().unwrap();
    assert_eq!(store.import(&session("old")).unwrap(), Imported::Known(None));
}
