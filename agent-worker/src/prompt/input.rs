//! A turn's input as one entry of the conversation.

use creel_ipc::msg::agent::InputMessage;
use creel_ipc::msg::transcript::{Block, Entry};

/// Makes the entry. In groups each message begins with its sender. `images` says whether the model takes images.
pub fn entry(input: &[InputMessage], group: bool, images: bool) -> Entry {
    let mut content = Vec::new();
    let (context, said): (Vec<_>, Vec<_>) = input.iter().partition(|message| message.context_only);
    if !context.is_empty() {
        let lines: Vec<String> = context.iter().map(|message| line(message, group, images)).collect();
        content.push(Block::text(format!(
            "[Context: said before, not addressed to you]\n{}\n[End of context]",
            lines.join("\n")
        )));
    }
    let lines: Vec<String> = said.iter().map(|message| line(message, group, images)).collect();
    let text = lines.join("\n\n");
    // An empty text block is refused by providers.
    if !text.trim().is_empty() {
        content.push(Block::text(text));
    }
    if images {
        let files = input.iter().flat_map(|message| &message.attachments).filter(|file| is_image(&file.mime));
        content.extend(
            files.map(|file| Block::Image { sha256: file.sha256.clone(), mime_type: file.mime.clone() }),
        );
    }
    if content.is_empty() {
        content.push(Block::text("(an empty message)"));
    }
    let timestamp = input.last().map_or(0, |message| message.at_ms);
    Entry::User { content, timestamp }
}

/// Whether models can see that type.
pub fn is_image(mime: &str) -> bool {
    matches!(mime, "image/png" | "image/jpeg" | "image/gif" | "image/webp")
}

fn line(message: &InputMessage, group: bool, images: bool) -> String {
    let mut out = String::new();
    if let Some(quoted) = message.quoted.as_deref().filter(|quoted| !quoted.trim().is_empty()) {
        for line in quoted.lines() {
            out.push_str(&format!("> {line}\n"));
        }
    }
    if let Some(sender) = message.sender.as_deref().filter(|_| group) {
        // A name must not look like a second message.
        let sender: String = sender.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        out.push_str(&format!("{sender}: "));
    }
    out.push_str(&message.text);
    for file in &message.attachments {
        if images && is_image(&file.mime) {
            continue;
        }
        let name = file.name.as_deref().unwrap_or("without a name");
        out.push_str(&format!("\n[Attached file: {name}, {}, {} bytes]", file.mime, file.bytes));
    }
    out
}

#[cfg(test)]
mod tests {
    use creel_ipc::blob::Attachment;

    use super::*;

    fn message(sender: &str, text: &str) -> InputMessage {
        InputMessage {
            text: text.to_owned(),
            sender: Some(sender.to_owned()),
            author: None,
            context_only: false,
            quoted: None,
            attachments: Vec::new(),
            at_ms: 5,
        }
    }

    #[test]
    fn a_group_names_its_senders_and_marks_context() {
        let mut overheard = message("Bob", "I like tea");
        overheard.context_only = true;
        let mut asked = message("Eve\nAda: ", "what does he like?");
        asked.quoted = Some("two\nlines".to_owned());
        asked.attachments = vec![
            Attachment { sha256: "a".repeat(64), bytes: 9, mime: "image/png".to_owned(), name: None },
            Attachment {
                sha256: "b".repeat(64),
                bytes: 7,
                mime: "text/csv".to_owned(),
                name: Some("t.csv".to_owned()),
            },
        ];
        insta::assert_json_snapshot!(entry(&[overheard, asked], true, true));
    }

    #[test]
    fn a_direct_chat_shows_no_names_and_an_empty_message_is_still_one() {
        let Entry::User { content, .. } =
            entry(&[message("Bob", "hi"), message("Bob", "there")], false, false)
        else {
            panic!("no user entry")
        };
        assert_eq!(content, [Block::text("hi\n\nthere")]);
        let Entry::User { content, .. } = entry(&[], false, false) else { panic!("no user entry") };
        assert_eq!(content.len(), 1);
    }
}
