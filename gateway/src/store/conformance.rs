//! What every store must do, in the same words for each.

use creel_ipc::msg::agent::{InputMessage, Reply, StepBegun, TurnOutcome, TurnRef};
use creel_ipc::msg::channel::{ChatKind, Route};
use creel_ipc::msg::transcript::{Block, Entry, Usage};

use super::*;
use crate::hub::OutboxState;

const ACCOUNT: &str = "telegram:default";
const LANE: &str = "agent:main:telegram:direct:7";

/// Runs each test on each store.
macro_rules! conformance {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[test]
            fn $name() {
                super::$name(&mut super::Memory::new(super::Rules::KEPT));
            })*
        }
        mod sqlite {
            $(#[test]
            fn $name() {
                let home = tempfile::tempdir().unwrap();
                let mut store = super::Sqlite::open(&home.path().join("creel.db"), super::Rules::KEPT).unwrap();
                super::$name(&mut store);
            })*
        }
    };
}

conformance!(
    a_message_is_stored_once,
    a_former_holder_of_an_account_is_fenced,
    a_lane_is_taken_in_order_and_by_place,
    messages_with_a_run_of_their_own_stay_alone,
    context_comes_with_the_next_message_and_is_bounded,
    a_claim_raises_the_epoch_and_fences_the_life_before,
    a_step_is_journalled_before_and_after,
    attempts_are_those_at_one_place_under_one_gateway,
    the_end_of_a_turn_is_one_thing,
    an_adopted_turn_keeps_its_epoch,
    a_session_begins_afresh_by_word_and_by_age,
    pages_hold_half_a_frame_and_miss_nothing,
    the_outbox_gives_each_chat_its_first_row,
    attempts_belong_to_an_incarnation,
    a_settled_row_stays_settled,
    codes_let_in_once,
    runs_are_found_before_during_and_after,
    sessions_are_listed_and_filtered,
    what_is_over_is_forgotten_in_time_and_nothing_else,
);

fn route(chat: &str) -> Route {
    Route { chat_id: chat.into(), kind: ChatKind::Direct, thread: None, reply_to: None, addressee: None }
}

fn placed(text: &str) -> Placed {
    Placed {
        lane: LANE.into(),
        agent: "main".into(),
        kind: "direct".into(),
        title: Some("Seven".into()),
        session_id: "s1".into(),
        run: None,
        resets: false,
        route: Some(route("7")),
        input: InputMessage {
            text: text.into(),
            sender: None,
            context_only: false,
            quoted: None,
            attachments: Vec::new(),
            at_ms: 5,
        },
    }
}

fn message(ext_id: &str, fate: Fate) -> NewMessage {
    NewMessage { ext_id: ext_id.into(), cursor: Some(format!("c-{ext_id}")), now_ms: 100, fate }
}

fn say(store: &mut dyn Store, own: &Held, text: &str) -> Accepted {
    store.accept(own, &message(text, Fate::Turn(placed(text)))).unwrap()
}

fn claim(turn: &str, merge: bool) -> LaneClaim {
    LaneClaim {
        who: "g".into(),
        lane: LANE.into(),
        turn: turn.into(),
        merge,
        fresh_id: format!("fresh-{turn}"),
        stale_before_ms: i64::MIN,
        now_ms: 200,
    }
}

fn texts(claimed: &Claimed) -> Vec<&str> {
    claimed.input.iter().map(|input| input.text.as_str()).collect()
}

fn finish(replies: &[&str]) -> Finish {
    Finish {
        outcome: TurnOutcome::Done,
        error: None,
        replies: replies.iter().map(|text| Reply { text: (*text).into(), attachments: Vec::new() }).collect(),
        usage: Usage { input: 3, ..Usage::default() },
        parked: false,
        now_ms: 300,
    }
}

fn step(number: u32) -> NewStep {
    NewStep { step: number, name: "exec".into(), call_id: "c".into(), arguments: serde_json::json!({}) }
}

