//! Lanes, steps and the ends of turns.

use super::*;

pub(super) fn a_claim_raises_the_epoch_and_fences_the_life_before(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    say(store, &own, "a");
    let first = store.claim_lane(&claim("t1", false)).unwrap().unwrap();
    say(store, &own, "b");
    let second = store.claim_lane(&claim("t2", false)).unwrap().unwrap();
    assert_eq!(second.turn.turn, "t1", "an unfinished turn comes first");
    assert_eq!((second.falls, texts(&second), second.pending), (0, vec!["a"], 1));
    assert!(second.turn.epoch > first.turn.epoch);
    let old = first.turn;
    let refused = [
        store.begin_step(&old, &step(0)).map(|_| ()),
        store.end_step(&old, 0, &result("x")),
        store.finish_turn(&old, &finish(&["x"])).map(|_| ()),
        store.context_page(&old, None).map(|_| ()),
        store.journal_page(&old, None).map(|_| ()),
        store.finish_turn(&TurnRef { turn: "never".into(), epoch: 1 }, &finish(&[])).map(|_| ()),
    ];
    assert!(refused.iter().all(|outcome| outcome.as_ref().is_err_and(StoreError::is_fenced)), "{refused:?}");
    assert!(store.outbox(10).unwrap().is_empty() && store.history(LANE, 10).unwrap().is_empty());
    store.finish_turn(&second.turn, &finish(&["ok"])).unwrap();
    assert!(store.finish_turn(&old, &finish(&["x"])).is_err_and(|error| error.is_fenced()));
}

pub(super) fn a_step_is_journalled_before_and_after(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    say(store, &own, "a");
    let first = store.claim_lane(&claim("t1", false)).unwrap().unwrap().turn;
    assert_eq!(store.begin_step(&first, &step(0)).unwrap(), StepBegun::New);
    assert_eq!(store.begin_step(&first, &step(0)).unwrap(), StepBegun::New, "asked again, not gone ahead");
    store.end_step(&first, 0, &result("done")).unwrap();
    store.end_step(&first, 0, &result("again")).unwrap();
    assert_eq!(store.begin_step(&first, &step(1)).unwrap(), StepBegun::New);
    let second = store.claim_lane(&claim("t2", false)).unwrap().unwrap();
    assert_eq!(second.journal, 2);
    let second = second.turn;
    let page = store.journal_page(&second, None).unwrap();
    assert_eq!(page.steps.len(), 2);
    assert_eq!((page.steps[0].entry.as_ref(), page.steps[1].entry.as_ref()), (Some(&result("done")), None));
    assert_eq!(store.begin_step(&second, &step(0)).unwrap(), StepBegun::Done { entry: result("done") });
    assert_eq!(store.begin_step(&second, &step(1)).unwrap(), StepBegun::Uncertain);
    let third = store.claim_lane(&claim("t3", false)).unwrap().unwrap().turn;
    assert_eq!(store.begin_step(&third, &step(1)).unwrap(), StepBegun::Uncertain, "doubt does not go away");
    assert_eq!(store.begin_step(&third, &step(2)).unwrap(), StepBegun::New);
}

pub(super) fn falls_are_those_at_one_place_and_no_claim_is_one(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    say(store, &own, "a");
    let again = |store: &mut dyn Store, who: &str| {
        store.claim_lane(&LaneClaim { who: gateway(who), ..claim("t1", false) }).unwrap().unwrap()
    };
    let first = again(store, "g");
    assert_eq!(first.falls, 0);
    assert_eq!(again(store, "g").falls, 0, "who claims it again has seen nobody fall");
    assert!(store.fell(&first.turn).is_err_and(|error| error.is_fenced()), "nor has who lost it");
    for falls in 1..=2 {
        let turn = again(store, "g").turn;
        store.fell(&turn).unwrap();
        assert_eq!(again(store, "g").falls, falls);
    }
    let third = again(store, "g");
    store.begin_step(&third.turn, &step(0)).unwrap();
    assert_eq!(again(store, "g").falls, 0, "it got further");
    let fourth = again(store, "g");
    store.fell(&fourth.turn).unwrap();
    let fifth = again(store, "g");
    store.begin_step(&fifth.turn, &step(0)).unwrap();
    store.fell(&fifth.turn).unwrap();
    assert_eq!(again(store, "g").falls, 2, "where it was before is not further");
    let other = again(store, "g2");
    assert_eq!(other.falls, 2, "what was seen stays true under the next gateway");
    store.finish_turn(&other.turn, &Finish { parked: true, ..finish(&[]) }).unwrap();
    store.fell(&other.turn).unwrap();
    assert_eq!(store.parked(1).unwrap()[0].attempts, 2, "after its end nothing counts");
}

