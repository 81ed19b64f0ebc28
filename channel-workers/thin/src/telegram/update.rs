//! Updates of the Bot API as messages of no platform. Everything is looked up, nothing is required: an update from
//! the future is passed over, never a reason to stop.

use creel_ipc::msg::channel::{Chat, ChatKind, Inbound, Quote, Sender};
use serde_json::Value;

/// UTF-16 units of a quoted text that are passed on.
const MOST_QUOTE: usize = 1024;

/// The bot itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Me {
    pub(super) id: i64,
    pub(super) username: String,
}

/// A file that came with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileRef {
    pub(super) kind: &'static str,
    pub(super) id: String,
    pub(super) bytes: Option<u64>,
    pub(super) mime: String,
    pub(super) name: Option<String>,
}

/// A message, and the files that still have to be fetched.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    pub(super) inbound: Inbound,
    pub(super) files: Vec<FileRef>,
}

/// Reads an update; the error says why it is passed over.
pub(super) fn read(update: &Value, me: &Me, edits: bool) -> Result<Message, &'static str> {
    let kinds = ["message", "channel_post", "edited_message", "edited_channel_post"];
    let found = kinds.into_iter().find_map(|kind| Some((kind, update.get(kind).filter(|m| m.is_object())?)));
    let Some((kind, message)) = found else { return Err("it is of a kind that is not used") };
    let edited = kind.starts_with("edited");
    if edited && !edits {
        return Err("changed messages are not wanted");
    }
    let chat_id = message["chat"]["id"].as_i64().ok_or("it has no chat")?;
    let message_id = message["message_id"].as_i64().ok_or("it has no message id")?;
    if message["from"]["id"].as_i64() == Some(me.id) {
        return Err("it is the bot's own");
    }
    let files = files(message);
    let text = said(message);
    if text.is_empty() && files.is_empty() {
        return Err("it says nothing");
    }
    let version = if edited { format!(":edit:{}", whole(&message["edit_date"])) } else { String::new() };
    let inbound = Inbound {
        ext_id: format!("{chat_id}:{message_id}{version}"),
        message_id: message_id.to_string(),
        chat: chat(message, chat_id),
        sender: sender(message, chat_id),
        mentioned: is_mentioned(message, me),
        quote: quote(message),
        text,
        attachments: Vec::new(),
        at_ms: whole(&message[if edited { "edit_date" } else { "date" }]).saturating_mul(1000),
        cursor: None,
    };
    Ok(Message { inbound, files })
}