fn result(text: &str) -> Entry {
    Entry::ToolResult {
        tool_call_id: "c".into(),
        tool_name: "exec".into(),
        content: vec![Block::text(text)],
        is_error: false,
        timestamp: 1,
    }
}

fn outbound(key: &str, chat: &str) -> NewOutbound {
    NewOutbound {
        key: key.into(),
        account: ACCOUNT.into(),
        route: route(chat),
        text: key.into(),
        attachments: Vec::new(),
        draft: None,
        run: None,
        agent: None,
        now_ms: 100,
    }
}

fn keys(rows: &[Outbound]) -> Vec<&str> {
    rows.iter().map(|row| row.what.key.as_str()).collect()
}

fn a_message_is_stored_once(store: &mut dyn Store) {
    let own = store.claim_account("g", ACCOUNT).unwrap();
    assert_eq!(store.cursor(ACCOUNT).unwrap(), None);
    assert_eq!(say(store, &own, "a"), Accepted::Fresh);
    assert_eq!(say(store, &own, "a"), Accepted::Duplicate { run: None });
    assert_eq!(store.accept(&own, &message("z", Fate::Ignored)).unwrap(), Accepted::Fresh);
    assert_eq!(
        store.cursor(ACCOUNT).unwrap().as_deref(),
        Some("c-z"),
        "also what is ignored moves the cursor"
    );
    let other = store.claim_account("g", "telegram:work").unwrap();
    assert_eq!(say(store, &other, "a"), Accepted::Fresh, "ids are unique within an account");
    let claimed = store.claim_lane(&claim("t1", false)).unwrap().unwrap();
    assert_eq!((texts(&claimed), claimed.pending), (vec!["a"], 1));
}

fn a_former_holder_of_an_account_is_fenced(store: &mut dyn Store) {
    let old = store.claim_account("g1", ACCOUNT).unwrap();
    let new = store.claim_account("g2", ACCOUNT).unwrap();
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
    assert!(store.open_lanes().unwrap().is_empty(), "nothing was written");
    assert_eq!(say(store, &new, "a"), Accepted::Fresh);
}

