use creel_ipc::msg::agent::{Decision, StepBegun, TurnOutcome};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::{Class, Ev, ModelError, Opening, Stop};
use crate::prompt::SILENCE;
use crate::turn::action::{Ending, Trust};

mod doubt;

fn setup(models: &[&str]) -> Setup {
    let model = |id: &&str| {
        let model = Model {
            provider: "p".to_owned(),
            id: (*id).to_owned(),
            context_window: 100_000,
            max_tokens: 4096,
            reasoning: false,
            images: false,
        };
        (model, "anthropic-messages".to_owned())
    };
    Setup {
        models: models.iter().map(model).collect(),
        history: Vec::new(),
        input: Entry::User { content: vec![Block::text("hi")], timestamp: 0 },
        journal: Vec::new(),
        overhead: 100,
        max_iterations: 10,
        turn_ms: 600_000,
        first_byte_ms: 60_000,
        inactivity_ms: 30_000,
    }
}

fn says(text: &str) -> Vec<Ev> {
    vec![Ev::Text { at: 0, text: text.to_owned() }, Ev::Stop(Stop::Done), Ev::End]
}

fn calls(list: &[(&str, &str, Value)]) -> Vec<Ev> {
    let mut events = Vec::new();
    for (at, (id, name, arguments)) in (0..).zip(list) {
        let block = Opening::Tool { id: (*id).to_owned(), name: (*name).to_owned() };
        events.push(Ev::Open { at, block });
        events.push(Ev::Args { at, text: arguments.to_string() });
        events.push(Ev::Close { at });
    }
    events.extend([Ev::Stop(Stop::Tools), Ev::End]);
    events
}

fn fails(class: Class) -> Vec<Ev> {
    vec![Ev::Fail(ModelError::new(class, "HTTP 500: no"))]
}

/// Drives a core with scripted answers; the journal and the tools are perfect.
struct Bench {
    core: Core,
    answers: Vec<Vec<Ev>>,
    asked: Vec<Vec<Entry>>,
    ran: Vec<(String, Trust)>,
    ended: Vec<(u32, Entry)>,
    waits: Vec<u64>,
    known: Box<dyn Fn(&Call) -> StepBegun>,
}

impl Bench {
    fn new(setup: Setup, answers: Vec<Vec<Ev>>) -> Self {
        Self {
            core: Core::new(setup),
            answers,
            asked: Vec::new(),
            ran: Vec::new(),
            ended: Vec::new(),
            waits: Vec::new(),
            known: Box::new(|_| StepBegun::New),
        }
    }

    fn run(&mut self) -> Ending {
        let mut actions = self.core.begin(0);
        loop {
            let mut inputs = Vec::new();
            for action in std::mem::take(&mut actions) {
                match action {
                    Action::Ask { attempt, messages, .. } => {
                        self.asked.push(messages);
                        inputs.push(Input::Model { attempt, events: self.answers.remove(0) });
                    }
                    Action::Begin(call) => {
                        inputs.push(Input::Begun { step: call.step, known: (self.known)(&call) });
                    }
                    Action::Run(call, trust) => {
                        self.ran.push((call.id.clone(), trust));
                        inputs.push(Input::Ran { step: call.step, outcome: Outcome::ok("same") });
                    }
                    Action::End { step, entry } => {
                        self.ended.push((step, entry));
                        inputs.push(Input::Ended { step });
                    }
                    Action::Timer(Timer::Retry, Some(ms)) => {
                        self.waits.push(ms);
                        inputs.push(Input::Timer(Timer::Retry));
                    }
                    Action::Finish(ended) => return ended,
                    Action::Consult(call) => {
                        let decision = Decision::Nobody;
                        inputs.push(Input::Decided { step: call.step, decision });
                    }
                    Action::Drop => panic!("dropped"),
                    Action::Timer(..) | Action::Delta(..) | Action::CancelAsk | Action::CancelTools => {}
                }
            }
            assert!(!inputs.is_empty(), "the turn hangs");
            for input in inputs {
                actions.extend(self.core.take(input, 0));
            }
        }
    }
}

fn text(entry: &Entry) -> String {
    match entry {
        Entry::User { content, .. }
        | Entry::Assistant { content, .. }
        | Entry::ToolResult { content, .. } => text_of(content),
    }
}

