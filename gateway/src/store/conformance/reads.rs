//! Pairing, and what is read and forgotten.

use super::*;

pub(super) fn codes_let_in_once(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    let mut ask = |sender: &str, code: &str, now_ms: i64| {
        let request = NewPairing {
            sender: sender.into(),
            name: None,
            code: code.into(),
            expires_ms: now_ms + 1_000,
            max: 3,
            route: route(sender),
            text: format!("your code is {code}"),
        };
        let message = NewMessage { now_ms, ..message(&format!("{sender}-{now_ms}"), Fate::Pairing(request)) };
        store.accept(&own, &message).unwrap()
    };
    assert_eq!(ask("1", "AAAAAAAA", 0), Accepted::PairingAsked);
    assert_eq!(ask("1", "BBBBBBBB", 10), Accepted::PairingQuiet, "one code for each request");
    assert_eq!(ask("2", "CCCCCCCC", 20), Accepted::PairingAsked);
    assert_eq!(ask("3", "DDDDDDDD", 30), Accepted::PairingAsked);
    assert_eq!(ask("4", "EEEEEEEE", 40), Accepted::PairingQuiet, "three may wait");
    assert_eq!(ask("4", "EEEEEEEE", 1_000), Accepted::PairingAsked, "the first has expired");
    assert_eq!(store.outbox(10).unwrap().len(), 4);
    let accounts = [ACCOUNT.to_owned()];
    let elsewhere = ["irc:default".to_owned()];
    assert_eq!(store.approve(&accounts, "AAAAAAAA", 1_000).unwrap(), None, "expired");
    assert_eq!(store.approve(&accounts, "ZZZZZZZZ", 100).unwrap(), None);
    assert_eq!(store.approve(&elsewhere, "CCCCCCCC", 100).unwrap(), None);
    assert_eq!(store.approve(&accounts, " cccccccc ", 100).unwrap().unwrap().sender, "2");
    assert_eq!(store.approve(&accounts, "CCCCCCCC", 100).unwrap(), None, "a code works once");
    assert_eq!(store.dismiss(&accounts, "DDDDDDDD", 100).unwrap().unwrap().sender, "3");
    assert_eq!(store.allowed().unwrap(), [(ACCOUNT.to_owned(), "2".to_owned())]);
    assert_eq!(store.pairings(1_000).unwrap().len(), 1);
}

pub(super) fn runs_are_found_before_during_and_after(store: &mut dyn Store) {
    let own = hold(store, "g", "webchat:default");
    let typed = Placed { run: Some("r1".into()), route: None, ..placed("a") };
    store.accept(&own, &message("r1", Fate::Turn(typed))).unwrap();
    assert_eq!(store.run("nothing").unwrap(), None);
    let waiting = store.run("r1").unwrap().unwrap();
    assert_eq!((waiting.lane.as_str(), waiting.turn, waiting.accepted_ms), (LANE, None, 100));
    let turn = store.claim_lane(&claim("t1", true)).unwrap().unwrap().turn;
    let running = store.run("r1").unwrap().unwrap();
    assert_eq!((running.turn.as_ref(), running.outcome), (Some(&turn), None));
    store.finish_turn(&turn, &finish(&["one", "two"])).unwrap();
    let over = store.run("r1").unwrap().unwrap();
    assert_eq!((over.outcome, over.ended_ms), (Some(TurnOutcome::Done), Some(300)));
    assert_eq!((over.text.as_deref(), over.usage.input), (Some("one\n\ntwo"), 3));
}

pub(super) fn sessions_are_listed_and_filtered(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    say(store, &own, "a");
    let group = Placed {
        lane: "agent:work:telegram:group:-1".into(),
        agent: "work".into(),
        kind: "group".into(),
        title: Some("The Garden".into()),
        ..placed("g")
    };
    let later = NewMessage { now_ms: 500, ..message("g", Fate::Turn(group)) };
    store.accept(&own, &later).unwrap();
    let query = |change: &dyn Fn(&mut SessionQuery)| {
        let mut query = SessionQuery { since_ms: i64::MIN, limit: 10, ..SessionQuery::default() };
        change(&mut query);
        query
    };
    let mut found = |query: SessionQuery| -> Vec<String> {
        store.sessions(&query).unwrap().into_iter().map(|session| session.agent).collect()
    };
    assert_eq!(found(query(&|_| {})), ["work", "main"], "newest first");
    assert_eq!(found(query(&|q| q.agent = Some("main".into()))), ["main"]);
    assert_eq!(found(query(&|q| q.kind = Some("group".into()))), ["work"]);
    assert_eq!(found(query(&|q| q.since_ms = 400)), ["work"]);
    assert_eq!(found(query(&|q| q.search = Some("garden".into()))), ["work"]);
    assert_eq!(found(query(&|q| q.search = Some("direct:7".into()))), ["main"]);
    assert_eq!(found(query(&|q| q.limit = 1)), ["work"]);
    let claimed = store.claim_lane(&claim("t1", true)).unwrap().unwrap();
    let main = store.sessions(&query(&|q| q.agent = Some("main".into()))).unwrap().remove(0);
    assert!(main.running && main.pending == 0, "{main:?}");
    store.finish_turn(&claimed.turn, &finish(&[])).unwrap();
    let main = store.sessions(&query(&|q| q.agent = Some("main".into()))).unwrap().remove(0);
    assert_eq!((main.running, main.entries, main.updated_ms), (false, 1, 300));
}

pub(super) fn what_is_over_is_forgotten_in_time_and_nothing_else(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    say(store, &own, "over");
    let turn = store.claim_lane(&claim("t1", false)).unwrap().unwrap().turn;
    store.finish_turn(&turn, &finish(&["said", "in doubt"])).unwrap();
    store.settle(&own, "t1/0", &Settled::Sent { now_ms: 300 }).unwrap();
    store.attempt(&own, "t1/1", 1).unwrap();
    store.orphan_attempts(&own, None).unwrap();
    say(store, &own, "waits");
    assert_eq!(store.prune(100).unwrap(), 0, "not yet");
    assert_eq!(store.prune(10_000).unwrap(), 3, "the message, its turn and what was said");
    assert_eq!(keys(&store.outbox(10).unwrap()), ["t1/1"], "doubt stays");
    assert_eq!(store.history(LANE, 10).unwrap().len(), 1, "transcripts stay");
    let claimed = store.claim_lane(&claim("t2", false)).unwrap().unwrap();
    assert_eq!(texts(&claimed), ["waits"]);
}
