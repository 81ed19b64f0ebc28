//! Making a transcript acceptable to a provider: every tool call with exactly one result right behind it.
//!
//! Only what is sent is repaired; the transcript itself stays as it is.

use std::collections::{HashMap, HashSet, VecDeque};

use creel_ipc::msg::transcript::{Block, Entry, StopReason};

/// What stands where a result is missing.
pub const MISSING: &str = "[creel] The result of this tool call is missing from the session's history; this note was put in its place.";

/// Results by the id of their call. A careless provider may give two calls of one answer the same id.
type Results = HashMap<String, VecDeque<Entry>>;

/// Repairs a conversation. Calls and results are paired per assistant entry, because ids may come again later;
/// an id that does come again is renamed, because providers refuse it.
pub fn repair(entries: Vec<Entry>) -> Vec<Entry> {
    let mut out = Vec::with_capacity(entries.len());
    let mut seen: HashSet<String> = HashSet::new();
    let mut rest = entries.into_iter().peekable();
    while let Some(entry) = rest.next() {
        match entry {
            user @ Entry::User { .. } => out.push(user),
            // Results are taken together with their calls; one that is left has no call.
            Entry::ToolResult { .. } => {}
            assistant @ Entry::Assistant { .. } => {
                // Results up to the next answer belong here, also those that a message of the person came before.
                let mut results: Results = HashMap::new();
                let mut between = Vec::new();
                while let Some(next) = rest.next_if(|next| !matches!(next, Entry::Assistant { .. })) {
                    match next {
                        Entry::ToolResult { ref tool_call_id, .. } => {
                            results.entry(tool_call_id.clone()).or_default().push_back(next);
                        }
                        other => between.push(other),
                    }
                }
                answer(assistant, results, &mut seen, &mut out);
                out.append(&mut between);
            }
        }
    }
    // Providers want a person to speak first.
    let first = out.iter().position(|entry| matches!(entry, Entry::User { .. })).unwrap_or(out.len());
    out.drain(..first);
    out
}

fn answer(mut entry: Entry, mut results: Results, seen: &mut HashSet<String>, out: &mut Vec<Entry>) {
    let Entry::Assistant { content, stop_reason, timestamp, .. } = &mut entry else { return };
    let ended_badly = matches!(stop_reason, StopReason::Error | StopReason::Aborted);
    let mut pairs = Vec::new();
    content.retain_mut(|block| match block {
        Block::ToolCall { id, name, arguments } => {
            if name.is_empty() || arguments.is_null() || (ended_badly && !results.contains_key(id.as_str())) {
                return false;
            }
            let known = results.get_mut(id.as_str()).and_then(VecDeque::pop_front);
            let result = known.unwrap_or_else(|| missing(id, name, *timestamp));
            let mut unique = id.clone();
            let mut n = 1;
            while !seen.insert(unique.clone()) {
                n += 1;
                unique = format!("{id}_{n}");
            }
            *id = unique;
            pairs.push(with_id(result, id));
            true
        }
        Block::Text { text } => !text.trim().is_empty(),
        Block::Thinking { .. } | Block::Image { .. } => true,
    });
    // Thinking alone says nothing, and providers refuse it as an answer.
    if content.iter().all(|block| matches!(block, Block::Thinking { .. })) {
        return;
    }
    out.push(entry);
    out.append(&mut pairs);
}

fn missing(id: &str, name: &str, timestamp: i64) -> Entry {
    Entry::ToolResult {
        tool_call_id: id.to_owned(),
        tool_name: name.to_owned(),
        content: vec![Block::text(MISSING)],
        is_error: true,
        timestamp,
    }
}

fn with_id(mut entry: Entry, id: &str) -> Entry {
    if let Entry::ToolResult { tool_call_id, .. } = &mut entry {
        id.clone_into(tool_call_id);
    }
    entry
}

#[cfg(test)]
mod tests {
    use creel_ipc::msg::transcript::Usage;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn user(text: &str) -> Entry {
        Entry::User { content: vec![Block::text(text)], timestamp: 0 }
    }

    fn says(stop_reason: StopReason, content: Vec<Block>) -> Entry {
        Entry::Assistant {
            content,
            api: "demo".to_owned(),
            provider: "demo".to_owned(),
            model: "demo".to_owned(),
            usage: Usage::default(),
            stop_reason,
            error_message: None,
            timestamp: 0,
        }
    }

