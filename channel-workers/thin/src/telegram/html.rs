//! Telegram's HTML, and the cutting into messages.

use creel_channel_core::chunk::{Unit, split};
use creel_channel_core::render::{Rich, Style, parse};

/// Bytes of the HTML of one message, before the platform reads it.
const MOST_HTML: usize = 32 * 1024;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) html: String,
    /// What is said when the platform does not take the HTML.
    pub(super) plain: String,
}

/// Markdown as messages of at most `limit` UTF-16 units.
pub(super) fn parts(markdown: &str, limit: usize) -> Vec<Part> {
    split(&parse(markdown), Unit::Utf16, limit, |part| html(part).len() <= MOST_HTML)
        .iter()
        .map(Rich::trimmed)
        .filter(|part| !part.is_blank())
        .map(|part| Part { html: html(&part), plain: part.text })
        .collect()
}

/// Text with marks in Telegram's HTML.
pub(super) fn html(rich: &Rich) -> String {
    let mut out = String::with_capacity(rich.text.len() + 16 * rich.marks.len());
    let mut points: Vec<usize> = rich
        .marks
        .iter()
        .flat_map(|mark| [mark.range.start, mark.range.end])
        .chain([rich.text.len()])
        .collect();
    points.sort_unstable();
    points.dedup();
    let mut open: Vec<usize> = Vec::new();
    let mut opening = 0;
    let mut from = 0;
    for point in points {
        escape(&rich.text[from..point], &mut out);
        from = point;
        // Marks may cross: those above one that ends are closed with it and opened again.
        if let Some(lowest) = open.iter().position(|index| rich.marks[*index].range.end <= point) {
            let closed = open.split_off(lowest);
            for index in closed.iter().rev() {
                end(&rich.marks[*index].style, &mut out);
            }
            for index in closed.into_iter().filter(|index| rich.marks[*index].range.end > point) {
                begin(&rich.marks[index].style, &mut out);
                open.push(index);
            }
        }
        while let Some(mark) = rich.marks.get(opening).filter(|mark| mark.range.start == point) {
            begin(&mark.style, &mut out);
            open.push(opening);
            opening += 1;
        }
    }
    out
}

fn begin(style: &Style, out: &mut String) {
    match style {
        Style::Bold | Style::Heading(_) => out.push_str("<b>"),
        Style::Italic => out.push_str("<i>"),
        Style::Strike => out.push_str("<s>"),
        Style::Code => out.push_str("<code>"),
        Style::Pre { lang: None } => out.push_str("<pre>"),
        Style::Pre { lang: Some(lang) } => {
            out.push_str("<pre><code class=\"language-");
            escape(lang, out);
            out.push_str("\">");
        }
        Style::Link { url } => {
            if is_linkable(url) {
                out.push_str("<a href=\"");
                escape(url, out);
                out.push_str("\">");
            }
        }
        Style::Quote => out.push_str("<blockquote>"),
        Style::Spoiler => out.push_str("<tg-spoiler>"),
    }
}

fn end(style: &Style, out: &mut String) {
    out.push_str(match style {
        Style::Bold | Style::Heading(_) => "</b>",
        Style::Italic => "</i>",
        Style::Strike => "</s>",
        Style::Code => "</code>",
        Style::Pre { lang: None } => "</pre>",
        Style::Pre { lang: Some(_) } => "</code></pre>",
        Style::Link { url } => {
            if is_linkable(url) {
                "</a>"
            } else {
                ""
            }
        }
        Style::Quote => "</blockquote>",
        Style::Spoiler => "</tg-spoiler>",
    });
}

/// Whether the platform makes a link of it; a path of the agent's workspace is none.
fn is_linkable(url: &str) -> bool {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https" | "tg" | "mailto" | "tel"))
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(markdown: &str) -> String {
        let parts = parts(markdown, 4000);
        parts.iter().map(|part| part.html.as_str()).collect::<Vec<_>>().join("\n-----\n")
    }

    #[test]
    fn markdown_becomes_the_platforms_html() {
        insta::assert_snapshot!(shown(
            "# Title\n\n**bold *both*** ~~gone~~ `a<b` ||hidden||\n\n- [site](https://e.org/?a=1&b=\"2\")\n- [file](./notes.md)\n\n\
             > quoted\n> > deeper\n\n```rust\nif a < b && c {}\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n<div>raw</div>"
        ));
    }

    #[test]
    fn a_code_block_over_two_messages_is_closed_and_opened_again() {
        let code: String = (0..20).map(|n| format!("line {n};\n")).collect();
        let parts = parts(&format!("Look:\n\n```c\n{code}```"), 60);
        assert!(parts.len() > 2);
        for part in &parts[1..] {
            assert!(
                part.html.starts_with("<pre><code class=\"language-c\">")
                    && part.html.ends_with("</code></pre>")
            );
        }
    }

    #[test]
    fn crossing_marks_are_nested() {
        use creel_channel_core::render::Mark;
        let marks =
            vec![Mark { range: 0..4, style: Style::Bold }, Mark { range: 2..6, style: Style::Spoiler }];
        let rich = Rich { text: "abcdef".to_owned(), marks };
        assert_eq!(html(&rich), "<b>ab<tg-spoiler>cd</tg-spoiler></b><tg-spoiler>ef</tg-spoiler>");
    }

    /// Tags are closed in the order in which they were opened, as the platform demands.
    fn is_nested(html: &str) -> bool {
        let mut open = Vec::new();
        for tag in html.split('<').skip(1) {
            let tag = tag.split('>').next().unwrap_or_default();
            match tag.strip_prefix('/') {
                Some(name) if open.pop() == Some(name) => {}
                Some(_) => return false,
                None => open.push(tag.split(' ').next().unwrap_or_default()),
            }
        }
        open.is_empty()
    }

    proptest! {
        #[test]
        fn any_markdown_is_nested_html_within_the_limit(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "*", "**", "_", "~~", "`", "```\n", "\n", "\n\n", "> ", "- ", "1. ", "||", "# ", "<", "&", "[x](https://e.org)", "é", "👩‍👩‍👧", "中", "ab", " ",
            ]), 0..80),
            limit in 16_usize..80,
        ) {
            for part in parts(&pieces.concat(), limit) {
                prop_assert!(is_nested(&part.html), "{}", part.html);
                prop_assert!(Unit::Utf16.length(&part.plain) <= limit);
            }
        }
    }
}