pub(super) fn the_end_of_a_turn_is_one_thing(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    say(store, &own, "a");
    let turn = store.claim_lane(&claim("t1", false)).unwrap().unwrap().turn;
    store.end_step(&turn, 0, &result("r")).unwrap();
    let finished = store.finish_turn(&turn, &finish(&["one", " ", "two"])).unwrap();
    assert_eq!((finished.already, finished.account.as_deref()), (false, Some(ACCOUNT)));
    let again = store.finish_turn(&turn, &finish(&["three"])).unwrap();
    assert!(again.already, "the same end again is answered and changes nothing");
    assert!(store.begin_step(&turn, &step(1)).is_err_and(|error| error.is_fenced()));
    let rows = store.open_outbound(&own, 10).unwrap();
    assert_eq!(keys(&rows), ["t1/0"]);
    assert_eq!((rows[0].what.draft.as_deref(), rows[0].what.run.as_deref()), (Some("t1"), Some("t1")));
    assert_eq!(keys(&store.outbox(10).unwrap()), ["t1/1", "t1/0"], "an empty reply is none");
    let history = store.history(LANE, 10).unwrap();
    assert_eq!(history.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2]);
    assert!(matches!(&history[0].entry, Entry::User { content, .. } if content == &[Block::text("a")]));
    assert_eq!(history[1].entry, result("r"));
    assert!(store.open_lanes(&gateway("g")).unwrap().is_empty());

    say(store, &own, "b");
    let turn = store.claim_lane(&claim("t2", false)).unwrap().unwrap();
    assert_eq!(turn.history, 2);
    let failed =
        Finish { outcome: TurnOutcome::Failed, error: Some("The model is down.".into()), ..finish(&[]) };
    store.finish_turn(&turn.turn, &failed).unwrap();
    assert_eq!(store.outbox(1).unwrap()[0].what.text, "The model is down.", "the person is told");
}

pub(super) fn an_adopted_turn_keeps_its_epoch(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    say(store, &own, "a");
    let claimed = store.claim_lane(&claim("t1", false)).unwrap().unwrap();
    let open = store.open_lanes(&gateway("g")).unwrap();
    assert_eq!(open[0].turn.as_ref(), Some(&claimed.turn));
    let adopted = store.adopt_turn(&gateway("g2"), &claimed.turn).unwrap().unwrap();
    assert_eq!((&adopted.turn, adopted.falls), (&claimed.turn, 0));
    let wrong = TurnRef { epoch: claimed.turn.epoch + 1, ..claimed.turn.clone() };
    assert_eq!(store.adopt_turn(&gateway("g2"), &wrong).unwrap(), None);
    store.finish_turn(&claimed.turn, &finish(&[])).unwrap();
    assert_eq!(store.adopt_turn(&gateway("g2"), &claimed.turn).unwrap(), None, "it is over");
}

pub(super) fn a_session_begins_afresh_by_word_and_by_age(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    let mut turn = |text: &str, resets: bool, stale_before_ms: i64| {
        let placed = Placed { resets, ..placed(text) };
        store.accept(&own, &message(text, Fate::Turn(placed))).unwrap();
        let claimed = store.claim_lane(&LaneClaim { stale_before_ms, ..claim(text, true) }).unwrap().unwrap();
        store.finish_turn(&claimed.turn, &finish(&[])).unwrap();
        (claimed.session_id, claimed.history, claimed.fresh)
    };
    assert_eq!(turn("a", false, i64::MIN), ("s1".into(), 0, false));
    assert_eq!(turn("b", false, 300), ("s1".into(), 1, false), "it ended at 300, which is not before 300");
    assert_eq!(turn("c", true, i64::MIN), ("fresh-c".into(), 0, true));
    assert_eq!(turn("d", false, 301), ("fresh-d".into(), 0, true));
    assert_eq!(store.history(LANE, 10).unwrap().len(), 1, "the history is that of the current transcript");
}