    fn call(id: &str) -> Block {
        Block::ToolCall { id: id.to_owned(), name: "exec".to_owned(), arguments: json!({}) }
    }

    fn result(id: &str, text: &str) -> Entry {
        Entry::ToolResult {
            tool_call_id: id.to_owned(),
            tool_name: "exec".to_owned(),
            content: vec![Block::text(text)],
            is_error: false,
            timestamp: 0,
        }
    }

    fn shape(entries: &[Entry]) -> Vec<String> {
        let shape = entries.iter().map(|entry| match entry {
            Entry::User { .. } => "user".to_owned(),
            Entry::Assistant { content, .. } => {
                let ids = content.iter().filter_map(|block| match block {
                    Block::ToolCall { id, .. } => Some(id.as_str()),
                    _ => None,
                });
                format!("assistant {}", ids.collect::<Vec<_>>().join(","))
            }
            Entry::ToolResult { tool_call_id, is_error, .. } => format!("result {tool_call_id} {is_error}"),
        });
        shape.collect()
    }

    #[test]
    fn results_move_behind_their_calls_and_missing_ones_are_made() {
        let repaired = repair(vec![
            result("x", "orphan"),
            user("hi"),
            says(StopReason::ToolUse, vec![call("a"), call("b")]),
            user("still there?"),
            result("b", "late"),
            result("b", "twice"),
            result("z", "orphan"),
            says(StopReason::Stop, vec![Block::text("ok")]),
        ]);
        assert_eq!(
            shape(&repaired),
            ["user", "assistant a,b", "result a true", "result b false", "user", "assistant "]
        );
    }

    #[test]
    fn an_id_that_comes_again_is_renamed_with_its_result() {
        let repaired = repair(vec![
            user("1"),
            says(StopReason::ToolUse, vec![call("a")]),
            result("a", "one"),
            says(StopReason::ToolUse, vec![call("a")]),
            result("a", "two"),
        ]);
        assert_eq!(
            shape(&repaired),
            ["user", "assistant a", "result a false", "assistant a_2", "result a_2 false"]
        );
    }

    #[test]
    fn two_calls_of_one_answer_with_the_same_id_keep_their_own_results() {
        let repaired = repair(vec![
            user("1"),
            says(StopReason::ToolUse, vec![call("a"), call("a")]),
            result("a", "one"),
            result("a", "two"),
        ]);
        assert_eq!(shape(&repaired), ["user", "assistant a,a_2", "result a false", "result a_2 false"]);
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        let thinking = Block::Thinking { thinking: "hm".to_owned(), thinking_signature: None };
        let repaired = repair(vec![
            says(StopReason::Stop, vec![Block::text("before anybody spoke")]),
            user("hi"),
            says(StopReason::Length, vec![thinking]),
            says(StopReason::Aborted, vec![Block::text("half"), call("cut")]),
        ]);
        assert_eq!(shape(&repaired), ["user", "assistant "]);
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        let id = "[abc]";
        prop_oneof![
            Just(user("u")),
            id.prop_map(|id| result(&id, "r")),
            proptest::collection::vec(id, 0..3).prop_map(|ids| {
                let calls = ids.iter().map(|id| call(id));
                says(StopReason::ToolUse, std::iter::once(Block::text("t")).chain(calls).collect())
            }),
        ]
    }

    proptest! {
        #[test]
        fn every_call_has_exactly_one_result_right_behind_it(entries in proptest::collection::vec(any_entry(), 0..30)) {
            let repaired = repair(entries);
            let mut open: Vec<String> = Vec::new();
            let mut seen = HashSet::new();
            for entry in &repaired {
                match entry {
                    Entry::ToolResult { tool_call_id, .. } => {
                        prop_assert!(!open.is_empty());
                        prop_assert_eq!(&open.remove(0), tool_call_id);
                    }
                    Entry::User { .. } => prop_assert!(open.is_empty()),
                    Entry::Assistant { content, .. } => {
                        prop_assert!(open.is_empty());
                        for block in content {
                            if let Block::ToolCall { id, .. } = block {
                                prop_assert!(seen.insert(id.clone()));
                                open.push(id.clone());
                            }
                        }
                    }
                }
            }
            prop_assert!(open.is_empty());
            prop_assert_eq!(repair(repaired.clone()), repaired);
        }
    }
}
