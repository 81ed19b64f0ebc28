//! Reading Markdown.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::table::Table;
use super::{Mark, Rich, Style, spoiler};

/// Reads Markdown with tables, strike-through, task lists and `||spoilers||`. Whatever is no Markdown is text.
pub fn parse(markdown: &str) -> Rich {
    let options = Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS;
    let mut reading = Reading::default();
    for event in Parser::new_ext(markdown, options) {
        reading.take(event);
    }
    let mut rich = Rich { text: reading.text, marks: reading.marks };
    rich.marks.retain(|mark| !mark.range.is_empty());
    rich.marks.sort_by_key(|mark| (mark.range.start, std::cmp::Reverse(mark.range.end)));
    spoiler::mark(rich)
}

#[derive(Default)]
struct Reading {
    text: String,
    marks: Vec<Mark>,
    /// Marks that are not closed yet: where they begin, and the style if it is shown.
    open: Vec<(usize, Option<Style>)>,
    /// Newlines owed before the next text.
    gap: usize,
    /// The next number of each open list; `None` for bullets.
    lists: Vec<Option<u64>>,
    /// The marker of a list item was just written.
    at_marker: bool,
    quotes: usize,
    table: Option<Table>,
}

impl Reading {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => self.push(&text),
            Event::InlineMath(text) | Event::DisplayMath(text) => self.push(&text),
            Event::Code(text) => {
                self.open(Some(Style::Code));
                self.push(&text);
                self.close();
            }
            Event::FootnoteReference(name) => self.push(&format!("[{name}]")),
            Event::SoftBreak | Event::HardBreak => self.push("\n"),
            Event::Rule => {
                self.block(2);
                self.push("———");
                self.gap = 2;
            }
            Event::TaskListMarker(done) => self.push(if done { "☑ " } else { "☐ " }),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock | Tag::FootnoteDefinition(_) => self.block(2),
            Tag::Heading { level, .. } => {
                self.block(2);
                self.open(Some(Style::Heading(number(level))));
            }
            Tag::BlockQuote(_) => {
                self.block(2);
                self.quotes += 1;
                // Platforms have one level of quotation.
                let style = (self.quotes == 1).then_some(Style::Quote);
                self.open(style);
            }
            Tag::CodeBlock(kind) => {
                self.block(2);
                let lang = match kind {
                    CodeBlockKind::Fenced(info) => language(&info),
                    CodeBlockKind::Indented => None,
                };
                self.open(Some(Style::Pre { lang }));
            }
            Tag::List(first) => {
                self.block(if self.lists.is_empty() { 2 } else { 1 });
                self.at_marker = false;
                self.lists.push(first);
            }
            Tag::Item => self.item(),
            Tag::Table(_) => {
                self.block(2);
                self.open(Some(Style::Pre { lang: None }));
                self.table = Some(Table::default());
            }
            Tag::Emphasis => self.open(Some(Style::Italic)),
            Tag::Strong => self.open(Some(Style::Bold)),
            Tag::Strikethrough => self.open(Some(Style::Strike)),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                self.open(Some(Style::Link { url: dest_url.into_string() }));
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some(table) = &mut self.table {
                    table.row();
                }
            }
            Tag::TableCell => {
                if let Some(table) = &mut self.table {
                    table.cell();
                }
            }
            _ => self.open(None),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock | TagEnd::FootnoteDefinition => self.gap = 2,
            TagEnd::Heading(_) => {
                self.close();
                self.gap = 2;
            }
            TagEnd::CodeBlock => {
                self.close_trimmed();
                self.gap = 2;
            }
            TagEnd::BlockQuote(_) => {
                self.quotes -= 1;
                self.close();
                self.gap = 2;
            }
            TagEnd::List(_) => {
                self.lists.pop();
                self.gap = if self.lists.is_empty() { 2 } else { self.gap.max(1) };
            }
            TagEnd::Item => {
                self.at_marker = false;
                self.gap = self.gap.max(1);
            }
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    self.push(&table.aligned());
                }
                self.close();
                self.gap = 2;
            }
            TagEnd::TableHead | TagEnd::TableRow | TagEnd::TableCell => {}
            _ => self.close(),
        }
    }

    fn item(&mut self) {
        self.block(1);
        let indent = "  ".repeat(self.lists.len().saturating_sub(1));
        let marker = match self.lists.last_mut() {
            Some(Some(number)) => {
                let marker = format!("{indent}{number}. ");
                *number = number.saturating_add(1);
                marker
            }
            _ => format!("{indent}• "),
        };
        self.push(&marker);
        self.at_marker = true;
    }

    /// A block begins: on a new line, unless it is the first thing of a list item.
    fn block(&mut self, gap: usize) {
        if !self.at_marker {
            self.gap = self.gap.max(gap);
        }
    }

    fn open(&mut self, style: Option<Style>) {
        if self.table.is_none() {
            self.settle();
            self.open.push((self.text.len(), style));
        }
    }

    fn close(&mut self) {
        if self.table.is_none()
            && let Some((start, Some(style))) = self.open.pop()
        {
            self.marks.push(Mark { range: start..self.text.len(), style });
        }
    }

    /// A code block's last newline ends it and is no part of it.
    fn close_trimmed(&mut self) {
        let start = self.open.last().map_or(self.text.len(), |(start, _)| *start);
        if self.text.len() > start && self.text.ends_with('\n') {
            self.text.pop();
        }
        self.close();
    }

    fn push(&mut self, text: &str) {
        if let Some(table) = &mut self.table {
            return table.push(text);
        }
        if !text.is_empty() {
            self.settle();
            self.at_marker = false;
            self.text.push_str(text);
        }
    }

    /// Writes the newlines that are owed.
    fn settle(&mut self) {
        if !self.text.is_empty() {
            let there = self.text.bytes().rev().take_while(|byte| *byte == b'\n').count();
            for _ in there..self.gap {
                self.text.push('\n');
            }
        }
        self.gap = 0;
    }
}

fn number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

fn language(info: &str) -> Option<String> {
    let word = info.split([' ', ',', '\t']).next().unwrap_or_default();
    let fits = |c: char| c.is_ascii_alphanumeric() || "+-_#.".contains(c);
    (!word.is_empty() && word.chars().all(fits)).then(|| word.to_owned())
}
