use creel_ipc::blob::Attachment;
use creel_ipc::msg::agent::{InputMessage, Reply, TurnOutcome, TurnRef};
use creel_ipc::msg::channel::Route;
use creel_ipc::msg::transcript::{Block, Entry, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hub::OutboxState;

/// Bytes of one page of transcript or journal: half a frame, as entries are escaped once more on the wire.
pub(crate) const PAGE_BYTES: usize = 512 * 1024;

/// Lives of an agent that one turn may end at the same place, before its messages are parked.
pub(crate) const MAX_ATTEMPTS: u32 = 5;

/// An inbound message on its way into the store.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewMessage {
    /// Its identity within the account.
    pub ext_id: String,
    /// The platform's cursor to keep with it.
    pub cursor: Option<String>,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of an inbound message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fate {
    /// Nothing; only the cursor moves.
    Ignored,
    /// It waits for a turn.
    Turn(Placed),
    /// It is kept to explain later ones, at most `keep` of them in a lane.
    Context {
        /// Where.
        placed: Placed,
        /// How many are kept.
        keep: u32,
    },
    /// Its sender asks to be let in.
    Pairing(NewPairing),
}

/// A message with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placed {
    /// The session's key, which is the lane's.
    pub lane: String,
    /// The agent that answers.
    pub agent: String,
    /// `direct`, `group` or `channel`.
    pub kind: String,
    /// What people call the conversation.
    pub title: Option<String>,
    /// The id of the transcript, if the session is new.
    pub session_id: String,
    /// The run that the sender knows it by; such messages are never merged with others.
    pub run: Option<String>,
    /// Whether the session begins afresh with it.
    pub resets: bool,
    /// Where the answer goes; `None` for the web page.
    pub route: Option<Route>,
    /// What the agent gets to read.
    pub input: InputMessage,
}

/// Somebody asks to be let in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewPairing {
    /// The platform's id of the person.
    pub sender: String,
    /// The person's name.
    pub name: Option<String>,
    /// The code, if the request is new.
    pub code: String,
    /// When it expires.
    pub expires_ms: i64,
    /// Requests of the account that may wait.
    pub max: u32,
    /// Where the person is told.
    pub route: Route,
    /// What the person is told.
    pub text: String,
}

/// What became of an inbound message. All of it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// It is new.
    Fresh,
    /// It was stored before, with this run.
    Duplicate {
        /// The run that it was stored with.
        run: Option<String>,
    },
    /// The sender was told a code.
    PairingAsked,
    /// The sender waits already, or too many do.
    PairingQuiet,
}

/// A lane with something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenLane {
    /// Its key.
    pub lane: String,
    /// Its agent.
    pub agent: String,
    /// Messages that wait.
    pub pending: u32,
    /// The turn that was under way.
    pub turn: Option<TurnRef>,
}

/// How a lane is taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LaneClaim {
    /// The gateway.
    pub who: String,
    /// The lane.
    pub lane: String,
    /// The id of the turn, if a new one begins.
    pub turn: String,
    /// Whether messages of one place become one turn.
    pub merge: bool,
    /// The id of the transcript, if the session begins afresh.
    pub fresh_id: String,
    /// The session begins afresh when its last turn ended before this moment.
    pub stale_before_ms: i64,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// A turn that this gateway may start.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Claimed {
    /// The turn and its epoch.
    pub turn: TurnRef,
    /// What clients call it.
    pub run: String,
    /// Its lane, the session's key.
    pub lane: String,
    /// Its agent.
    pub agent: String,
    /// How often this gateway began it since it last got further, this time included.
    pub attempts: u32,
    /// The id of the transcript.
    pub session_id: String,
    /// `direct`, `group` or `channel`.
    pub kind: String,
    /// `provider/model` that the session asks for.
    pub model: Option<String>,
    /// The account that it came in on.
    pub account: String,
    /// Where the answer goes.
    pub route: Option<Route>,
    /// Whether the session began afresh with it.
    pub fresh: bool,
    /// What came in, oldest first.
    pub input: Vec<InputMessage>,
    /// Entries of the transcript before it.
    pub history: u64,
    /// Steps in its journal.
    pub journal: u32,
    /// Messages of the lane that still wait.
    pub pending: u32,
}

/// A step that is about to happen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewStep {
    /// Its number.
    pub step: u32,
    /// The tool's name.
    pub name: String,
    /// The call's id.
    pub call_id: String,
    /// The tool's arguments.
    pub arguments: Value,
}

/// The end of a turn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finish {
    /// How.
    pub outcome: TurnOutcome,
    /// A sentence, when it did not end well.
    pub error: Option<String>,
    /// What is said.
    pub replies: Vec<Reply>,
    /// Tokens.
    pub usage: Usage,
    /// Whether the messages are set aside, because their turn fell too often.
    pub parked: bool,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// What the end of a turn left.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finished {
    /// Whether it had ended before: then nothing was done.
    pub already: bool,
    /// What clients call it.
    pub run: String,
    /// Its lane.
    pub lane: String,
    /// The account of its replies, when there are any.
    pub account: Option<String>,
    /// Messages of the lane that wait.
    pub pending: u32,
}

