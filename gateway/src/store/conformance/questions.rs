//! What people are asked about steps whose outcome nobody knows.

use std::time::Duration;

use creel_ipc::msg::agent::{Author, Decision};

use super::*;

fn question(step: u32) -> NewQuestion {
    NewQuestion {
        step,
        tool: "exec".into(),
        what: "make deploy".into(),
        text: "Again?".into(),
        patience_ms: 60_000,
        now_ms: 400,
    }
}

/// What person `id` writes.
fn by(id: &str, text: &str) -> Placed {
    let mut placed = placed(text);
    placed.input.author = Some(Author { channel: "telegram".into(), id: id.into() });
    placed
}

fn answer(store: &mut dyn Store, own: &Held, ext_id: &str, placed: Placed) -> Accepted {
    let said = Answer::read(&placed.input.text).unwrap();
    let fate = Fate::Answer { otherwise: Box::new(Fate::Turn(placed.clone())), placed, answer: said };
    store.accept(own, &message(ext_id, fate)).unwrap()
}

/// A turn of person 7 that was taken up anew in the middle of a step.
fn doubtful(store: &mut dyn Store) -> (Held, TurnRef) {
    let own = hold(store, "g", ACCOUNT);
    store.accept(&own, &message("m1", Fate::Turn(by("7", "deploy")))).unwrap();
    let first = store.claim_lane(&claim("t1", false)).unwrap().unwrap().turn;
    store.begin_step(&first, &step(1)).unwrap();
    let second = store.claim_lane(&claim("t2", false)).unwrap().unwrap().turn;
    assert_eq!(store.begin_step(&second, &step(1)).unwrap(), StepBegun::Uncertain);
    assert!(store.ask(&first, &question(1)).is_err_and(|error| error.is_fenced()));
    (own, second)
}

fn asked(store: &mut dyn Store, turn: &TurnRef) -> Option<Decision> {
    match store.ask(turn, &question(1)).unwrap() {
        Asked::Open { left_ms } => {
            assert!((1..=60_000).contains(&left_ms), "{left_ms}");
            None
        }
        Asked::Decided(decision) => Some(decision),
    }
}

fn next_life(store: &mut dyn Store) -> TurnRef {
    store.claim_lane(&claim("t9", false)).unwrap().unwrap().turn
}

pub(super) fn a_question_is_asked_once_and_its_answer_stays(store: &mut dyn Store) {
    let (own, turn) = doubtful(store);
    assert_eq!(store.questions(9).unwrap(), []);
    assert_eq!((asked(store, &turn), asked(store, &turn)), (None, None));
    let open = store.questions(9).unwrap();
    let seen = (open.len(), open[0].lane.as_str(), open[0].step, open[0].what.as_str());
    assert_eq!(seen, (1, LANE, 1, "make deploy"));
    let rows = store.open_outbound(&own, 9).unwrap();
    assert_eq!((keys(&rows), rows[0].what.text.as_str()), (vec!["t1/ask/1/0"], "Again?"));
    assert_eq!((&rows[0].what.route, &rows[0].what.draft), (&route("7"), &None));
    let later = next_life(store);
    assert_eq!(asked(store, &later), None, "the next life finds it");
    assert_eq!(store.answer(open[0].id + 7, Answer::Skip).unwrap(), None);
    assert_eq!(store.answer(open[0].id, Answer::Skip).unwrap().as_deref(), Some(LANE));
    assert_eq!(store.answer(open[0].id, Answer::Again).unwrap(), None, "it is decided");
    assert_eq!(store.questions(9).unwrap(), []);
    assert_eq!(asked(store, &later), Some(Decision::Skip));
    let last = next_life(store);
    assert_eq!(asked(store, &last), Some(Decision::Skip));
    assert_eq!(keys(&store.open_outbound(&own, 9).unwrap()), ["t1/ask/1/0"], "nobody is asked again");
    store.finish_turn(&last, &finish(&[])).unwrap();
    assert!(store.ask(&last, &question(1)).is_err_and(|error| error.is_fenced()), "it is over");
}

