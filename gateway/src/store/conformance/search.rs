//! What is found of what was said.

use super::*;

fn wanted(typed: &str) -> SearchQuery {
    SearchQuery { wanted: Wanted::read(typed).unwrap(), agent: None, keys: Vec::new(), limit: 10 }
}

fn found(store: &mut dyn Store, query: &SearchQuery) -> Vec<String> {
    store.search(query).unwrap().hits.into_iter().map(|hit| hit.snippet).collect()
}

/// A turn in a session, with a tool's answer in it.
fn turn(store: &mut dyn Store, own: &Held, lane: &str, id: &str, text: &str, answer: &str, now_ms: i64) {
    let agent = crate::route::agent_of(lane).unwrap().to_owned();
    let said = Placed { lane: lane.into(), agent, session_id: format!("of {lane}"), ..placed(text) };
    store.accept(own, &NewMessage { now_ms, ..message(id, Fate::Turn(said)) }).unwrap();
    let claimed = store.claim_lane(&LaneClaim { lane: lane.into(), now_ms, ..claim(id, true) }).unwrap();
    let turn = claimed.unwrap().turn;
    let reply = Entry::Assistant {
        content: vec![Block::text(answer)],
        api: "a".into(),
        provider: "p".into(),
        model: "m".into(),
        usage: Usage::default(),
        stop_reason: creel_ipc::msg::transcript::StopReason::Stop,
        error_message: None,
        timestamp: now_ms,
    };
    store.end_step(&turn, 0, &result("a tool's own words")).unwrap();
    store.end_step(&turn, 1, &reply).unwrap();
    store.finish_turn(&turn, &Finish { now_ms, ..finish(&[]) }).unwrap();
}

pub(super) fn what_was_said_is_found_newest_first(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    let work = "agent:work:telegram:group:-1";
    turn(store, &own, LANE, "1", "When does the ferry leave?", "The Fähre leaves at noon.", 1_000);
    turn(store, &own, work, "2", "Is the ferry late?", "東京都の天気は晴れ", 2_000);
    turn(store, &own, LANE, "3", "京都の東京タワー", "ferries are not a ferry", 3_000);

    let all = found(store, &wanted("FERRY"));
    assert_eq!(all, ["ferries are not a ferry", "Is the ferry late?", "When does the ferry leave?"]);
    assert_eq!(found(store, &wanted("ferry leave")), ["When does the ferry leave?"], "every word is there");
    assert_eq!(found(store, &wanted("fahre")), ["The Fähre leaves at noon."]);
    assert_eq!(found(store, &wanted("ferri*")), ["ferries are not a ferry"]);
    assert_eq!(found(store, &wanted("東京都")), ["東京都の天気は晴れ"], "pairs elsewhere are not the word");
    assert_eq!(found(store, &wanted("晴")), ["東京都の天気は晴れ"]);
    assert_eq!(found(store, &wanted("れ")), ["東京都の天気は晴れ"], "also at the end");
    assert!(found(store, &wanted("tool")).is_empty(), "what tools answer is not searched");

    let of_agent = |agent: &str| SearchQuery { agent: Some(agent.into()), ..wanted("ferry") };
    assert_eq!(found(store, &of_agent("work")), ["Is the ferry late?"]);
    assert!(found(store, &of_agent("wor")).is_empty());
    let of = |keys: &[&str]| SearchQuery {
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        ..wanted("ferry")
    };
    assert_eq!(found(store, &of(&[work])), ["Is the ferry late?"]);
    assert_eq!(found(store, &of(&[work, LANE])).len(), 3);
    assert!(found(store, &of(&["agent:main:nobody"])).is_empty());

    let page = store.search(&SearchQuery { limit: 2, ..wanted("ferry") }).unwrap();
    assert!(page.more && page.hits.len() == 2 && !page.indexing);
    let page = store.search(&SearchQuery { limit: 3, ..wanted("ferry") }).unwrap();
    assert!(!page.more);
    let hit = page.hits.last().unwrap();
    assert_eq!((hit.key.as_str(), hit.agent.as_str(), hit.role, hit.seq), (LANE, "main", "user", 1));
    assert_eq!((hit.session_id.as_str(), hit.at_ms), (&*format!("of {LANE}"), 1_000));
    assert!(!store.index_older().unwrap(), "nothing is older than the search");
}

pub(super) fn a_session_that_began_afresh_is_still_found(store: &mut dyn Store) {
    let own = hold(store, "g", ACCOUNT);
    turn(store, &own, LANE, "1", "before the reset", "yes", 1_000);
    let again = Placed { resets: true, ..placed("after the reset") };
    store.accept(&own, &message("2", Fate::Turn(again))).unwrap();
    let turn = store.claim_lane(&claim("t2", true)).unwrap().unwrap().turn;
    store.finish_turn(&turn, &Finish { now_ms: 2_000, ..finish(&[]) }).unwrap();
    let hits = store.search(&SearchQuery { keys: vec![LANE.into()], ..wanted("reset") }).unwrap().hits;
    let ids: Vec<_> = hits.iter().map(|hit| (hit.session_id.as_str(), hit.seq)).collect();
    assert_eq!(ids, [("fresh-t2", 1), (&*format!("of {LANE}"), 1)]);
}