/// A run, begun or not.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunRecord {
    /// Its lane.
    pub lane: String,
    /// `None` before it began.
    pub turn: Option<TurnRef>,
    /// How it ended.
    pub outcome: Option<TurnOutcome>,
    /// A sentence, when it did not end well.
    pub error: Option<String>,
    /// The whole answer.
    pub text: Option<String>,
    /// Tokens.
    pub usage: Usage,
    /// When it was accepted.
    pub accepted_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
}

/// Which sessions are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SessionQuery {
    /// Of one agent.
    pub agent: Option<String>,
    /// Of one kind.
    pub kind: Option<String>,
    /// Written to since then.
    pub since_ms: i64,
    /// In key or title, lower case.
    pub search: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionRecord {
    /// Its key.
    pub key: String,
    /// The id of its current transcript.
    pub id: String,
    /// Its agent.
    pub agent: String,
    /// `direct`, `group` or `channel`.
    pub kind: String,
    /// The account it was last written to on, as `channel:account`.
    pub account: String,
    /// What people call it.
    pub title: Option<String>,
    /// `provider/model` that it asks for.
    pub model: Option<String>,
    /// When it was last written to.
    pub updated_ms: i64,
    /// Entries of its current transcript.
    pub entries: u64,
    /// Messages that wait.
    pub pending: u32,
    /// Whether a turn is under way.
    pub running: bool,
}

/// An entry of a transcript.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TranscriptRecord {
    /// Number within the session.
    pub seq: u64,
    /// What it says.
    pub entry: Entry,
    /// When it was stored.
    pub at_ms: i64,
    /// The run that it belongs to.
    pub run: String,
}

/// Something to say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewOutbound {
    /// Names it.
    pub key: String,
    /// Who says it, as `channel:account`.
    pub account: String,
    /// Where.
    pub route: Route,
    /// Markdown.
    pub text: String,
    /// Files.
    pub attachments: Vec<Attachment>,
    /// The turn whose drafts it replaces.
    pub draft: Option<String>,
    /// The run that it belongs to.
    pub run: Option<String>,
    /// The agent that left the files.
    pub agent: Option<String>,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outbound {
    /// What is said.
    pub what: NewOutbound,
    /// Where it stands.
    pub state: OutboxState,
    /// Parts that the platform accepted.
    pub parts_sent: u32,
    /// Attempts so far.
    pub attempts: u32,
    /// Not before this moment.
    pub not_before_ms: i64,
    /// A sentence, when it did not go well.
    pub error: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The platform has it.
    Sent {
        /// Milliseconds since the epoch.
        now_ms: i64,
    },
    /// Nothing more went out; it is tried again.
    Again {
        /// Not before this moment.
        not_before_ms: i64,
        /// A sentence.
        error: String,
        /// Parts that the platform accepted.
        parts: Option<u32>,
    },
    /// It may have been said.
    Unknown {
        /// A sentence.
        error: String,
    },
    /// It will not be said.
    Failed {
        /// A sentence.
        error: String,
    },
}

/// What an account has done and has yet to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct AccountRecord {
    /// When a message last came in.
    pub inbound_ms: Option<i64>,
    /// When a message last went out.
    pub outbound_ms: Option<i64>,
    /// Rows that wait.
    pub queued: u64,
    /// Rows of which nobody knows.
    pub unknown: u64,
}

/// Somebody who waits to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PairingRecord {
    /// The account, as `channel:account`.
    pub account: String,
    /// The platform's id of the person.
    pub sender: String,
    /// The person's name.
    pub name: Option<String>,
    /// The code.
    pub code: String,
    /// When the person asked.
    pub created_ms: i64,
    /// When the code expires.
    pub expires_ms: i64,
    /// Where the person is told.
    pub route: Route,
}

/// How a turn ended, as the store writes it.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub(super) struct Ending {
    pub outcome: TurnOutcome,
    pub error: Option<String>,
    pub text: String,
    pub usage: Usage,
}

impl Ending {
    pub(super) fn of(finish: &Finish) -> Self {
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
pub(super) struct Speaker<'a> {
    pub turn: &'a str,
    pub run: &'a str,
    pub lane: &'a str,
    pub account: &'a str,
    pub route: &'a Route,
}

/// The rows that a finished turn adds to the outbox: its replies, then what the person must know.
pub(super) fn outbound_of(of: &Speaker<'_>, finish: &Finish) -> Vec<NewOutbound> {
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
pub(super) fn user_entry(input: &[InputMessage], group: bool) -> Entry {
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

/// What a row of the outbox is ordered by within its account.
pub(super) fn chat_of(route: &Route) -> String {
    match &route.thread {
        Some(thread) => format!("{}\u{1f}{thread}", route.chat_id),
        None => route.chat_id.clone(),
    }
}

/// Takes items from the front until they fill a page; always at least one.
pub(super) fn fill_page<T>(
    items: impl Iterator<Item = crate::store::Kept<(usize, T)>>,
) -> crate::store::Kept<(Vec<T>, bool)> {
    let (mut page, mut bytes) = (Vec::new(), 0);
    for item in items {
        let (size, item) = item?;
        if !page.is_empty() && bytes + size > PAGE_BYTES {
            return Ok((page, true));
        }
        bytes += size;
        page.push(item);
    }
    Ok((page, false))
}
