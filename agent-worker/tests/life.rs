//! The worker's life on its link: crashes, renewals, aborts, and its end.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests count as tests")]

mod gateway;
mod server;

use std::collections::BTreeSet;
use std::time::Duration;

use creel_ipc::hello::{Reconfigure, WorkerConfig};
use creel_ipc::msg::agent::{StepEnd, ToolPhase, TurnAbort, TurnDone, TurnOutcome, TurnStart};
use creel_ipc::msg::tool::{Refusal, ToolKill, ToolOutput, ToolRun};
use creel_ipc::msg::transcript::Entry;
use creel_ipc::{ErrorClass, Reject, Request};
use gateway::{Gateway, demo, printed, start};
use serde_json::json;
use server::{Script, Server, chunk, stream};

#[tokio::test]
async fn a_finished_tool_is_not_run_again_by_the_next_life() {
    let home = tempfile::tempdir().unwrap();
    let mut first = Gateway::with(demo(home.path())).await;
    first.turn(start("t1", "run touch x")).await;
    assert_eq!(first.runs.len(), 1);

    // The answer and the command are in the journal; the last answer is not.
    let mut second = Gateway::with(demo(home.path())).await;
    second.journal = first.journal.clone();
    second.journal.remove(&2);
    let mut again = start("t1", "run touch x");
    again.journal = 2;
    let done = second.turn(again).await;
    assert_eq!((done.outcome, second.runs.len()), (TurnOutcome::Done, 0));
    assert_eq!(done.replies, first.done.as_ref().unwrap().replies);

    // The command was begun, and this life has not heard of its end: the supervisor has, or it has not.
    for known in [true, false] {
        let mut third = Gateway::with(demo(home.path())).await;
        third.journal = first.journal.clone();
        third.journal.remove(&2);
        third.journal.insert(1, None);
        third.knows_runs = known;
        let mut again = start("t1", "run touch x");
        again.journal = 2;
        let done = third.turn(again).await;
        assert_eq!((done.outcome, third.runs.len()), (TurnOutcome::Done, 1));
        assert!(third.runs[0].known_only, "it is asked after and never begun anew");
        assert_eq!(third.runs[0].run, first.runs[0].run);
        assert_eq!(third.results()[0].contains("outcome of this `exec` call is unknown"), !known);
        assert_eq!(third.results() == first.results(), known, "{:?}", third.results());
        assert_eq!(third.asked, u32::from(!known), "people are asked when nobody else knows");
    }
}

#[tokio::test]
async fn what_a_file_tool_refuses_is_told() {
    let home = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::with(demo(home.path())).await;
    gateway.turn(start("t1", "read nothing.txt")).await;
    gateway.journal.clear();
    gateway.turn(start("t2", "read ../secret")).await;
    gateway.until(|gateway| !gateway.refused.is_empty()).await;
    let told: Vec<_> =
        gateway.refused.iter().map(|told| (told.tool.as_str(), told.path.as_str(), told.why)).collect();
    assert_eq!(told, [("read", "../secret", Refusal::Outside)], "a missing file is no refusal");
}

#[tokio::test]
async fn a_new_gateway_takes_over_in_the_middle_of_an_answer() {
    let home = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::greeting(Duration::from_millis(2)).await;
    gateway.welcome(demo(home.path())).await;
    gateway.begin(start("t1", "run ls")).await;
    gateway.until(|gateway| gateway.deltas > 0).await;
    // The journal's answers never arrive, and the gateway dies.
    gateway.mute = vec![StepEnd::METHOD];
    gateway.until(|gateway| !gateway.muted.is_empty()).await;
    gateway.reborn();
    gateway.mute.clear();
    gateway.hellos.clear();
    gateway.link.renew("two").await.unwrap();
    gateway.until(|gateway| !gateway.hellos.is_empty()).await;
    let hello = gateway.hellos[0].clone();
    assert_eq!(hello.session.as_deref(), Some("two"));
    assert_eq!(hello.running.iter().map(|turn| turn.turn.as_str()).collect::<Vec<_>>(), ["t1"]);
    gateway.welcome(demo(home.path())).await;
    let done = gateway.until_done().await;
    assert_eq!((done.outcome, gateway.runs.len()), (TurnOutcome::Done, 1));
    // Asking for it again does not start it again.
    assert_eq!(gateway.journal.len(), 3);
}

#[tokio::test]
async fn a_new_gateway_takes_over_while_the_model_speaks() {
    let home = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::greeting(Duration::from_millis(5)).await;
    gateway.welcome(demo(home.path())).await;
    gateway.begin(start("t1", "run ls")).await;
    for session in ["two", "three"] {
        let seen = gateway.deltas;
        gateway.until(|gateway| gateway.deltas > seen + 1).await;
        assert!(gateway.done.is_none());
        gateway.reborn();
        let hellos = gateway.hellos.len();
        gateway.link.renew(session).await.unwrap();
        gateway.until(|gateway| gateway.hellos.len() > hellos).await;
        gateway.welcome(demo(home.path())).await;
    }
    let done = gateway.until_done().await;
    let runs: BTreeSet<&str> = gateway.runs.iter().map(|run| run.run.as_str()).collect();
    assert_eq!((done.outcome, runs), (TurnOutcome::Done, BTreeSet::from(["t1:1"])));
    assert_eq!((done.replies.len(), gateway.journal.len()), (2, 3));
}

