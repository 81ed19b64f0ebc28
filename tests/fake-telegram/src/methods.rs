//! The methods that bots call, `getUpdates` apart.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::entities::{Parsed, parse_html, utf16};
use crate::files;
use crate::media::{Params, Upload};
use crate::server::{Answer, Refusal};
use crate::world::{Sent, SentFile, State, World};

const MAX_TEXT: usize = 4096;
const MAX_CAPTION: usize = 1024;
/// Bytes of a text before its markup is read.
const MAX_RAW: usize = 32 * 1024;

pub(crate) fn call(world: &World, token: &str, method: &str, params: &Params, answered: bool) -> Answer {
    let state = &mut *world.state();
    let done = Done { token, method, answered };
    match method.to_ascii_lowercase().as_str() {
        "getme" => {
            let bot = state.bot(token).map(|bot| bot.user());
            let mut me = bot.ok_or_else(|| Refusal::new(401, "Unauthorized"))?;
            me["can_join_groups"] = true.into();
            me["can_read_all_group_messages"] = false.into();
            Ok(me)
        }
        "deletewebhook" | "setwebhook" => webhook(state, token, params),
        "sendmessage" => send_message(state, params, &done),
        "editmessagetext" => edit_message(state, params, &done),
        "sendchataction" => chat_action(state, params, &done),
        "sendphoto" | "senddocument" | "sendaudio" | "sendvoice" | "sendvideo" | "sendanimation" => {
            send_file(state, params, &done)
        }
        "getfile" => files::get(state, &params.text("file_id").unwrap_or_default()),
        _ => Err(Refusal::new(404, "Not Found: method not found")),
    }
}

/// What is noted with everything that was accepted.
struct Done<'a> {
    token: &'a str,
    method: &'a str,
    answered: bool,
}

struct Place {
    chat: i64,
    thread: Option<i64>,
    reply_to: Option<i64>,
}

fn bad(description: impl Into<String>) -> Refusal {
    Refusal::new(400, format!("Bad Request: {}", description.into()))
}

fn webhook(state: &mut State, token: &str, params: &Params) -> Answer {
    let drop_pending = params.text("drop_pending_updates").as_deref() == Some("true");
    let Some(bot) = state.bot(token) else { return Err(Refusal::new(401, "Unauthorized")) };
    bot.webhook = params.text("url").filter(|url| !url.is_empty());
    if drop_pending {
        bot.updates.clear();
    }
    Ok(true.into())
}

/// Finds the chat and checks topic and reply as the real server does.
fn place(state: &State, params: &Params, for_action: bool) -> Result<Place, Refusal> {
    let chat = params.number("chat_id").ok_or_else(|| bad("chat_id is empty"))?;
    let Some(known) = state.chats.get(&chat) else { return Err(bad("chat not found")) };
    if known.blocked {
        let group = "Forbidden: bot was kicked from the group chat";
        let person = "Forbidden: bot was blocked by the user";
        return Err(Refusal::new(403, if known.kind == "private" { person } else { group }));
    }
    if let Some(new) = known.migrated_to {
        let parameters = Some(json!({"migrate_to_chat_id": new}));
        let description = "Bad Request: group chat was upgraded to a supergroup chat".to_owned();
        return Err(Refusal { code: 400, description, parameters });
    }
    let thread = params.number("message_thread_id");
    let general = for_action && known.forum && thread == Some(1);
    if let Some(thread) = thread
        && !general
        && !known.topics.contains(&thread)
    {
        return Err(bad("message thread not found"));
    }
    let reply = params.json("reply_parameters");
    let wanted = reply.as_ref().and_then(|reply| reply["message_id"].as_i64());
    let lenient = reply.as_ref().is_some_and(|reply| reply["allow_sending_without_reply"] == true);
    let reply_to = wanted.filter(|id| known.messages.contains_key(id));
    if wanted.is_some() && reply_to.is_none() && !lenient {
        return Err(bad("message to be replied not found"));
    }
    Ok(Place { chat, thread, reply_to })
}

/// Reads the markup and checks the length after it.
fn text(params: &Params, name: &str, most: usize, too_long: &str) -> Result<Parsed, Refusal> {
    let raw = params.text(name).unwrap_or_default();
    if raw.len() > MAX_RAW {
        return Err(bad(too_long));
    }
    let mut parsed = match params.text("parse_mode").map(|mode| mode.to_ascii_lowercase()).as_deref() {
        None | Some("") => Parsed { text: raw, entities: Vec::new() },
        Some("html") => parse_html(&raw).map_err(|description| Refusal::new(400, description))?,
        Some(_) => return Err(bad("unsupported parse_mode")),
    };
    parsed.text.truncate(parsed.text.trim_end().len());
    if utf16(&parsed.text) > most {
        return Err(bad(too_long));
    }
    Ok(parsed)
}

fn send_message(state: &mut State, params: &Params, done: &Done<'_>) -> Answer {
    let parsed = text(params, "text", MAX_TEXT, "message is too long")?;
    if parsed.text.trim().is_empty() {
        return Err(bad("message text is empty"));
    }
    let place = place(state, params, false)?;
    Ok(accept(state, params, done, &place, parsed, None))
}