pub(super) fn doing_it_again_is_allowed_once(store: &mut dyn Store) {
    let (_own, turn) = doubtful(store);
    assert_eq!(asked(store, &turn), None);
    let id = store.questions(9).unwrap()[0].id;
    store.answer(id, Answer::Again).unwrap().unwrap();
    let (second, third) = (next_life(store), TurnRef { turn: "t1".into(), epoch: turn.epoch + 2 });
    assert_eq!(asked(store, &second), Some(Decision::Again), "nobody had heard of it");
    assert_eq!(asked(store, &second), Some(Decision::Again), "the same life, under a new gateway");
    assert_eq!(next_life(store), third);
    assert_eq!(asked(store, &third), None, "the life before may have done it");
    assert_eq!(store.questions(9).unwrap()[0].id, id);
    let outbox = store.outbox(9).unwrap();
    assert_eq!(keys(&outbox), ["t1/ask/1/1", "t1/ask/1/0"], "and it is said once more");
    store.answer(id, Answer::Stop).unwrap().unwrap();
    assert_eq!(asked(store, &third), Some(Decision::Stop));
}

pub(super) fn who_wrote_what_is_answered_may_decide_and_nobody_else(store: &mut dyn Store) {
    let (own, turn) = doubtful(store);
    assert_eq!(answer(store, &own, "m2", by("7", "/skip")), Accepted::Fresh, "nothing is asked");
    assert_eq!(asked(store, &turn), None);
    assert_eq!(answer(store, &own, "m3", by("8", "/again")), Accepted::Fresh, "somebody else");
    let elsewhere = Placed { lane: "agent:main:telegram:direct:8".into(), ..by("7", "/again") };
    assert_eq!(answer(store, &own, "m4", elsewhere), Accepted::Fresh);
    assert_eq!(asked(store, &turn), None);
    assert_eq!(answer(store, &own, "m5", by("7", "/again")), Accepted::Answered);
    let again = answer(store, &own, "m5", by("7", "/again"));
    assert_eq!(again, Accepted::Duplicate { run: None }, "the platform repeats it");
    assert_eq!(asked(store, &turn), Some(Decision::Again));
    assert_eq!(
        store.open_lanes(&gateway("g")).unwrap().iter().find(|open| open.lane == LANE).unwrap().pending,
        2
    );
    // Who is at Creel itself may, too.
    let turn = next_life(store);
    assert_eq!(asked(store, &turn), None);
    let typed = Placed { run: Some("r1".into()), ..placed("skip") };
    assert_eq!(answer(store, &own, "r1", typed), Accepted::Answered);
    assert_eq!(asked(store, &turn), Some(Decision::Skip));
    assert_eq!(store.run("r1").unwrap().unwrap().outcome, Some(TurnOutcome::Done), "its run is over");
    store.finish_turn(&turn, &finish(&[])).unwrap();
    let next = store.claim_lane(&claim("t4", false)).unwrap().unwrap();
    assert_eq!(texts(&next), ["/skip"], "what answered is no message of its own");
}

pub(super) fn without_an_answer_it_is_decided_in_time(store: &mut dyn Store) {
    let (own, turn) = doubtful(store);
    assert_eq!(asked(store, &turn), None);
    store.pass(Duration::from_secs(59));
    let id = store.questions(9).unwrap()[0].id;
    store.pass(Duration::from_secs(2));
    assert_eq!(store.questions(9).unwrap(), []);
    assert_eq!(store.answer(id, Answer::Again).unwrap(), None, "it is too late");
    assert_eq!(answer(store, &own, "m2", by("7", "/again")), Accepted::Fresh);
    assert_eq!(asked(store, &turn), Some(Decision::Nobody));
    let later = next_life(store);
    assert_eq!(asked(store, &later), Some(Decision::Nobody));
}

pub(super) fn a_silent_session_is_asked_where_the_operator_looks(store: &mut dyn Store) {
    let (own, turn) = doubtful(store);
    let quiet = SessionPatch { key: LANE.into(), silent: Some(true), ..SessionPatch::default() };
    store.patch_session(&quiet).unwrap();
    assert_eq!(asked(store, &turn), None);
    assert_eq!(store.open_outbound(&own, 9).unwrap(), []);
    assert_eq!(store.questions(9).unwrap().len(), 1);
}