fn a_lane_is_taken_in_order_and_by_place(store: &mut dyn Store) {
    let own = store.claim_account("g", ACCOUNT).unwrap();
    assert_eq!(store.claim_lane(&claim("t0", true)).unwrap(), None);
    say(store, &own, "a");
    say(store, &own, "b");
    let elsewhere = Placed { route: Some(route("8")), ..placed("c") };
    store.accept(&own, &message("c", Fate::Turn(elsewhere))).unwrap();
    say(store, &own, "d");
    assert_eq!(
        store.open_lanes().unwrap(),
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

fn messages_with_a_run_of_their_own_stay_alone(store: &mut dyn Store) {
    let own = store.claim_account("g", "webchat:default").unwrap();
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

fn context_comes_with_the_next_message_and_is_bounded(store: &mut dyn Store) {
    let own = store.claim_account("g", ACCOUNT).unwrap();
    for text in ["x1", "x2", "x3"] {
        let mut placed = placed(text);
        placed.input.context_only = true;
        store.accept(&own, &message(text, Fate::Context { placed, keep: 2 })).unwrap();
    }
    assert!(store.open_lanes().unwrap().is_empty(), "context alone starts nothing");
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

fn a_claim_raises_the_epoch_and_fences_the_life_before(store: &mut dyn Store) {
    let own = store.claim_account("g", ACCOUNT).unwrap();
    say(store, &own, "a");
    let first = store.claim_lane(&claim("t1", false)).unwrap().unwrap();
    say(store, &own, "b");
    let second = store.claim_lane(&claim("t2", false)).unwrap().unwrap();
    assert_eq!(second.turn.turn, "t1", "an unfinished turn comes first");
    assert_eq!((second.attempts, texts(&second), second.pending), (2, vec!["a"], 1));
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

fn a_step_is_journalled_before_and_after(store: &mut dyn Store) {
    let own = store.claim_account("g", ACCOUNT).unwrap();
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

fn attempts_are_those_at_one_place_under_one_gateway(store: &mut dyn Store) {
    let own = store.claim_account("g", ACCOUNT).unwrap();
    say(store, &own, "a");
    let again = |store: &mut dyn Store, who: &str| {
        store.claim_lane(&LaneClaim { who: who.into(), ..claim("t1", false) }).unwrap().unwrap()
    };
    assert_eq!(again(store, "g").attempts, 1);
    assert_eq!(again(store, "g").attempts, 2);
    let third = again(store, "g");
    assert_eq!(third.attempts, 3);
    store.begin_step(&third.turn, &step(0)).unwrap();
    assert_eq!(again(store, "g").attempts, 1, "it got further");
    let fifth = again(store, "g");
    assert_eq!(fifth.attempts, 2);
    store.begin_step(&fifth.turn, &step(0)).unwrap();
    assert_eq!(again(store, "g").attempts, 3, "where it was before is not further");
    assert_eq!(again(store, "g2").attempts, 1, "who was not there cannot tell who fell");
    assert_eq!(again(store, "g2").attempts, 2);
}

fn the_end_of_a_turn_is_one_thing(store: &mut dyn Store) {
    let own = store.claim_account("g", ACCOUNT).unwrap();
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
    assert!(store.open_lanes().unwrap().is_empty());

    say(store, &own, "b");
    let turn = store.claim_lane(&claim("t2", false)).unwrap().unwrap();
    assert_eq!(turn.history, 2);
    let failed =
        Finish { outcome: TurnOutcome::Failed, error: Some("The model is down.".into()), ..finish(&[]) };
    store.finish_turn(&turn.turn, &failed).unwrap();
    assert_eq!(store.outbox(1).unwrap()[0].what.text, "The model is down.", "the person is told");
}

fn an_adopted_turn_keeps_its_epoch(store: &mut dyn Store) {
    let own = store.claim_account("g", ACCOUNT).unwrap();
    say(store, &own, "a");
    let claimed = store.claim_lane(&claim("t1", false)).unwrap().unwrap();
    let open = store.open_lanes().unwrap();
    assert_eq!(open[0].turn.as_ref(), Some(&claimed.turn));
    let adopted = store.adopt_turn("g2", &claimed.turn).unwrap().unwrap();
    assert_eq!((&adopted.turn, adopted.attempts), (&claimed.turn, 1));
    let wrong = TurnRef { epoch: claimed.turn.epoch + 1, ..claimed.turn.clone() };
    assert_eq!(store.adopt_turn("g2", &wrong).unwrap(), None);
    store.finish_turn(&claimed.turn, &finish(&[])).unwrap();
    assert_eq!(store.adopt_turn("g2", &claimed.turn).unwrap(), None, "it is over");
}

fn a_session_begins_afresh_by_word_and_by_age(store: &mut dyn Store) {
    let own = store.claim_account("g", ACCOUNT).unwrap();
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

fn pages_hold_half_a_frame_and_miss_nothing(store: &mut dyn Store) {
    let own = store.claim_account("g", ACCOUNT).unwrap();
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

fn the_outbox_gives_each_chat_its_first_row(store: &mut dyn Store) {
    let own = store.claim_account("g", ACCOUNT).unwrap();
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

fn attempts_belong_to_an_incarnation(store: &mut dyn Store) {
    let own = store.claim_account("g", ACCOUNT).unwrap();
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

fn a_settled_row_stays_settled(store: &mut dyn Store) {
    let own = store.claim_account("g", ACCOUNT).unwrap();
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

fn codes_let_in_once(store: &mut dyn Store) {
    let own = store.claim_account("g", ACCOUNT).unwrap();
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

fn runs_are_found_before_during_and_after(store: &mut dyn Store) {
    let own = store.claim_account("g", "webchat:default").unwrap();
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

fn sessions_are_listed_and_filtered(store: &mut dyn Store) {
    let own = store.claim_account("g", ACCOUNT).unwrap();
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

fn what_is_over_is_forgotten_in_time_and_nothing_else(store: &mut dyn Store) {
    let own = store.claim_account("g", ACCOUNT).unwrap();
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
