//! What the end of a turn writes.

use creel_ipc::msg::agent::{InputMessage, Reply, TurnOutcome};
use creel_ipc::msg::channel::Route;
use creel_ipc::msg::transcript::{Block, Entry, Usage};
use serde::{Deserialize, Serialize};

use crate::store::{Finish, NewOutbound};

/// How a turn ended, as the store writes it.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub(in crate::store) struct Ending {
    pub outcome: TurnOutcome,
    pub error: Option<String>,
    pub text: String,
    pub usage: Usage,
}

impl Ending {
    pub(in crate::store) fn of(finish: &Finish) -> Self {
        let said: Vec<&str> = finish.replies.iter().map(|reply| reply.text.as_str()).collect();
        Self {
            outcome: finish.outcome,
            error: finish.error.clone(),
            text: said.join("\n\n"),
            usage: finish.usage,
        }
    }
}

/// Who says something where, at the end of a turn.
pub(in crate::store) struct Speaker<'a> {
    pub turn: &'a str,
    pub run: &'a str,
    pub lane: &'a str,
    pub account: &'a str,
    pub route: &'a Route,
}

/// The rows that a finished turn adds to the outbox: its replies, then what the person must know.
pub(in crate::store) fn outbound_of(of: &Speaker<'_>, finish: &Finish) -> Vec<NewOutbound> {
    let told = match finish.outcome {
        TurnOutcome::Failed | TurnOutcome::TimedOut => finish.error.clone(),
        TurnOutcome::Done | TurnOutcome::Aborted => None,
    };
    let told = told.map(|text| Reply { text, attachments: Vec::new() });
    let said = finish.replies.iter().cloned().chain(told);
    said.filter(|reply| !reply.text.trim().is_empty() || !reply.attachments.is_empty())
        .enumerate()
        .map(|(index, reply)| NewOutbound {
            key: format!("{}/{index}", of.turn),
            account: of.account.to_owned(),
            route: of.route.clone(),
            text: reply.text,
            attachments: reply.attachments,
            draft: (index == 0).then(|| of.turn.to_owned()),
            run: Some(of.run.to_owned()),
            agent: crate::route::agent_of(of.lane).map(str::to_owned),
            now_ms: finish.now_ms,
        })
        .collect()
}

/// The transcript entry of a turn's input: what the agent's worker gave the model, so that the next turn's prompt
/// begins with the same words.
pub(in crate::store) fn user_entry(input: &[InputMessage], group: bool) -> Entry {
    let (context, said): (Vec<_>, Vec<_>) = input.iter().partition(|message| message.context_only);
    let lines = |messages: &[&InputMessage]| messages.iter().map(|m| user_line(m, group)).collect::<Vec<_>>();
    let mut content = Vec::new();
    if !context.is_empty() {
        let context = lines(&context).join("\n");
        content.push(Block::text(format!(
            "[Context: said before, not addressed to you]\n{context}\n[End of context]"
        )));
    }
    let text = lines(&said).join("\n\n");
    if !text.trim().is_empty() {
        content.push(Block::text(text));
    }
    let files = input.iter().flat_map(|message| &message.attachments);
    content.extend(
        files
            .filter(|file| file.mime.starts_with("image/"))
            .map(|file| Block::Image { sha256: file.sha256.clone(), mime_type: file.mime.clone() }),
    );
    if content.is_empty() {
        content.push(Block::text("(an empty message)"));
    }
    Entry::User { content, timestamp: input.last().map_or(0, |message| message.at_ms) }
}

fn user_line(message: &InputMessage, group: bool) -> String {
    let mut line = String::new();
    for quoted in message.quoted.iter().flat_map(|quoted| quoted.lines()) {
        line.push_str(&format!("> {quoted}\n"));
    }
    if let Some(sender) = message.sender.as_deref().filter(|_| group) {
        let sender: String = sender.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        line.push_str(&format!("{sender}: "));
    }
    line.push_str(&message.text);
    for file in message.attachments.iter().filter(|file| !file.mime.starts_with("image/")) {
        let name = file.name.as_deref().unwrap_or("without a name");
        line.push_str(&format!("\n[Attached file: {name}, {}, {} bytes]", file.mime, file.bytes));
    }
    line
}