#[test]
fn an_answer_with_tools_and_one_without() {
    let first = calls(&[("a", "exec", json!({"command": "ls"})), ("b", "read", json!({"path": "x"}))]);
    let mut bench = Bench::new(setup(&["m"]), vec![first, says("done")]);
    let ended = bench.run();
    assert_eq!((ended.outcome, ended.replies), (TurnOutcome::Done, vec!["done".to_owned()]));
    assert_eq!(bench.ended.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(bench.asked[1].len(), 4, "{:?}", bench.asked[1]);
}

#[test]
fn reads_next_to_each_other_run_at_once_and_answer_in_order() {
    let mut core = Core::new(setup(&["m"]));
    core.begin(0);
    let read = |id: &'static str| (id, "read", json!({"path": id}));
    let list = [read("a"), read("b"), ("c", "exec", json!({"command": "ls"})), read("d")];
    core.take(Input::Model { attempt: 1, events: calls(&list) }, 0);
    let begun: Vec<_> = core.take(Input::Ended { step: 0 }, 0);
    assert!(
        matches!(&begun[..], [Action::Begin(a), Action::Begin(b)] if a.id == "a" && b.id == "b"),
        "{begun:?}"
    );
    for step in [1, 2] {
        core.take(Input::Begun { step, known: StepBegun::New }, 0);
    }
    // The second is done first: its result waits for the first one's.
    assert_eq!(core.take(Input::Ran { step: 2, outcome: Outcome::ok("B") }, 0), []);
    let ends = core.take(Input::Ran { step: 1, outcome: Outcome::ok("A") }, 0);
    assert!(matches!(&ends[..], [Action::End { step: 1, .. }, Action::End { step: 2, .. }]), "{ends:?}");
    core.take(Input::Ended { step: 1 }, 0);
    let next = core.take(Input::Ended { step: 2 }, 0);
    assert!(matches!(&next[..], [Action::Begin(c)] if c.id == "c"), "{next:?}");
}

#[test]
fn what_is_journalled_is_neither_asked_nor_run_again() {
    let first = calls(&[("a", "exec", json!({})), ("b", "exec", json!({}))]);
    let mut before = Bench::new(setup(&["m"]), vec![first, says("done")]);
    before.run();
    let mut journal: Vec<JournalStep> =
        before.ended.into_iter().map(|(step, entry)| JournalStep { step, entry: Some(entry) }).collect();
    // The earlier life died while the second command ran.
    journal.truncate(2);
    journal.push(JournalStep { step: 2, entry: None });
    let mut bench = Bench::new(Setup { journal, ..setup(&["m"]) }, vec![says("done")]);
    bench.known = Box::new(|_| StepBegun::Uncertain);
    assert_eq!(bench.run().outcome, TurnOutcome::Done);
    assert_eq!(bench.asked.len(), 1);
    assert_eq!(bench.ran, [("b".to_owned(), Trust::Check)], "asked after, and never begun anew");
}

#[test]
fn the_same_call_is_warned_about_and_then_ended() {
    let answers = (0..9).map(|n| calls(&[(&*format!("c{n}"), "read", json!({"path": "x"}))])).collect();
    let mut bench = Bench::new(setup(&["m"]), answers);
    let ended = bench.run();
    assert_eq!((ended.outcome, bench.ran.len()), (TurnOutcome::Failed, 5));
    let results: Vec<String> =
        bench.ended.iter().filter(|(step, _)| step % 2 == 1).map(|(_, entry)| text(entry)).collect();
    assert_eq!(results[1], "same");
    insta::assert_snapshot!(format!("{}\n{}", results[2], ended.error.unwrap()));
}

#[test]
fn too_many_iterations_end_with_a_sentence() {
    let answers = (0..9).map(|n| calls(&[("c", "read", json!({"path": n.to_string()}))])).collect();
    let mut bench = Bench::new(Setup { max_iterations: 3, ..setup(&["m"]) }, answers);
    let ended = bench.run();
    assert_eq!((ended.outcome, bench.asked.len()), (TurnOutcome::Failed, 3));
    insta::assert_snapshot!(ended.error.unwrap());
}

#[test]
fn passing_failures_are_waited_out_and_then_the_next_model_answers() {
    let mut answers: Vec<_> = (0..4).map(|_| fails(Class::Overloaded)).collect();
    answers.push(says("hello"));
    let mut bench = Bench::new(setup(&["a", "b"]), answers);
    assert_eq!(bench.run().outcome, TurnOutcome::Done);
    assert_eq!(bench.waits, [2000, 4000, 8000]);
    let Entry::Assistant { model, .. } = &bench.ended[0].1 else { panic!("no answer") };
    assert_eq!(model, "b");
}

#[test]
fn an_answer_that_broke_off_is_begun_again_and_its_watchers_are_told() {
    let mut core = Core::new(setup(&["m"]));
    core.begin(0);
    let mut broken = vec![Ev::Text { at: 0, text: "Once upon".to_owned() }];
    broken.extend(fails(Class::ServerError));
    let waits = core.take(Input::Model { attempt: 1, events: broken }, 0);
    assert!(waits.contains(&Action::Timer(Timer::Retry, Some(2000))), "{waits:?}");
    let asked = core.take(Input::Timer(Timer::Retry), 0);
    assert!(
        asked.iter().any(|action| matches!(action, Action::Ask { attempt: 2, again: true, .. })),
        "{asked:?}"
    );
    let ended = core.take(Input::Model { attempt: 2, events: says("Once upon a time") }, 0);
    assert!(
        matches!(ended.last(), Some(Action::End { entry, .. }) if text(entry) == "Once upon a time"),
        "{ended:?}"
    );
}

#[test]
fn an_answer_that_breaks_off_for_good_is_kept() {
    let mut broken = vec![Ev::Text { at: 0, text: "Once upon".to_owned() }];
    broken.extend(fails(Class::ServerError));
    let mut bench = Bench::new(setup(&["a"]), vec![broken; 4]);
    let ended = bench.run();
    assert_eq!((ended.outcome, text(&bench.ended[0].1).as_str()), (TurnOutcome::Failed, "Once upon"));
    insta::assert_snapshot!(ended.error.unwrap());
}

#[test]
fn a_conversation_that_is_too_long_is_halved_once() {
    let turn = |n: usize| Entry::User { content: vec![Block::text(n.to_string())], timestamp: 0 };
    let history: Vec<Entry> = (0..8).map(turn).collect();
    let answers = vec![fails(Class::ContextOverflow), fails(Class::ContextOverflow)];
    let mut bench = Bench::new(Setup { history, ..setup(&["a", "b"]) }, answers);
    let ended = bench.run();
    assert_eq!(bench.asked.iter().map(Vec::len).collect::<Vec<_>>(), [9, 5]);
    insta::assert_snapshot!(ended.error.unwrap());
}

#[test]
fn silence_is_a_timeout_and_an_agent_that_has_nothing_to_say_says_nothing() {
    let mut core = Core::new(setup(&["m"]));
    let asked = core.begin(0);
    assert!(asked.contains(&Action::Timer(Timer::Silence, Some(60_000))), "{asked:?}");
    let heard = core.take(Input::Model { attempt: 1, events: vec![Ev::Alive] }, 0);
    assert_eq!(heard, [Action::Timer(Timer::Silence, Some(30_000))]);
    let silent = core.take(Input::Timer(Timer::Silence), 0);
    assert!(silent.contains(&Action::CancelAsk) && silent.contains(&Action::Timer(Timer::Retry, Some(2000))));
    // What the cancelled call still says is not heard.
    assert_eq!(core.take(Input::Model { attempt: 1, events: says("late") }, 0), []);
    core.take(Input::Timer(Timer::Retry), 0);
    core.take(Input::Model { attempt: 2, events: says(SILENCE) }, 0);
    let done = core.take(Input::Ended { step: 0 }, 0);
    assert!(matches!(done.last(), Some(Action::Finish(ended)) if ended.replies.is_empty()), "{done:?}");
}

#[test]
fn an_abort_stops_tools_and_keeps_what_was_said() {
    let mut core = Core::new(setup(&["m"]));
    core.begin(0);
    core.take(Input::Model { attempt: 1, events: calls(&[("a", "exec", json!({}))]) }, 0);
    core.take(Input::Ended { step: 0 }, 0);
    core.take(Input::Begun { step: 1, known: StepBegun::New }, 0);
    let stopped = core.take(Input::Abort, 0);
    assert!(matches!(&stopped[..2], [Action::CancelTools, Action::End { step: 1, .. }]), "{stopped:?}");
    // The journal does not answer: the end comes all the same.
    let done = core.take(Input::Timer(Timer::Closing), 0);
    assert!(matches!(done.last(), Some(Action::Finish(ended)) if ended.outcome == TurnOutcome::Aborted));

    let mut core = Core::new(setup(&["m"]));
    core.begin(0);
    core.take(Input::Model { attempt: 1, events: vec![Ev::Text { at: 0, text: "Half".to_owned() }] }, 0);
    let stopped = core.take(Input::Timer(Timer::Turn), 0);
    assert!(matches!(&stopped[1], Action::End { entry, .. } if text(entry) == "Half"), "{stopped:?}");
    let done = core.take(Input::Ended { step: 0 }, 0);
    assert!(matches!(done.last(), Some(Action::Finish(ended)) if ended.outcome == TurnOutcome::TimedOut));
}

#[test]
fn an_endless_answer_is_cut() {
    let mut core = Core::new(setup(&["m"]));
    core.begin(0);
    let piece = Ev::Text { at: 0, text: "x".repeat(100_000) };
    let actions = core.take(Input::Model { attempt: 1, events: vec![piece; 9] }, 0);
    assert!(actions.contains(&Action::CancelAsk));
    let Some(Action::End { entry: Entry::Assistant { stop_reason, .. }, .. }) = actions.last() else {
        panic!("{actions:?}")
    };
    assert_eq!(*stop_reason, StopReason::Length);
}

/// What a world that means no good does with the actions of a core.
fn any_input() -> impl Strategy<Value = Input> {
    let events = prop_oneof![
        Just(says("text")),
        Just(vec![Ev::Text { at: 0, text: "piece".to_owned() }]),
        Just(vec![Ev::Thinking { at: 1, text: "hm".to_owned() }, Ev::Alive]),
        Just(calls(&[("a", "exec", json!({})), ("b", "read", json!({})), ("b", "read", json!({}))])),
        Just(calls(&[("x", "nonsense", json!("no object"))])),
        Just(vec![Ev::End]),
        prop_oneof![
            Just(Class::Overloaded),
            Just(Class::ContextOverflow),
            Just(Class::Auth),
            Just(Class::Refusal),
            Just(Class::Unknown)
        ]
        .prop_map(fails),
    ];
    let step = 0u32..8;
    prop_oneof![
        6 => (1u64..12, events).prop_map(|(attempt, events)| Input::Model { attempt, events }),
        3 => (step.clone(), prop_oneof![Just(StepBegun::New), Just(StepBegun::Uncertain)])
            .prop_map(|(step, known)| Input::Begun { step, known }),
        3 => step.clone().prop_map(|step| Input::Ran { step, outcome: Outcome::error("no") }),
        6 => step.clone().prop_map(|step| Input::Ended { step }),
        2 => step.clone().prop_map(|step| Input::Doubtful { step }),
        2 => (step, prop_oneof![Just(Decision::Again), Just(Decision::Skip), Just(Decision::Stop)])
            .prop_map(|(step, decision)| Input::Decided { step, decision }),
        1 => Just(Input::Abort),
        1 => Just(Input::Refused { reason: "no".to_owned() }),
        1 => Just(Input::Lost),
        3 => (0..Timer::ALL.len()).prop_map(|n| Input::Timer(Timer::ALL[n])),
    ]
}

proptest! {
    /// After anything at all, the turn's own timer and the closing timer are enough to end it; exactly one end comes.
    #[test]
    fn every_sequence_of_inputs_ends(
        inputs in proptest::collection::vec(any_input(), 0..60),
        journal in proptest::collection::vec(any::<bool>(), 0..4),
    ) {
        let journal = (0..).zip(journal).map(|(step, done)| {
            let entry = done.then(|| Entry::User { content: Vec::new(), timestamp: 0 });
            JournalStep { step, entry }
        });
        let mut core = Core::new(Setup { journal: journal.collect(), ..setup(&["a", "b"]) });
        let mut actions = core.begin(0);
        let last = [Input::Timer(Timer::Turn), Input::Timer(Timer::Closing)];
        for input in inputs.into_iter().chain(last) {
            actions.extend(core.take(input, 0));
        }
        let is_end = |action: &Action| matches!(action, Action::Finish(_) | Action::Drop);
        prop_assert!(core.is_over());
        prop_assert_eq!(actions.iter().filter(|action| is_end(action)).count(), 1);
        prop_assert!(is_end(actions.last().unwrap()));
    }
}
