//! What tests do to the server: by method calls in a test, over `/control/…` from other processes.
//!
//! All take POST with JSON and answer JSON; a mistake is answered with 400 and `{"error": sentence}`.
//!
//! | action | body | answer |
//! |---|---|---|
//! | `inject` | an [`Inject`]; every member may be absent | an [`Injected`] |
//! | `sent?after=N` | anything | `{"sent": [Sent…]}` behind the position `N` |
//! | `faults` | an [`Odds`] | `{}` |
//! | `fault-next` | `{"method", "fault", "value"}`, see [`Fault`] | `{}` |
//! | `chat` | `{"id", "type", "title", "is_forum", "topics", "blocked", "migrated_to"}` | `{}` |
//! | `revoke` | `{"token"}` | `{}` |
//! | `state` | anything | unconfirmed updates of each bot, calls of each method, number of things said |

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::entities::utf16;
use crate::fault::{Fault, Odds};
use crate::http::Call;
use crate::world::{State, World};
use crate::{TOKEN, files};

/// A message of a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Inject {
    /// The bot that gets it, by its token.
    pub token: String,
    /// Where it is said; the chat is created if need be.
    pub chat: i64,
    /// `private`, `group`, `supergroup` or `channel`, for a new chat. Guessed from the id when empty.
    pub kind: String,
    /// Title of a new chat.
    pub title: Option<String>,
    /// Whether a new chat has topics.
    pub forum: bool,
    /// Who says it.
    pub from: From,
    /// What is said.
    pub text: String,
    /// Whether the text begins with a mention of the bot.
    pub mention: bool,
    /// The topic; created if need be. 1 is the General topic.
    pub thread: Option<i64>,
    /// The message that it answers.
    pub reply_to: Option<i64>,
    /// It is a new version of this message.
    pub edit_of: Option<i64>,
    /// A file that comes with it; the text is its caption.
    pub file: Option<InjectFile>,
    /// Members to be put into the message as they are.
    pub merge: Option<Value>,
    /// Instead of a message: a whole update without its id.
    pub update: Option<Value>,
}

/// Who says something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct From {
    /// The person's id.
    pub id: i64,
    /// The first name.
    pub first_name: String,
    /// The handle.
    pub username: Option<String>,
    /// Whether it is another bot.
    pub is_bot: bool,
}

/// A file that comes with a message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InjectFile {
    /// `photo`, `document`, `voice`, `audio`, `video`, `video_note`, `animation` or `sticker`.
    pub kind: String,
    /// Its name.
    pub name: Option<String>,
    /// Its media type.
    pub mime: Option<String>,
    /// Its content, as text.
    pub content: String,
    /// The size that the API claims, when it is not the content's.
    pub size: Option<u64>,
}

/// Where an injected message ended up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injected {
    /// The update.
    pub update_id: i64,
    /// The message; 0 for a whole update.
    pub message_id: i64,
}

impl Default for From {
    fn default() -> Self {
        Self { id: 501, first_name: "Ada".to_owned(), username: Some("ada".to_owned()), is_bot: false }
    }
}

impl Default for Inject {
    fn default() -> Self {
        Self {
            token: TOKEN.to_owned(),
            chat: 501,
            kind: String::new(),
            title: None,
            forum: false,
            from: From::default(),
            text: String::new(),
            mention: false,
            thread: None,
            reply_to: None,
            edit_of: None,
            file: None,
            merge: None,
            update: None,
        }
    }
}

/// Queues a message for a bot.
pub(crate) fn inject(world: &World, inject: Inject) -> Result<Injected, String> {
    let state = &mut *world.state();
    let unknown =
        || format!("The token {:?} is refused or has not the form `<digits>:<text>`.", inject.token);
    let username = state.bot(&inject.token).map(|bot| bot.username()).ok_or_else(unknown)?;
    if let Some(update) = &inject.update {
        let kind = update.as_object().and_then(|update| update.keys().next().cloned()).unwrap_or_default();
        let update_id = state.queue(&inject.token, &kind, update.clone()).ok_or_else(unknown)?;
        return Ok(Injected { update_id, message_id: 0 });
    }
    let (message_id, chat_kind) = arrive(state, &inject)?;
    let now = state.now_ms() / 1000;
    let shown = inject.file.as_ref().map(|file| {
        let (name, mime) = (file.name.as_deref(), file.mime.as_deref());
        (
            file.kind.clone(),
            files::keep(state, &file.kind, name, mime, file.content.clone().into_bytes(), file.size),
        )
    });
    let Some(chat) = state.chats.get_mut(&inject.chat) else { return Err("The chat is gone.".to_owned()) };
    let from = &inject.from;
    let mut sender = json!({"id": from.id, "is_bot": from.is_bot, "first_name": from.first_name});
    if let Some(username) = &from.username {
        sender["username"] = username.clone().into();
    }
    let mut message = json!({"message_id": message_id, "date": now, "chat": chat.show(inject.chat)});
    if chat_kind == "channel" {
        message["sender_chat"] = chat.show(inject.chat);
    } else {
        message["from"] = sender;
    }
    let (said, entities) =
        if inject.file.is_some() { ("caption", "caption_entities") } else { ("text", "entities") };
    let mut text = inject.text.clone();
    if inject.mention {
        message[entities] = json!([{"type": "mention", "offset": 0, "length": utf16(&username) + 1}]);
        text = format!("@{username} {text}");
    }
    if !text.is_empty() {
        message[said] = text.into();
    }
    if let Some(thread) = inject.thread.filter(|thread| *thread != 1) {
        message["message_thread_id"] = thread.into();
        message["is_topic_message"] = true.into();
    }
    if let Some(quoted) = inject.reply_to.and_then(|id| chat.messages.get(&id)) {
        message["reply_to_message"] = quoted.clone();
    }
    if let Some((kind, shown)) = shown {
        message[kind] = shown;
    }
    for (key, value) in inject.merge.iter().filter_map(Value::as_object).flatten() {
        message[key] = value.clone();
    }
    chat.messages.insert(message_id, message.clone());
    let kind = match (chat_kind == "channel", inject.edit_of.is_some()) {
        (false, false) => "message",
        (false, true) => "edited_message",
        (true, false) => "channel_post",
        (true, true) => "edited_channel_post",
    };
    if inject.edit_of.is_some() {
        message["edit_date"] = now.into();
    }
    let update_id = state.queue(&inject.token, kind, json!({kind: message})).ok_or_else(unknown)?;
    Ok(Injected { update_id, message_id })
}