#[tokio::test]
async fn a_turn_that_is_asked_for_twice_runs_once_under_the_newer_epoch() {
    let home = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::with(demo(home.path())).await;
    gateway.mute = vec![ToolRun::METHOD];
    gateway.begin(start("t1", "run ls")).await;
    gateway.until(|gateway| !gateway.muted.is_empty()).await;
    let mut newer = start("t1", "run ls");
    newer.turn.epoch = 7;
    gateway.begin(newer).await;
    let (id, _) = gateway.muted.remove(0);
    gateway.link.respond(id, Ok(serde_json::to_value(printed("x\n")).unwrap())).await;
    let done = gateway.until_done().await;
    assert_eq!((done.turn.epoch, gateway.muted.len()), (7, 0));
}

#[tokio::test]
async fn an_abort_kills_the_command_and_ends_the_turn_at_once() {
    let home = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::with(demo(home.path())).await;
    gateway.exec = Box::new(|_| None);
    gateway.begin(start("t1", "run sleep 1000")).await;
    gateway.until(|gateway| !gateway.runs.is_empty()).await;
    let output = ToolOutput { run: "t1:1".to_owned(), text: "still here\n".to_owned() };
    gateway.link.notify::<ToolOutput>(&output).await.unwrap();
    gateway.until(|gateway| gateway.tools.len() > 1).await;
    assert!(matches!(&gateway.tools[1].phase, ToolPhase::Update { text } if text == "still here\n"));
    gateway.abort("t1").await;
    let done = gateway.until_done().await;
    assert_eq!(done.outcome, TurnOutcome::Aborted);
    gateway.until(|gateway| !gateway.kills.is_empty()).await;
    assert_eq!(gateway.kills, ["t1:1"]);
    assert!(gateway.results()[0].contains("stopped because the turn was ended"), "{:?}", gateway.results());
}

#[tokio::test]
async fn an_abort_of_an_earlier_claim_does_not_stop_the_turn() {
    let home = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::with(demo(home.path())).await;
    gateway.mute = vec![ToolRun::METHOD];
    gateway.begin(start("t1", "run ls")).await;
    gateway.until(|gateway| !gateway.muted.is_empty()).await;
    let mut newer = start("t1", "run ls");
    newer.turn.epoch = 2;
    gateway.begin(newer).await;
    // Of epoch 1. The answer to what is asked behind it shows that it was heard.
    gateway.abort("t1").await;
    let unknown = start("t0", "run ls").turn;
    let link = gateway.link.clone();
    let heard = tokio::spawn(async move { link.call::<TurnAbort>(&unknown).await });
    gateway.until(|_| heard.is_finished()).await;
    let (id, _) = gateway.muted.remove(0);
    gateway.link.respond(id, Ok(serde_json::to_value(printed("x\n")).unwrap())).await;
    let done = gateway.until_done().await;
    assert_eq!((done.outcome, done.turn.epoch), (TurnOutcome::Done, 2));
}

#[tokio::test]
async fn a_turn_that_is_being_stopped_does_not_end_under_a_newer_epoch() {
    let home = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::with(demo(home.path())).await;
    gateway.exec = Box::new(|_| None);
    gateway.begin(start("t1", "run sleep 1000")).await;
    gateway.until(|gateway| !gateway.runs.is_empty()).await;
    // Its end waits for the answer to the journal.
    gateway.mute = vec![StepEnd::METHOD];
    gateway.abort("t1").await;
    gateway.until(|gateway| !gateway.muted.is_empty()).await;
    let mut newer = start("t1", "run sleep 1000");
    newer.turn.epoch = 2;
    let link = gateway.link.clone();
    let asked = tokio::spawn(async move { link.call::<TurnStart>(&newer).await });
    gateway.until(|_| asked.is_finished()).await;
    let refused = asked.await.unwrap().unwrap_err();
    assert_eq!(refused.class(), ErrorClass::RetryAfter, "{refused}");
    gateway.mute.clear();
    for (id, _) in std::mem::take(&mut gateway.muted) {
        gateway.link.respond(id, Ok(serde_json::json!({}))).await;
    }
    let done = gateway.until_done().await;
    assert_eq!((done.outcome, done.turn.epoch), (TurnOutcome::Aborted, 1));
}