pub(super) fn the_channel_of_the_next_message_decides_where_a_lane_names_none(store: &mut dyn Store) {
    let other = hold(store, "g", "irc:default");
    let own = hold(store, "g", ACCOUNT);
    let way = ChannelWay { channel: "irc".into(), merge: false, stale_before_ms: 301 };
    let by_channel = |turn: &str| LaneClaim { by_channel: vec![way.clone()], ..claim(turn, true) };
    say(store, &own, "a");
    let first = store.claim_lane(&by_channel("t1")).unwrap().unwrap();
    store.finish_turn(&first.turn, &finish(&[])).unwrap();
    say(store, &own, "b");
    say(store, &own, "c");
    let second = store.claim_lane(&by_channel("t2")).unwrap().unwrap();
    assert_eq!((second.history, texts(&second)), (1, vec!["b", "c"]), "as for every channel");
    store.finish_turn(&second.turn, &finish(&[])).unwrap();
    for text in ["d", "e"] {
        store.accept(&other, &message(text, Fate::Turn(placed(text)))).unwrap();
    }
    let third = store.claim_lane(&by_channel("t3")).unwrap().unwrap();
    assert_eq!((third.history, texts(&third), third.fresh), (0, vec!["d"], true), "as for this one");
}

pub(super) fn a_session_may_have_a_queue_of_its_own(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    assert_eq!(store.session_settings(LANE).unwrap(), SessionSettings::default());
    for text in ["a", "b", "c"] {
        say(store, &own, text);
    }
    let queue = |word: Option<&str>| SessionPatch {
        key: LANE.into(),
        queue: Some(word.map(str::to_owned)),
        ..SessionPatch::default()
    };
    store.patch_session(&queue(Some("followup"))).unwrap();
    assert_eq!(store.session_settings(LANE).unwrap().queue.as_deref(), Some("followup"));
    let first = store.claim_lane(&claim("t1", true)).unwrap().unwrap();
    assert_eq!(texts(&first), ["a"]);
    store.finish_turn(&first.turn, &finish(&[])).unwrap();
    store.patch_session(&queue(Some("collect"))).unwrap();
    let second = store.claim_lane(&claim("t2", false)).unwrap().unwrap();
    assert_eq!(texts(&second), ["b", "c"]);
    store.patch_session(&queue(None)).unwrap();
    assert_eq!(store.session_settings(LANE).unwrap().queue, None);
}

pub(super) fn pages_hold_half_a_frame_and_miss_nothing(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    say(store, &own, "a");
    let turn = store.claim_lane(&claim("t1", false)).unwrap().unwrap().turn;
    let entries: Vec<Entry> = (0..12).map(|n| result(&format!("{n}{}", "x".repeat(120_000)))).collect();
    for (number, entry) in (0..).zip(&entries) {
        store.end_step(&turn, number, entry).unwrap();
    }
    let (mut steps, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.journal_page(&turn, cursor).unwrap();
        assert!(serde_json::to_string(&page).unwrap().len() <= PAGE_BYTES + 4_096);
        steps.extend(page.steps.into_iter().filter_map(|step| step.entry));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(steps, entries);
    store.finish_turn(&turn, &finish(&[])).unwrap();
    say(store, &own, "b");
    let turn = store.claim_lane(&claim("t2", false)).unwrap().unwrap().turn;
    let (mut read, mut cursor): (Vec<Entry>, _) = (Vec::new(), None);
    loop {
        let page = store.context_page(&turn, cursor).unwrap();
        assert!(serde_json::to_string(&page).unwrap().len() <= PAGE_BYTES + 4_096);
        read.splice(0..0, page.entries);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(read.len(), 13);
    assert_eq!(read[1..], entries);
}
