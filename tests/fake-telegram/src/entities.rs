//! HTML entities as the Bot API reads them: offsets and lengths in UTF-16 units, errors in its own words.

use serde_json::{Value, json};

/// What became of a text with markup.
#[derive(Debug, PartialEq)]
pub(crate) struct Parsed {
    pub(crate) text: String,
    pub(crate) entities: Vec<Value>,
}

struct Open {
    tag: String,
    kind: &'static str,
    start: usize,
    extra: Option<(&'static str, String)>,
}

/// The length in UTF-16 units.
pub(crate) fn utf16(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Reads a text in HTML mode.
pub(crate) fn parse_html(html: &str) -> Result<Parsed, String> {
    let fail = |what: String| Err(format!("Bad Request: can't parse entities: {what}"));
    let mut text = String::new();
    let mut open: Vec<Open> = Vec::new();
    let mut entities = Vec::new();
    let mut at = 0;
    while let Some(c) = html[at..].chars().next() {
        if c == '&' {
            let (decoded, length) = character(&html[at..]);
            text.push_str(decoded.as_deref().unwrap_or("&"));
            at += length;
            continue;
        }
        if c != '<' {
            text.push(c);
            at += c.len_utf8();
            continue;
        }
        let Some(length) = html[at..].find('>') else {
            return fail(format!("Unclosed start tag at byte offset {at}"));
        };
        let inside = &html[at + 1..at + length];
        if let Some(name) = inside.strip_prefix('/') {
            let name = name.trim().to_ascii_lowercase();
            let Some(opened) = open.pop() else {
                return fail(format!("Unexpected end tag at byte offset {at}"));
            };
            if !name.is_empty() && name != opened.tag {
                return fail(format!(
                    "Unmatched end tag at byte offset {at}, expected \"</{}>\", found \"</{name}>\"",
                    opened.tag
                ));
            }
            let units = utf16(&text) - opened.start;
            if units > 0 {
                let mut entity = json!({"type": opened.kind, "offset": opened.start, "length": units});
                if let Some((key, value)) = opened.extra {
                    entity[key] = value.into();
                }
                entities.push(entity);
            }
        } else {
            let tag: String = inside
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
                .collect::<String>()
                .to_ascii_lowercase();
            let Some((kind, extra)) = kind(&tag, inside, open.last()) else {
                return fail(format!("Unsupported start tag \"{tag}\" at byte offset {at}"));
            };
            if kind == "blockquote" && open.iter().any(|open| open.kind == kind) {
                return fail(format!("Nested blockquote at byte offset {at}"));
            }
            open.push(Open { tag, kind, start: utf16(&text), extra });
        }
        at += length + 1;
    }
    if let Some(opened) = open.pop() {
        return fail(format!("Can't find end tag corresponding to start tag \"{}\"", opened.tag));
    }
    entities.sort_by_key(|entity| entity["offset"].as_u64());
    Ok(Parsed { text, entities })
}

type Kind = (&'static str, Option<(&'static str, String)>);

fn kind(tag: &str, inside: &str, outer: Option<&Open>) -> Option<Kind> {
    Some(match tag {
        "b" | "strong" => ("bold", None),
        "i" | "em" => ("italic", None),
        "u" | "ins" => ("underline", None),
        "s" | "strike" | "del" => ("strikethrough", None),
        "tg-spoiler" => ("spoiler", None),
        "span" if attribute(inside, "class").as_deref() == Some("tg-spoiler") => ("spoiler", None),
        "a" => ("text_link", attribute(inside, "href").map(|url| ("url", url))),
        "pre" => ("pre", None),
        "code" => {
            let language = attribute(inside, "class")
                .and_then(|class| class.strip_prefix("language-").map(str::to_owned))
                .filter(|_| outer.is_some_and(|outer| outer.kind == "pre"));
            ("code", language.map(|language| ("language", language)))
        }
        "blockquote" => ("blockquote", None),
        _ => return None,
    })
}

fn attribute(inside: &str, name: &str) -> Option<String> {
    let at = inside.find(&format!(" {name}=\""))? + name.len() + 3;
    let raw = inside[at..].split('"').next()?;
    let mut value = String::new();
    let mut at = 0;
    while let Some(c) = raw[at..].chars().next() {
        if c == '&' {
            let (decoded, length) = character(&raw[at..]);
            value.push_str(decoded.as_deref().unwrap_or("&"));
            at += length;
        } else {
            value.push(c);
            at += c.len_utf8();
        }
    }
    Some(value)
}

/// The character that a reference at the beginning of `text` stands for, and the reference's length.
fn character(text: &str) -> (Option<String>, usize) {
    let Some(end) = text.char_indices().take(12).find(|(_, c)| *c == ';').map(|(at, _)| at) else {
        return (None, 1);
    };
    let name = &text[1..end];
    let named = match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        _ => match name.strip_prefix("#x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok().and_then(char::from_u32),
            None => name.strip_prefix('#').and_then(|n| n.parse().ok()).and_then(char::from_u32),
        },
    };
    match named {
        Some(c) => (Some(c.to_string()), end + 1),
        None => (None, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_in_utf16_units() {
        let parsed =
            parse_html("😀 <b>bold &amp; <i>both</i></b> <a href=\"https://e.org/?a=1&amp;b=2\">l</a>")
                .unwrap();
        assert_eq!(parsed.text, "😀 bold & both l");
        assert_eq!(parsed.entities[0], json!({"type": "bold", "offset": 3, "length": 11}));
        assert_eq!(parsed.entities[1], json!({"type": "italic", "offset": 10, "length": 4}));
        assert_eq!(
            parsed.entities[2],
            json!({"type": "text_link", "offset": 15, "length": 1, "url": "https://e.org/?a=1&b=2"})
        );
    }

    #[test]
    fn errors_speak_as_the_real_server() {
        let error = |html| parse_html(html).unwrap_err();
        assert_eq!(
            error("<b>x</i>"),
            "Bad Request: can't parse entities: Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\""
        );
        assert!(error("<div>x</div>").ends_with("Unsupported start tag \"div\" at byte offset 0"));
        assert!(error("<b>x").ends_with("Can't find end tag corresponding to start tag \"b\""));
        assert!(error("a < b").contains("can't parse entities"));
    }
}