#[tokio::test]
async fn an_abort_in_the_middle_of_an_answer_keeps_what_was_said_even_without_a_journal() {
    let home = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::greeting(Duration::from_millis(20)).await;
    gateway.welcome(demo(home.path())).await;
    gateway.mute = vec![ToolKill::METHOD];
    gateway.begin(start("t1", "hello")).await;
    gateway.until(|gateway| gateway.deltas > 1).await;
    gateway.abort("t1").await;
    let done = gateway.until_done().await;
    assert_eq!((done.outcome, done.replies.len()), (TurnOutcome::Aborted, 0));
    let Entry::Assistant { content, .. } = gateway.entries()[0].clone() else { panic!("no answer") };
    let kept = gateway::text(&content);
    assert!(!kept.is_empty() && kept.starts_with(&gateway.text), "{kept} / {}", gateway.text);

    // Nobody answers the journal: the end comes all the same.
    gateway.mute = vec![StepEnd::METHOD];
    gateway.journal.clear();
    gateway.done = None;
    gateway.begin(start("t2", "hello")).await;
    gateway.until(|gateway| gateway.text.len() > kept.len()).await;
    gateway.abort("t2").await;
    assert_eq!(gateway.until_done().await.outcome, TurnOutcome::Aborted);
}

#[tokio::test]
async fn a_turn_that_takes_too_long_says_so() {
    let home = tempfile::tempdir().unwrap();
    let mut config = demo(home.path());
    config.turn_timeout_ms = 200;
    let mut gateway = Gateway::with(config).await;
    gateway.exec = Box::new(|_| None);
    let done = gateway.turn(start("t1", "run sleep 1000")).await;
    assert_eq!(done.outcome, TurnOutcome::TimedOut);
    assert!(done.error.unwrap().contains("longer than 200 ms"));
}

#[tokio::test]
async fn a_loop_is_warned_about_and_broken() {
    let home = tempfile::tempdir().unwrap();
    let call = chunk(
        json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "exec", "arguments": "{\"command\":\"ls\"}"}}]}),
        Some("tool_calls"),
    );
    let scripts = (0..9).map(|_| Script::Close(stream(&format!("{call}data: [DONE]\n\n"))));
    let server = Server::with(scripts.collect()).await;
    let provider = gateway::provider("openai-completions", &server.url());
    let config = gateway::config(home.path(), provider, vec![gateway::model("local", "m")]);
    let mut gateway = Gateway::with(config).await;
    let done = gateway.turn(start("t1", "go")).await;
    assert_eq!((done.outcome, gateway.runs.len()), (TurnOutcome::Failed, 5));
    assert!(gateway.results()[2].contains("[creel] This is call 3 in a row"), "{:?}", gateway.results());
    assert!(done.error.unwrap().contains("5 times in a row"));
}

#[tokio::test]
async fn the_end_of_a_turn_is_told_until_it_is_heard() {
    let home = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::with(demo(home.path())).await;
    gateway.mute = vec![TurnDone::METHOD];
    gateway.begin(start("t1", "hello")).await;
    gateway.until(|gateway| !gateway.muted.is_empty()).await;
    gateway.reborn();
    gateway.mute.clear();
    gateway.link.renew("two").await.unwrap();
    gateway.until(|gateway| gateway.hellos.len() > 1).await;
    assert_eq!(gateway.hellos[1].running.len(), 1);
    gateway.welcome(demo(home.path())).await;
    assert_eq!(gateway.until_done().await.outcome, TurnOutcome::Done);
}

#[tokio::test]
async fn a_new_configuration_counts_from_the_next_turn_on() {
    let home = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::with(demo(home.path())).await;
    let mut config = demo(home.path());
    config.tools.deny = vec!["exec".to_owned()];
    let config = WorkerConfig::Agent(Box::new(config));
    gateway.link.notify::<Reconfigure>(&Reconfigure { config }).await.unwrap();
    let done = gateway.turn(start("t1", "run ls")).await;
    assert_eq!((done.outcome, gateway.runs.len()), (TurnOutcome::Done, 0));
}

#[tokio::test]
async fn an_unknown_model_is_named_with_those_that_exist() {
    let home = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::with(demo(home.path())).await;
    let mut turn = start("t1", "hello");
    turn.model = Some("openai/gpt-9".to_owned());
    let done = gateway.turn(turn).await;
    assert_eq!(done.outcome, TurnOutcome::Failed);
    insta::assert_snapshot!(done.error.unwrap(), @"The session asks for the model `openai/gpt-9`, which is not configured. Choose one of: demo/demo.");
}

#[tokio::test]
async fn it_ends_with_the_link_and_with_the_code_of_a_rejection() {
    let gateway = Gateway::greeting(Duration::ZERO).await;
    let reject = Reject { reason: "This agent is not configured.".to_owned(), exit_code: 78 };
    gateway.link.notify::<Reject>(&reject).await.unwrap();
    assert_eq!(gateway.worker.await.unwrap(), 78);

    let home = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::with(demo(home.path())).await;
    gateway.exec = Box::new(|_| None);
    gateway.begin(start("t1", "run sleep 1000")).await;
    gateway.until(|gateway| !gateway.runs.is_empty()).await;
    let worker = gateway.hang_up();
    assert_eq!(worker.await.unwrap(), 0);
}
