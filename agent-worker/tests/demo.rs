//! The whole way with the built-in model: hello, turn, tools, journal, end.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests count as tests")]

mod gateway;

use creel_ipc::hello::Role;
use creel_ipc::msg::agent::{ToolPhase, TurnOutcome};
use creel_ipc::msg::transcript::{Block, Entry, Usage};
use gateway::{Gateway, demo, printed, start};

#[tokio::test]
async fn the_first_message_shows_a_real_tool_run() {
    let home = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::with(demo(home.path())).await;
    gateway.exec = Box::new(|_| Some(printed("Linux 6.18\n1000\n/workspace\n")));
    let done = gateway.turn(start("t1", "what can you do?")).await;

    assert_eq!(done.outcome, TurnOutcome::Done, "{done:?}");
    assert_eq!(done.replies.len(), 2);
    assert!(
        done.replies[0].text.starts_with("I am Creel's demo model: no real model is configured"),
        "{done:?}"
    );
    assert!(done.replies[1].text.contains("Linux 6.18"), "{done:?}");
    assert_eq!(gateway.runs.len(), 1);
    assert_eq!(gateway.runs[0].run, "t1:1");
    assert_eq!(gateway.runs[0].argv, ["/bin/sh", "-c", "uname -sr; id -u; pwd; ls"]);
    let steps: Vec<u32> = gateway.journal.keys().copied().collect();
    assert_eq!(steps, [0, 1, 2]);
    assert_eq!(gateway.text, format!("{}{}", done.replies[0].text, done.replies[1].text));
    assert_eq!(gateway.models, ["demo/demo", "demo/demo"]);
    let phases: Vec<&str> = gateway
        .tools
        .iter()
        .map(|tool| match tool.phase {
            ToolPhase::Start { .. } => "start",
            ToolPhase::Update { .. } => "update",
            ToolPhase::End { .. } => "end",
        })
        .collect();
    assert_eq!(phases, ["start", "end"]);
    let hello = &gateway.hellos[0];
    assert_eq!(
        (hello.role, hello.unit.as_str(), hello.session.as_deref()),
        (Role::Agent, "agent:main", None)
    );
}

#[tokio::test]
async fn files_are_written_and_read_in_the_workspace() {
    let home = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::with(demo(home.path())).await;
    let done = gateway.turn(start("t1", "remember the milk is in the fridge")).await;
    assert_eq!(done.outcome, TurnOutcome::Done);
    let note = std::fs::read_to_string(home.path().join("demo-note.txt")).unwrap();
    assert_eq!(note, "the milk is in the fridge\n");
    gateway.journal.clear();
    let done = gateway.turn(start("t2", "read demo-note.txt")).await;
    assert!(done.replies[1].text.contains("the milk is in the fridge"), "{done:?}");
}

#[tokio::test]
async fn a_later_message_is_answered_from_the_history() {
    let home = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::with(demo(home.path())).await;
    gateway.history = vec![
        Entry::User { content: vec![Block::text("before")], timestamp: 0 },
        Entry::User { content: vec![Block::text("and before")], timestamp: 0 },
    ];
    let mut turn = start("t1", "and now?");
    turn.history = 2;
    let done = gateway.turn(turn).await;
    assert_eq!((done.outcome, gateway.runs.len()), (TurnOutcome::Done, 0));
    assert!(done.replies[0].text.contains("“and now?”"), "{done:?}");
    assert!(done.usage.output > 0 && done.usage.input == Usage::default().input);
}
