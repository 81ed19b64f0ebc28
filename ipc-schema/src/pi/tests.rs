use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::msg::transcript::{Block, Entry};

const V1: &str = include_str!("golden/v1.jsonl");
const V2: &str = include_str!("golden/v2.jsonl");
const V3: &str = include_str!("golden/v3.jsonl");

fn told(text: &str) -> (Transcript, Vec<String>) {
    let read = read(text.as_bytes()).unwrap();
    (read.transcript, read.faults.iter().map(ToString::to_string).collect())
}

/// Who says what in the context.
fn context(transcript: &Transcript) -> Vec<String> {
    let line = |said: Said<'_>| match said.entry {
        Entry::User { content, .. } => format!("user: {}", words(&content)),
        Entry::Assistant { content, .. } => format!("assistant: {}", words(&content)),
        Entry::ToolResult { content, tool_call_id, .. } => format!("{tool_call_id}: {}", words(&content)),
    };
    transcript.context().into_iter().map(line).collect()
}

fn words(content: &[Block]) -> String {
    let words = content.iter().map(|block| match block {
        Block::Text { text } => text.clone(),
        Block::Thinking { thinking, .. } => format!("({thinking})"),
        Block::ToolCall { id, name, .. } => format!("<{name} {id}>"),
        Block::Image { .. } => "<image>".to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_file_of_version_3_comes_back_byte_for_byte() {
    let (transcript, faults) = told(V3);
    assert_eq!(faults, Vec::<String>::new());
    assert_eq!(transcript.write(), V3);
}

#[test]
fn the_context_is_the_branch_of_the_newest_record() {
    insta::assert_debug_snapshot!(context(&told(V3).0), @r#"
    [
        "user: What is in a.txt?",
        "assistant: (Look.) <read c1>",
        "c1: seven",
        "user: [Summary of another branch of this conversation]\nIt was a dead end.",
        "user: [A person ran this command, and this is what it printed]\ndate\nSaturday",
        "user: [Note]\nRemember the milk.",
        "assistant: Seven.",
    ]
    "#);
}

#[test]
fn what_an_assistant_says_is_kept_with_its_tokens_and_signatures() {
    let (transcript, _) = told(V3);
    let said = &transcript.context()[1];
    assert_eq!(said.timestamp, "2026-11-21T08:00:02.000Z");
    let message = message_of(&said.entry);
    let as_read: Vec<_> = transcript.records.iter().filter(|record| record.id == "00000003").collect();
    assert_eq!(message, as_read[0].rest["message"], "as Pi writes it, nothing more and nothing less");
}

#[test]
fn version_1_grows_a_tree_and_keeps_what_its_compaction_kept() {
    let (transcript, faults) = told(V1);
    assert_eq!(faults, Vec::<String>::new());
    assert_eq!(
        context(&transcript),
        ["user: [Summary of what was said before]\nThey met.", "user: kept", "user: new"]
    );
    let again = read(transcript.write().as_bytes()).unwrap();
    assert_eq!((again.version, &again.transcript), (3, &transcript));
    assert_eq!(transcript.header.rest["provider"], "demo", "what the header said is still there");
}

#[test]
fn version_2_calls_the_notes_of_extensions_by_another_name() {
    let (transcript, faults) = told(V2);
    assert_eq!(faults, Vec::<String>::new());
    assert_eq!(context(&transcript), ["user: hi", "user: [Note]\nBe kind."]);
    assert!(transcript.write().contains("\"role\":\"custom\""));
}

#[test]
fn a_torn_last_line_is_left_out_and_every_other_line_stays() {
    let whole: Vec<&str> = V3.lines().collect();
    // Wherever the process was killed in the middle of its last write.
    let last = whole[whole.len() - 1];
    let before = whole[..whole.len() - 1].join("\n");
    for cut in 1..last.len() {
        let (transcript, faults) = told(&format!("{before}\n{}", &last[..cut]));
        assert_eq!(transcript.records.len(), whole.len() - 2, "cut at {cut}");
        let line = whole.len();
        assert_eq!(faults, [format!("line {line}: it was cut off while it was written; it was left out.")]);
    }
    assert_eq!(told(V3.trim_end()).0.records.len(), whole.len() - 1, "only the line feed is missing");
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_the_rest_is_read() {
    let text = [
        r#"{"type":"session","version":3,"id":"s"}"#,
        "no json",
        "[1,2]",
        r#"{"type":"message","id":"a","parentId":null,"message":{"role":"user","content":"one"}}"#,
        r#"{"type":"message","parentId":null}"#,
        r#"{"type":"message","id":"a","parentId":null}"#,
        r#"{"type":"message","id":"b","parentId":"gone","message":{"role":"user","content":"two"}}"#,
        "",
        r#"{"type":"message","id":"c","pare{"type":"message","id":"d","parentId":"b","timestamp":"","message":{"role":"user","content":"three"}}"#,
        r#"{"type":"message","id":"e","parentId":"e","message":{"role":"user","content":7}}"#,
        "",
    ]
    .join("\r\n");
    let (transcript, faults) = told(&text);
    insta::assert_snapshot!(faults.join("\n"), @r#"
    line 2: it is no JSON: expected ident at column 2; it was left out.
    line 3: it is no JSON object; it was left out.
    line 5: it is no record: missing field `id`; it was left out.
    line 6: the id "a" is there already; it was left out.
    line 7: its parent "gone" is not above it; it was mended.
    line 9: it is no JSON: expected `:` at column 35; it was mended.
    line 10: its parent "e" is not above it; it was mended.
    "#);
    assert_eq!(context(&transcript), ["user: one", "user: two", "user: three", "user: "]);
}

#[test]
fn what_is_no_session_is_refused_with_a_sentence() {
    let refusal = |text: &str| read(text.as_bytes()).unwrap_err().to_string();
    insta::assert_snapshot!(
        ["", "\n\n", "hello", r#"{"type":"message"}"#, r#"{"type":"session","version":4,"id":"x"}"#, r#"{"type":"session","id":""}"#].map(refusal).join("\n"),
        @r#"
    The file is empty; a session file begins with a line of the type `session`.
    The file is empty; a session file begins with a line of the type `session`.
    Line 1 is no header of a session: it is no JSON: expected value at column 1. A session file begins with a line such as {"type":"session","id":…}.
    Line 1 is no header of a session: its type is not `session`. A session file begins with a line such as {"type":"session","id":…}.
    Line 1 says that the file has version 4; versions up to 3 can be read. Use a newer Creel.
    Line 1 is no header of a session: its id is empty. A session file begins with a line such as {"type":"session","id":…}.
    "#
    );
}

#[test]
fn an_image_becomes_a_sentence_in_either_direction() {
    let entry = Entry::User {
        content: vec![Block::Image { sha256: "ab".to_owned(), mime_type: "image/png".to_owned() }],
        timestamp: 1,
    };
    let message = message_of(&entry);
    assert_eq!(
        message["content"][0]["text"],
        "[An image of type image/png, SHA-256 ab, is not in this file]"
    );
    let theirs =
        json!({"role": "user", "content": [{"type": "image", "data": "AAAA", "mimeType": "image/png"}]});
    let record = Record::message("1".to_owned(), None, String::new(), theirs);
    let transcript = Transcript {
        header: Header::new("s".to_owned(), String::new(), String::new()),
        records: vec![record],
    };
    assert_eq!(context(&transcript), ["user: [An image of type image/png was here]"]);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("a\u{2028}b\u{2029}\n\u{85}")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::hash_map("[a-z]{1,6}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_transcript() -> impl Strategy<Value = Transcript> {
    let record = (
        "[a-z_]{1,10}",
        proptest::collection::hash_map("x[a-z]{0,5}", any_value(), 0..4),
        any::<prop::sample::Index>(),
    );
    proptest::collection::vec(record, 0..20).prop_map(|records| {
        let mut made: Vec<Record> = Vec::new();
        for (kind, rest, parent) in records {
            // Any record above, or none: a forest.
            let parent = parent.index(made.len() + 1).checked_sub(1).map(|at| made[at].id.clone());
            let id = format!("{:08x}", made.len());
            made.push(Record {
                kind,
                id,
                parent,
                timestamp: "2026-01-01T00:00:00.000Z".to_owned(),
                rest: rest.into_iter().collect(),
            });
        }
        Transcript { header: Header::new("s".to_owned(), "t".to_owned(), "/".to_owned()), records: made }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(transcript in any_transcript()) {
        let written = transcript.write();
        let read = read(written.as_bytes()).unwrap();
        prop_assert_eq!(&read.faults, &Vec::new());
        prop_assert_eq!(&read.transcript, &transcript);
        prop_assert_eq!(read.transcript.write(), written);
    }

    #[test]
    fn whatever_comes_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>()) {
        let _answer = read(&bytes);
        // In the middle of a good file, it costs at most the lines that it touches.
        let mut file = V3.as_bytes().to_vec();
        let at = at.index(file.len());
        file.splice(at..at, bytes.iter().copied());
        if let Ok(read) = read(&file) {
            let _context = read.transcript.context();
            let written = read.transcript.write();
            prop_assert_eq!(super::read(written.as_bytes()).unwrap().transcript, read.transcript);
        }
    }
}
