use creel_ipc::msg::agent::TurnOutcome;
use creel_ipc::msg::transcript::Usage;
use proptest::prelude::*;

use super::*;

fn seen(notes: &[Note]) -> Vec<(String, Value)> {
    let parsed = |note: &Note| note.v4.as_ref().map(|json| serde_json::from_str(json).unwrap());
    notes.iter().filter_map(|note| Some((note.event.to_owned(), parsed(note)?))).collect()
}

fn old(notes: &[Note]) -> Vec<(String, Value)> {
    let parsed = |note: &Note| note.v3.as_ref().map(|json| serde_json::from_str(json).unwrap());
    notes.iter().filter_map(|note| Some((note.event.to_owned(), parsed(note)?))).collect()
}

fn done(text: &str) -> Ending<'_> {
    Ending { outcome: TurnOutcome::Done, error: None, text, usage: Usage::default() }
}

const KEY: &str = "agent:main:main";

#[test]
fn a_run_reads_as_recorded_in_both_protocols() {
    let (mut runs, mut out) = (Runs::default(), Vec::new());
    runs.began("r", KEY, Some("main".to_owned()), 1000, &mut out);
    runs.model("r", KEY, "fake", "fake-1", 1001, &mut out);
    runs.delta("r", KEY, DeltaKind::Text, "wörd0", 1002, &mut out);
    runs.delta("r", KEY, DeltaKind::Text, " \"1\"", 1003, &mut out);
    runs.delta("r", KEY, DeltaKind::Text, " 2\n", 1004, &mut out);
    assert_eq!(runs.next_flush(1004), Some(23));
    runs.flush(1030, &mut out);
    runs.ended("r", KEY, done("wörd0 \"1\" 2\n"), 1040, &mut out);

    let new = seen(&out);
    let chat: Vec<_> = new.iter().filter(|(event, _)| event == "chat").map(|(_, payload)| payload).collect();
    let states: Vec<_> = chat.iter().map(|payload| payload["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["status", "status", "delta", "delta", "final"]);
    assert_eq!(chat[3]["deltaText"], " \"1\" 2\n");
    assert_eq!(chat[3]["message"]["content"][0]["text"], "wörd0 \"1\" 2\n");
    assert!(chat.iter().all(|payload| payload["sessionKey"] == KEY && payload["agentId"] == "main"));
    let seqs: Vec<_> =
        new.iter().filter(|(event, _)| event == "agent").map(|(_, p)| p["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());

    let old = old(&out);
    let streams: Vec<_> =
        old.iter().map(|(_, p)| p["stream"].as_str().or(p["state"].as_str()).unwrap()).collect();
    assert_eq!(streams, ["lifecycle", "assistant", "delta", "assistant", "lifecycle", "final"]);
    assert!(old.iter().all(|(_, p)| p["sessionKey"] == "main" && p.get("deltaText").is_none()));
}

#[test]
fn a_run_that_starts_over_replaces_what_it_said() {
    let (mut runs, mut out) = (Runs::default(), Vec::new());
    runs.began("r", KEY, None, 0, &mut out);
    runs.delta("r", KEY, DeltaKind::Text, "half", 1, &mut out);
    runs.began("r", KEY, None, 100, &mut out);
    out.clear();
    runs.delta("r", KEY, DeltaKind::Text, "whole", 200, &mut out);
    let chat = &seen(&out)[1].1;
    assert_eq!((&chat["replace"], &chat["deltaText"]), (&json!(true), &json!("whole")));
}

#[test]
fn an_answer_that_is_begun_again_replaces_only_itself() {
    let (mut runs, mut out) = (Runs::default(), Vec::new());
    runs.began("r", KEY, None, 0, &mut out);
    runs.delta("r", KEY, DeltaKind::Text, "Looking.", 1, &mut out);
    let phase = ToolPhase::Start { arguments: json!({}) };
    runs.tool(
        "r",
        KEY,
        &TurnTool { turn: "t".into(), call_id: "c".into(), name: "exec".into(), phase },
        2,
        &mut out,
    );
    runs.model("r", KEY, "p", "m", 3, &mut out);
    runs.delta("r", KEY, DeltaKind::Text, "It is", 100, &mut out);
    runs.again("r");
    out.clear();
    runs.delta("r", KEY, DeltaKind::Text, "It was.", 200, &mut out);
    let chat = &seen(&out)[1].1;
    assert_eq!((&chat["replace"], &chat["deltaText"]), (&json!(true), &json!("Looking.\n\nIt was.")));
}

#[test]
fn a_run_whose_beginning_was_missed_only_tells_its_end() {
    let (mut runs, mut out) = (Runs::default(), Vec::new());
    runs.delta("r", KEY, DeltaKind::Text, "tail", 1, &mut out);
    assert!(out.is_empty());
    runs.ended("r", KEY, done("head and tail"), 2, &mut out);
    assert_eq!(seen(&out).last().unwrap().1["message"]["content"][0]["text"], "head and tail");
}

#[test]
fn tools_show_all_their_output_so_far_to_who_wants_it() {
    let (mut runs, mut out) = (Runs::default(), Vec::new());
    let tool = |phase| TurnTool { turn: "t".into(), call_id: "c".into(), name: "exec".into(), phase };
    runs.began("r", KEY, None, 0, &mut out);
    runs.delta("r", KEY, DeltaKind::Text, "Looking.", 1, &mut out);
    out.clear();
    runs.tool("r", KEY, &tool(ToolPhase::Start { arguments: json!({"command": "ls"}) }), 30, &mut out);
    runs.tool("r", KEY, &tool(ToolPhase::Update { text: "a\n".into() }), 60, &mut out);
    runs.tool("r", KEY, &tool(ToolPhase::Update { text: "b\n".into() }), 90, &mut out);
    let end = ToolPhase::End { text: "a\nb\n".into(), is_error: false, duration_ms: 70 };
    runs.tool("r", KEY, &tool(end), 100, &mut out);
    assert!(out.iter().all(|note| note.audience == Audience::ToolWatchers));
    let data: Vec<_> = seen(&out).into_iter().map(|(_, p)| p["data"].clone()).collect();
    assert_eq!(data[0]["args"]["command"], "ls");
    assert_eq!(data[2]["partialResult"], "a\nb\n");
    assert_eq!((&data[3]["phase"], &data[3]["isError"]), (&json!("result"), &json!(false)));
    out.clear();
    runs.delta("r", KEY, DeltaKind::Text, "Done.", 200, &mut out);
    assert_eq!(seen(&out)[1].1["deltaText"], "\n\nDone.");
}

#[test]
fn ends_that_are_not_well_say_why() {
    let (mut runs, mut out) = (Runs::default(), Vec::new());
    runs.began("r", KEY, None, 0, &mut out);
    let ending = Ending { outcome: TurnOutcome::Failed, error: Some("No model answers."), ..done("") };
    runs.ended("r", KEY, ending, 5, &mut out);
    let (_, chat) = seen(&out).pop().unwrap();
    assert_eq!((&chat["state"], &chat["errorMessage"]), (&json!("error"), &json!("No model answers.")));
    let aborted = Ending { outcome: TurnOutcome::Aborted, ..done("half") };
    runs.ended("s", KEY, aborted, 5, &mut out);
    assert_eq!(seen(&out).pop().unwrap().1["state"], "aborted");
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn events_have_the_recorded_members() {
    let (mut runs, mut out) = (Runs::default(), Vec::new());
    runs.began("r", KEY, None, 0, &mut out);
    runs.delta("r", KEY, DeltaKind::Text, "a", 1, &mut out);
    runs.ended("r", KEY, done("a"), 2, &mut out);
    let find = |notes: Vec<(String, Value)>, event: &str, word: &str| {
        let is = |(name, p): &(String, Value)| name == event && (p["stream"] == word || p["state"] == word);
        notes.into_iter().find(is).unwrap().1
    };
    let new = |event, word| find(seen(&out), event, word);
    let old = |event, word| find(old(&out), event, word);
    let assistant = new("agent", "assistant");
    let all = ["runId", "stream", "data", "sessionKey", "agentId", "seq", "ts", "isHeartbeat"];
    assert_eq!(keys(&assistant), all);
    assert_eq!(keys(&assistant["data"]), ["text", "delta", "itemId"]);
    assert_eq!(keys(&old("agent", "assistant")), ["runId", "stream", "data", "sessionKey", "seq", "ts"]);
    assert_eq!(keys(&old("agent", "assistant")["data"]), ["text", "delta"]);
    assert_eq!(
        keys(&new("chat", "delta")),
        ["runId", "sessionKey", "agentId", "seq", "state", "deltaText", "message"]
    );
    assert_eq!(keys(&old("chat", "delta")), ["runId", "sessionKey", "seq", "state", "message"]);
    assert_eq!(keys(&old("chat", "final")), ["runId", "sessionKey", "seq", "state", "message"]);
    assert_eq!(keys(&new("chat", "status")), ["runId", "sessionKey", "agentId", "seq", "state", "phase"]);
    assert_eq!(keys(&new("chat", "delta")["message"]), ["role", "content", "timestamp"]);
}

#[derive(Debug, Clone)]
enum Step {
    Began,
    Text(String),
    ToolStarts,
    ToolPrints(String),
    ToolEnds,
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => Just(Step::Began),
        6 => any::<String>().prop_map(Step::Text),
        1 => Just(Step::ToolStarts),
        2 => any::<String>().prop_map(Step::ToolPrints),
        1 => Just(Step::ToolEnds),
        3 => (0..200_i64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    /// Whatever happens: what a client puts together from the deltas is what each snapshot says, the
    /// numbers of a run grow, and its end comes last.
    #[test]
    fn deltas_add_up_to_the_snapshots(steps in steps()) {
        let (mut runs, mut out, mut now) = (Runs::default(), Vec::new(), 1000);
        runs.began("r", KEY, None, now, &mut out);
        let tool = |phase| TurnTool { turn: "t".into(), call_id: "c".into(), name: "exec".into(), phase };
        for step in steps {
            match step {
                Step::Began => runs.began("r", KEY, None, now, &mut out),
                Step::Text(text) => runs.delta("r", KEY, DeltaKind::Text, &text, now, &mut out),
                Step::ToolStarts => {
                    runs.tool("r", KEY, &tool(ToolPhase::Start { arguments: json!({}) }), now, &mut out);
                }
                Step::ToolPrints(text) => {
                    runs.tool("r", KEY, &tool(ToolPhase::Update { text }), now, &mut out);
                }
                Step::ToolEnds => {
                    let end = ToolPhase::End { text: String::new(), is_error: true, duration_ms: 1 };
                    runs.tool("r", KEY, &tool(end), now, &mut out);
                }
                Step::Wait(ms) => {
                    now += ms;
                    runs.flush(now, &mut out);
                }
            }
        }
        runs.ended("r", KEY, done("end"), now, &mut out);
        prop_assert!(runs.next_flush(now).is_none());
        let (mut shown, mut seq) = (String::new(), 0);
        let notes = seen(&out);
        for (event, payload) in &notes {
            let number = payload["seq"].as_u64().unwrap();
            prop_assert!(number >= seq);
            seq = number;
            if event == "chat" && payload["state"] == "delta" {
                if payload["replace"] == true {
                    shown.clear();
                }
                shown.push_str(payload["deltaText"].as_str().unwrap());
                prop_assert_eq!(&payload["message"]["content"][0]["text"], shown.as_str());
            }
        }
        prop_assert_eq!(&notes.last().unwrap().1["state"], "final");
        for (_, payload) in old(&out) {
            prop_assert!(payload.get("deltaText").is_none() && payload["state"] != "status");
        }
    }
}
