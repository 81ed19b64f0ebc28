//! Settings of sessions, new beginnings and ends.

use super::*;

const OTHER: &str = "agent:main:telegram:direct:8";

fn patch(key: &str) -> SessionPatch {
    let first = FirstSession {
        id: "first".into(),
        agent: "main".into(),
        kind: "direct".into(),
        account: ACCOUNT.into(),
        now_ms: 50,
    };
    SessionPatch { key: key.into(), first, ..SessionPatch::default() }
}

/// How often a word is found.
fn found(store: &mut dyn Store, word: &str) -> usize {
    let wanted = Wanted::read(word).unwrap();
    let query = SearchQuery { wanted, agent: None, keys: Vec::new(), limit: 10 };
    store.search(&query).unwrap().hits.len()
}

fn all(store: &mut dyn Store) -> Vec<SessionRecord> {
    store.sessions(&SessionQuery { since_ms: i64::MIN, limit: 10, ..SessionQuery::default() }).unwrap()
}

pub(super) fn settings_stay_and_come_with_the_turn(store: &mut dyn Store) {
    let wish = SessionPatch {
        model: Some(Some("anthropic/claude".into())),
        thinking: Some(Some("high".into())),
        ..patch(LANE)
    };
    let session = store.patch_session(&wish).unwrap();
    assert_eq!((session.id.as_str(), session.updated_ms, session.entries), ("first", 50, 0), "it is new");
    let own = hold(store, "g", ACCOUNT);
    say(store, &own, "a");
    let named =
        store.patch_session(&SessionPatch { label: Some(Some("Ann".into())), ..patch(LANE) }).unwrap();
    assert_eq!((named.pending, named.settings.label.as_deref()), (1, Some("Ann")));
    let turn = store.claim_lane(&claim("t1", false)).unwrap().unwrap();
    assert_eq!(turn.session_id, "first");
    assert_eq!(turn.model.as_deref(), Some("anthropic/claude"));
    assert_eq!((turn.settings.thinking.as_deref(), turn.settings.silent), (Some("high"), false));
    store.finish_turn(&turn.turn, &finish(&["said"])).unwrap();
    let back = SessionPatch { model: Some(None), thinking: Some(None), silent: Some(true), ..patch(LANE) };
    let session = store.patch_session(&back).unwrap();
    let settings = SessionSettings { label: Some("Ann".into()), silent: true, ..SessionSettings::default() };
    assert_eq!((session.model.as_ref(), &session.settings), (None, &settings));
    assert_eq!(all(store)[0].settings, settings);
    say(store, &own, "b");
    let turn = store.claim_lane(&claim("t2", false)).unwrap().unwrap();
    store.finish_turn(&turn.turn, &finish(&["kept to itself"])).unwrap();
    let said: Vec<String> = store.outbox(10).unwrap().into_iter().map(|row| row.what.text).collect();
    assert_eq!(said, ["said"], "what must not be sent is only remembered");
    assert_eq!(store.run("t2").unwrap().unwrap().text.as_deref(), Some("kept to itself"));
}

pub(super) fn a_session_ends_only_when_nothing_goes_on_in_it(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    assert_eq!(store.renew_session(LANE, "s2").unwrap(), Ended::NoSession);
    assert_eq!(store.forget_session(LANE, None).unwrap(), Ended::NoSession);
    say(store, &own, "ferry");
    assert_eq!(store.forget_session(LANE, None).unwrap(), Ended::Busy, "a message waits");
    let turn = store.claim_lane(&claim("t1", false)).unwrap().unwrap().turn;
    assert_eq!(store.renew_session(LANE, "s2").unwrap(), Ended::Busy, "a turn goes on");
    assert_eq!(store.forget_session(LANE, None).unwrap(), Ended::Busy);
    store.finish_turn(&turn, &finish(&[])).unwrap();
    assert_eq!(store.renew_session(LANE, "s2").unwrap(), Ended::Done);
    let fresh = all(store).remove(0);
    assert_eq!((fresh.id.as_str(), fresh.entries), ("s2", 0));
    assert_eq!(found(store, "ferry"), 1, "also from before it began afresh");
    say(store, &own, "b");
    let turn = store.claim_lane(&claim("t2", false)).unwrap().unwrap().turn;
    store.finish_turn(&turn, &Finish { parked: true, ..finish(&[]) }).unwrap();
    assert_eq!(store.forget_session(LANE, None).unwrap(), Ended::Busy, "an operator has to decide");
    let parked = store.parked(1).unwrap().remove(0);
    assert!(store.discard(parked.id).unwrap());
    let seen = all(store).remove(0).updated_ms;
    assert_eq!(store.forget_session(LANE, Some(seen - 1)).unwrap(), Ended::Busy, "it was written to since");
    assert_eq!(store.forget_session(LANE, Some(seen)).unwrap(), Ended::Done);
    assert_eq!(all(store), []);
    assert_eq!(found(store, "ferry"), 0, "what is forgotten is not found");
    assert_eq!(store.forget_transcripts(i64::MAX).unwrap(), 0, "what was said in it is gone with it");
    // Its key is free, and nothing of before comes back, not by the number of an entry that is used again either.
    say(store, &own, "tangier");
    let again = store.claim_lane(&claim("t3", false)).unwrap().unwrap();
    assert_eq!((texts(&again), again.history), (vec!["tangier"], 0));
    store.finish_turn(&again.turn, &finish(&[])).unwrap();
    assert_eq!((found(store, "ferry"), found(store, "tangier")), (0, 1));
}

pub(super) fn transcripts_that_nobody_has_are_forgotten_in_time(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    say(store, &own, "a");
    let turn = store.claim_lane(&claim("t1", false)).unwrap().unwrap().turn;
    store.finish_turn(&turn, &finish(&[])).unwrap();
    store.renew_session(LANE, "s2").unwrap();
    let other = Placed { lane: OTHER.into(), session_id: "s8".into(), ..placed("b") };
    store.accept(&own, &message("other", Fate::Turn(other))).unwrap();
    let theirs = LaneClaim { lane: OTHER.into(), ..claim("t2", false) };
    let turn = store.claim_lane(&theirs).unwrap().unwrap().turn;
    store.finish_turn(&turn, &finish(&[])).unwrap();
    assert_eq!(store.forget_transcripts(300).unwrap(), 0, "not yet");
    assert_eq!(store.forget_transcripts(301).unwrap(), 1, "the one from before");
    assert_eq!(store.forget_transcripts(301).unwrap(), 0);
    assert_eq!(store.history(OTHER, 10).unwrap().len(), 1, "what somebody has stays");
}