fn whole(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn words(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn chat(message: &Value, id: i64) -> Chat {
    let chat = &message["chat"];
    let kind = match chat["type"].as_str() {
        Some("private") => ChatKind::Direct,
        Some("channel") => ChatKind::Channel,
        _ => ChatKind::Group,
    };
    let in_topic = message["is_topic_message"].as_bool() == Some(true);
    let thread = match message["message_thread_id"].as_i64() {
        Some(topic) if in_topic => Some(topic.to_string()),
        // The General topic shows itself by its absence.
        _ if chat["is_forum"].as_bool() == Some(true) => Some("1".to_owned()),
        // In other groups the id only names a chain of replies.
        _ => None,
    };
    let title = words(&chat["title"]).or_else(|| words(&chat["first_name"]));
    Chat { id: id.to_string(), kind, title, thread, parent: None, guild: None, team: None }
}

fn sender(message: &Value, chat_id: i64) -> Sender {
    // Anonymous administrators and channels speak as a chat.
    let as_chat = &message["sender_chat"];
    if let Some(id) = as_chat["id"].as_i64() {
        let (name, username) = (words(&as_chat["title"]), words(&as_chat["username"]));
        return Sender { id: id.to_string(), name, username, roles: Vec::new(), is_bot: false };
    }
    let from = &message["from"];
    let names = [words(&from["first_name"]), words(&from["last_name"])];
    let name = names.into_iter().flatten().collect::<Vec<_>>().join(" ");
    Sender {
        id: from["id"].as_i64().unwrap_or(chat_id).to_string(),
        name: Some(name).filter(|name| !name.is_empty()),
        username: words(&from["username"]),
        roles: Vec::new(),
        is_bot: from["is_bot"].as_bool().unwrap_or(false),
    }
}

/// The text of a message, or words for what is neither text nor file.
fn said(message: &Value) -> String {
    if let Some(text) = words(&message["text"]).or_else(|| words(&message["caption"])) {
        return text;
    }
    if let Some(emoji) = words(&message["sticker"]["emoji"]) {
        return emoji;
    }
    let place = &message["location"];
    if let (Some(latitude), Some(longitude)) = (place["latitude"].as_f64(), place["longitude"].as_f64()) {
        let title = words(&message["venue"]["title"]).map(|title| format!(" {title}")).unwrap_or_default();
        return format!("[location{title}: {latitude}, {longitude}]");
    }
    let contact = &message["contact"];
    if let Some(number) = words(&contact["phone_number"]) {
        return format!("[contact {}: {number}]", words(&contact["first_name"]).unwrap_or_default());
    }
    if let Some(question) = words(&message["poll"]["question"]) {
        let options = message["poll"]["options"].as_array().map(Vec::as_slice).unwrap_or_default();
        let options: Vec<String> = options.iter().filter_map(|option| words(&option["text"])).collect();
        return format!("[poll: {question} ({})]", options.join(" / "));
    }
    if let (Some(emoji), Some(value)) = (words(&message["dice"]["emoji"]), message["dice"]["value"].as_i64())
    {
        return format!("[{emoji} {value}]");
    }
    String::new()
}

/// The text between two offsets in UTF-16 units.
fn utf16_slice(text: &str, offset: usize, length: usize) -> Option<&str> {
    let end = offset.checked_add(length)?;
    let (mut units, mut from, mut to) = (0, None, None);
    for (at, c) in text.char_indices().chain([(text.len(), '\0')]) {
        if units == offset {
            from = Some(at);
        }
        if units == end {
            to = Some(at);
        }
        units += c.len_utf16();
    }
    text.get(from?..to?)
}

fn is_mentioned(message: &Value, me: &Me) -> bool {
    let replied = &message["reply_to_message"];
    // In a topic every message answers the message that opened it.
    let opened_topic = replied.get("forum_topic_created").is_some();
    if replied["from"]["id"].as_i64() == Some(me.id) && !opened_topic {
        return true;
    }
    [("text", "entities"), ("caption", "caption_entities")].iter().any(|(said, marked)| {
        let text = message[*said].as_str().unwrap_or_default();
        let entities = message[*marked].as_array().map(Vec::as_slice).unwrap_or_default();
        entities.iter().any(|entity| addresses(entity, text, me))
    })
}

fn addresses(entity: &Value, text: &str, me: &Me) -> bool {
    let number = |key: &str| entity[key].as_u64().and_then(|n| usize::try_from(n).ok());
    let marked = || utf16_slice(text, number("offset")?, number("length")?);
    match entity["type"].as_str() {
        Some("text_mention") => entity["user"]["id"].as_i64() == Some(me.id),
        Some("mention" | "bot_command") => marked()
            .and_then(|marked| marked.split_once('@'))
            .is_some_and(|(_, name)| name.eq_ignore_ascii_case(&me.username)),
        _ => false,
    }
}

fn quote(message: &Value) -> Option<Quote> {
    let replied = Some(&message["reply_to_message"]).filter(|replied| replied.is_object());
    let replied =
        replied.or_else(|| Some(&message["external_reply"]).filter(|replied| replied.is_object()))?;
    if replied.get("forum_topic_created").is_some() {
        return None;
    }
    let text =
        words(&message["quote"]["text"]).or_else(|| Some(said(replied)).filter(|text| !text.is_empty()));
    let from = Some(&replied["from"]).filter(|from| from.is_object()).unwrap_or(&replied["sender_chat"]);
    Some(Quote {
        message_id: replied["message_id"].as_i64()?.to_string(),
        text: text.map(|text| shortened(&text)),
        sender: words(&from["username"])
            .or_else(|| words(&from["first_name"]))
            .or_else(|| words(&from["title"])),
    })
}

fn shortened(text: &str) -> String {
    let mut units = 0;
    text.chars()
        .take_while(|c| {
            units += c.len_utf16();
            units <= MOST_QUOTE
        })
        .collect()
}

fn files(message: &Value) -> Vec<FileRef> {
    let kinds = [
        ("photo", "image/jpeg"),
        ("document", "application/octet-stream"),
        ("voice", "audio/ogg"),
        ("audio", "audio/mpeg"),
        ("video", "video/mp4"),
        ("video_note", "video/mp4"),
        ("animation", "video/mp4"),
        ("sticker", "image/webp"),
    ];
    let mut files: Vec<FileRef> =
        kinds.into_iter().filter_map(|(kind, mime)| file(kind, mime, &message[kind])).collect();
    // An animation is shown as a document too.
    if files.iter().any(|file| file.kind == "animation") {
        files.retain(|file| file.kind != "document");
    }
    files
}

fn file(kind: &'static str, mime: &str, shown: &Value) -> Option<FileRef> {
    let size = |file: &Value| file["width"].as_u64().unwrap_or(0) * file["height"].as_u64().unwrap_or(0);
    // A photo comes in several sizes.
    let file = match shown.as_array() {
        Some(sizes) => sizes.iter().max_by_key(|file| size(file))?,
        None => shown,
    };
    let mime = match (kind, file["is_animated"].as_bool(), file["is_video"].as_bool()) {
        ("sticker", Some(true), _) => "application/x-tgsticker",
        ("sticker", _, Some(true)) => "video/webm",
        _ => file["mime_type"].as_str().unwrap_or(mime),
    };
    Some(FileRef {
        kind,
        id: words(&file["file_id"])?,
        bytes: file["file_size"].as_u64(),
        mime: mime.to_owned(),
        name: words(&file["file_name"]),
    })
}

#[cfg(test)]
mod tests;