fn edit_message(state: &mut State, params: &Params, done: &Done<'_>) -> Answer {
    let parsed = text(params, "text", MAX_TEXT, "message is too long")?;
    if parsed.text.trim().is_empty() {
        return Err(bad("message text is empty"));
    }
    let place = place(state, params, false)?;
    let id = params.number("message_id").unwrap_or(0);
    let now = state.now_ms();
    let own = state.bot(done.token).map_or(0, |bot| bot.id);
    let message = state.chats.get_mut(&place.chat).and_then(|chat| chat.messages.get_mut(&id));
    let Some(message) = message else { return Err(bad("message to edit not found")) };
    if message["from"]["id"] != own {
        return Err(bad("message can't be edited"));
    }
    let entities = Value::Array(parsed.entities.clone());
    if message["text"] == parsed.text && message.get("entities").unwrap_or(&json!([])) == &entities {
        return Err(bad(
            "message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message",
        ));
    }
    message["text"] = parsed.text.clone().into();
    message["entities"] = entities;
    message["edit_date"] = (now / 1000).into();
    let message = message.clone();
    note(state, params, done, &place, Some(id), parsed, None);
    Ok(message)
}

fn chat_action(state: &mut State, params: &Params, done: &Done<'_>) -> Answer {
    let place = place(state, params, true)?;
    let action = params.text("action").ok_or_else(|| bad("wrong parameter action in request"))?;
    let parsed = Parsed { text: action, entities: Vec::new() };
    note(state, params, done, &place, None, parsed, None);
    Ok(true.into())
}

fn send_file(state: &mut State, params: &Params, done: &Done<'_>) -> Answer {
    let field = done.method[4..].to_ascii_lowercase();
    let parsed = text(params, "caption", MAX_CAPTION, "message caption is too long")?;
    let place = place(state, params, false)?;
    let Some(upload) = params.uploads.iter().find(|upload| upload.field == field) else {
        return Err(bad(format!("there is no {field} in the request")));
    };
    if upload.content.is_empty() {
        return Err(bad("file must be non-empty"));
    }
    if field == "photo" && !is_image(&upload.content) {
        return Err(bad("IMAGE_PROCESS_FAILED"));
    }
    Ok(accept(state, params, done, &place, parsed, Some((&field, upload))))
}

fn is_image(content: &[u8]) -> bool {
    content.starts_with(b"\x89PNG")
        || content.starts_with(b"\xff\xd8\xff")
        || content.get(8..12) == Some(b"WEBP")
}

fn accept(
    state: &mut State,
    params: &Params,
    done: &Done<'_>,
    place: &Place,
    parsed: Parsed,
    upload: Option<(&str, &Upload)>,
) -> Value {
    let now = state.now_ms();
    let from = state.bot(done.token).map(|bot| bot.user()).unwrap_or_default();
    let Some(chat) = state.chats.get_mut(&place.chat) else { return Value::Null };
    let id = chat.take_message_id();
    let mut message =
        json!({"message_id": id, "date": now / 1000, "chat": chat.show(place.chat), "from": from});
    message[if upload.is_some() { "caption" } else { "text" }] = parsed.text.clone().into();
    if !parsed.entities.is_empty() {
        message["entities"] = parsed.entities.clone().into();
    }
    if let Some(thread) = place.thread {
        message["message_thread_id"] = thread.into();
        message["is_topic_message"] = true.into();
    }
    if let Some(quoted) = place.reply_to.and_then(|id| chat.messages.get(&id)) {
        message["reply_to_message"] = quoted.clone();
    }
    let mut file = None;
    if let Some((kind, upload)) = upload {
        let shown =
            files::keep(state, kind, Some(&upload.name), Some(&upload.mime), upload.content.clone(), None);
        message[kind] = shown;
        let sha256 = Sha256::digest(&upload.content).iter().map(|byte| format!("{byte:02x}")).collect();
        let (name, mime) = (upload.name.clone(), upload.mime.clone());
        file = Some(SentFile { name, mime, bytes: upload.content.len(), sha256 });
    }
    if let Some(chat) = state.chats.get_mut(&place.chat) {
        chat.messages.insert(id, message.clone());
    }
    note(state, params, done, place, Some(id), parsed, file);
    message
}

fn note(
    state: &mut State,
    params: &Params,
    done: &Done<'_>,
    place: &Place,
    message_id: Option<i64>,
    parsed: Parsed,
    file: Option<SentFile>,
) {
    let sent = Sent {
        seq: state.sent.len() as u64 + 1,
        at_ms: state.now_ms(),
        token: done.token.to_owned(),
        method: done.method.to_owned(),
        chat_id: place.chat,
        thread: place.thread,
        message_id,
        reply_to: place.reply_to,
        text: parsed.text,
        entities: parsed.entities,
        file,
        answered: done.answered,
        params: Value::Object(params.values.clone()),
    };
    state.sent.push(sent);
}
