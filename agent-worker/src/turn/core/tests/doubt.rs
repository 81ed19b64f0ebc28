//! Steps of which nobody knows what became of them.

use creel_ipc::msg::agent::Decision;

use super::*;

/// A turn whose earlier life fell in the middle of a command that nobody knows of, with what it does then.
fn doubtful() -> (Core, Vec<Action>) {
    let mut before = Bench::new(setup(&["m"]), vec![calls(&[("a", "exec", json!({}))]), says("done")]);
    before.run();
    let (step, entry) = before.ended.remove(0);
    let journal = vec![JournalStep { step, entry: Some(entry) }, JournalStep { step: 1, entry: None }];
    let mut core = Core::new(Setup { journal, ..setup(&["m"]) });
    core.begin(0);
    let looked = core.take(Input::Begun { step: 1, known: StepBegun::Uncertain }, 1_000);
    assert!(matches!(&looked[..], [Action::Run(_, Trust::Check)]), "{looked:?}");
    let asked = core.take(Input::Doubtful { step: 1 }, 1_000);
    (core, asked)
}

fn decided(decision: Decision) -> Vec<Action> {
    let (mut core, _) = doubtful();
    core.take(Input::Decided { step: 1, decision }, 90_000_000)
}

#[test]
fn people_are_asked_and_the_turns_own_time_stands_still() {
    let (mut core, asked) = doubtful();
    assert!(
        matches!(&asked[..], [Action::Consult(call), Action::Timer(Timer::Turn, None)] if call.step == 1),
        "{asked:?}"
    );
    assert_eq!(core.take(Input::Doubtful { step: 1 }, 2_000), [], "once");
    // A day later.
    let again = core.take(Input::Decided { step: 1, decision: Decision::Again }, 90_000_000);
    assert!(
        matches!(&again[..], [Action::Timer(Timer::Turn, Some(599_000)), Action::Run(_, Trust::Fresh)]),
        "{again:?}"
    );
    assert_eq!(core.take(Input::Decided { step: 1, decision: Decision::Stop }, 90_000_001), []);
}

#[test]
fn what_is_not_run_again_is_told_to_the_model_with_the_reason() {
    let told: Vec<String> = [Decision::Skip, Decision::Nobody, Decision::Unasked, Decision::Unknown]
        .into_iter()
        .map(|decision| match &decided(decision)[..] {
            [Action::Timer(Timer::Turn, Some(_)), Action::End { step: 1, entry }] => text(entry),
            other => panic!("{other:?}"),
        })
        .collect();
    insta::assert_snapshot!(told.join("\n---\n"));
}

#[test]
fn a_turn_that_is_stopped_instead_ends_and_keeps_the_doubt() {
    let stopped = decided(Decision::Stop);
    assert!(stopped.iter().any(|action| matches!(action, Action::End { step: 1, .. })), "{stopped:?}");
    let (mut core, _) = doubtful();
    let aborted = core.take(Input::Abort, 5_000);
    let kept = aborted.iter().find_map(|action| match action {
        Action::End { step: 1, entry } => Some(text(entry)),
        _ => None,
    });
    assert!(kept.is_some_and(|text| text.contains("outcome of this `exec` call is unknown")), "{aborted:?}");
    let ended = core.take(Input::Ended { step: 1 }, 5_000);
    assert!(
        matches!(ended.last(), Some(Action::Finish(Ending { outcome: TurnOutcome::Aborted, .. }))),
        "{ended:?}"
    );
}

#[test]
fn an_edit_is_never_asked_about() {
    let mut core = Core::new(setup(&["m"]));
    core.begin(0);
    core.take(Input::Model { attempt: 1, events: calls(&[("a", "edit", json!({}))]) }, 0);
    core.take(Input::Ended { step: 0 }, 0);
    core.take(Input::Begun { step: 1, known: StepBegun::New }, 0);
    let ended = core.take(Input::Doubtful { step: 1 }, 0);
    assert!(matches!(&ended[..], [Action::End { step: 1, .. }]), "{ended:?}");
}

#[test]
fn after_a_crash_each_tool_does_as_it_declares() {
    let list = ["read", "write", "edit", "exec"].map(|name| (name, name, json!({})));
    let answer = Entry::Assistant {
        content: list
            .iter()
            .map(|(id, name, arguments)| Block::ToolCall {
                id: (*id).to_owned(),
                name: (*name).to_owned(),
                arguments: arguments.clone(),
            })
            .collect(),
        api: "demo".to_owned(),
        provider: "p".to_owned(),
        model: "m".to_owned(),
        usage: Usage::default(),
        stop_reason: StopReason::ToolUse,
        error_message: None,
        timestamp: 0,
    };
    let begun = (1..5).map(|step| JournalStep { step, entry: None });
    let journal = std::iter::once(JournalStep { step: 0, entry: Some(answer) }).chain(begun).collect();
    let mut bench = Bench::new(Setup { journal, ..setup(&["m"]) }, vec![says("done")]);
    bench.known = Box::new(|_| StepBegun::Uncertain);
    bench.run();
    let ran: Vec<_> = bench.ran.iter().map(|(id, trust)| (id.as_str(), *trust)).collect();
    assert_eq!(
        ran,
        [("read", Trust::Fresh), ("write", Trust::Fresh), ("edit", Trust::Check), ("exec", Trust::Check)]
    );
}

#[test]
fn a_step_that_only_this_life_began_is_not_uncertain() {
    // The old gateway committed the beginning and died before it answered; the new one finds it.
    let mut bench = Bench::new(setup(&["m"]), vec![calls(&[("a", "exec", json!({}))]), says("done")]);
    bench.known = Box::new(|_| StepBegun::Uncertain);
    bench.run();
    assert_eq!(bench.ran, [("a".to_owned(), Trust::Fresh)]);
}