/// Finds or makes the chat, and the message's id.
fn arrive(state: &mut State, inject: &Inject) -> Result<(i64, String), String> {
    let chat = state.chats.entry(inject.chat).or_default();
    if chat.kind.is_empty() {
        let guessed = if inject.chat > 0 { "private" } else { "supergroup" };
        chat.kind = if inject.kind.is_empty() { guessed.to_owned() } else { inject.kind.clone() };
        if !["private", "group", "supergroup", "channel"].contains(&chat.kind.as_str()) {
            return Err(format!("{:?} is no kind of chat.", chat.kind));
        }
        chat.title =
            inject.title.clone().or_else(|| (inject.chat < 0).then(|| format!("Chat {}", inject.chat)));
        chat.forum = inject.forum;
    }
    if let Some(thread) = inject.thread.filter(|thread| *thread != 1) {
        chat.forum = true;
        chat.topics.insert(thread);
    }
    let id = inject.edit_of.unwrap_or_else(|| chat.take_message_id());
    Ok((id, chat.kind.clone()))
}

/// Changes a chat.
pub(crate) fn change_chat(world: &World, id: i64, change: &Value) -> Result<(), String> {
    let state = &mut *world.state();
    let chat = state.chats.entry(id).or_default();
    if chat.kind.is_empty() {
        chat.kind = if id > 0 { "private" } else { "supergroup" }.to_owned();
    }
    for (key, value) in change.as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            ("type", Value::String(kind)) => chat.kind = kind.clone(),
            ("title", Value::String(title)) => chat.title = Some(title.clone()),
            ("is_forum", Value::Bool(forum)) => chat.forum = *forum,
            ("blocked", Value::Bool(blocked)) => chat.blocked = *blocked,
            ("migrated_to", Value::Number(new)) => chat.migrated_to = new.as_i64(),
            ("topics", Value::Array(topics)) => {
                chat.topics = topics.iter().filter_map(Value::as_i64).collect();
            }
            ("id", _) => {}
            _ => return Err(format!("A chat has no {key:?} of this kind.")),
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Next {
    method: String,
    #[serde(flatten)]
    fault: Fault,
}

/// Serves `/control/<action>`.
pub(crate) async fn serve(world: &Arc<World>, action: &str, call: &Call) -> (u16, Value) {
    let outcome = match action {
        "inject" => read(call).and_then(|it| inject(world, it)).map(|injected| json!(injected)),
        "sent" => {
            let after: u64 = number(&call.query, "after");
            Ok(world.peek(|state| {
                let sent: Vec<_> = state.sent.iter().filter(|sent| sent.seq > after).collect();
                json!({"sent": sent})
            }))
        }
        "faults" => read::<Odds>(call).map(|odds| {
            world.state().script.set(odds);
            json!({})
        }),
        "fault-next" => read::<Next>(call).map(|next| {
            world.state().script.push(&next.method, next.fault);
            json!({})
        }),
        "chat" => read::<Value>(call).and_then(|change| {
            let id = change["id"].as_i64().ok_or("The chat's id is missing.")?;
            change_chat(world, id, &change).map(|()| json!({}))
        }),
        "revoke" => read::<Value>(call).map(|it| {
            world.state().revoked.insert(it["token"].as_str().unwrap_or(TOKEN).to_owned());
            json!({})
        }),
        "state" => Ok(world.peek(|state| {
            let bots: serde_json::Map<String, Value> = state
                .bots
                .iter()
                .map(|(token, bot)| {
                    (token.clone(), json!({"unconfirmed": bot.updates.len(), "nextUpdate": bot.next_update}))
                })
                .collect();
            json!({"bots": bots, "calls": state.calls, "sent": state.sent.len()})
        })),
        _ => return (404, json!({"error": format!("There is no /control/{action}.")})),
    };
    match outcome {
        Ok(body) => (200, body),
        Err(error) => (400, json!({"error": error})),
    }
}

fn read<T: serde::de::DeserializeOwned>(call: &Call) -> Result<T, String> {
    if call.verb != "POST" {
        return Err(format!("{} must be called with POST.", call.path));
    }
    serde_json::from_slice(&call.body).map_err(|error| format!("The body does not fit: {error}."))
}

fn number(query: &str, name: &str) -> u64 {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse().ok()).unwrap_or(0)
}
