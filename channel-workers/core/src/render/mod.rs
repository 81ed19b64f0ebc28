//! Markdown as text with marks: parsed once, cut anywhere, written in any platform's dialect.

use std::ops::Range;

mod parse;
mod plain;
mod spoiler;
mod table;

pub use parse::parse;
pub use plain::plain;

/// Text and what is marked in it. Marks begin and end on character boundaries and are not empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rich {
    /// The text as it is read, without any markup.
    pub text: String,
    /// What is marked, outer marks first.
    pub marks: Vec<Mark>,
}

/// One marked stretch of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Bytes of the text.
    pub range: Range<usize>,
    /// How it is marked.
    pub style: Style,
}

/// How text can be marked. Lists and tables are already text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Style {
    /// Strong.
    Bold,
    /// Emphasised.
    Italic,
    /// Struck through.
    Strike,
    /// Code within a line.
    Code,
    /// A block of code.
    Pre {
        /// Its language, one word.
        lang: Option<String>,
    },
    /// A link.
    Link {
        /// Where it leads.
        url: String,
    },
    /// A quotation.
    Quote,
    /// A heading of level 1 to 6.
    Heading(u8),
    /// Hidden until it is clicked.
    Spoiler,
}

impl Rich {
    /// Text without marks.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), marks: Vec::new() }
    }

    /// The piece in `range`, which must lie on character boundaries. A mark that is cut goes on in both pieces: that
    /// closes and reopens code blocks.
    pub fn slice(&self, range: Range<usize>) -> Self {
        let text = self.text.get(range.clone()).unwrap_or_default().to_owned();
        let marks = self.marks.iter().filter_map(|mark| {
            let start = mark.range.start.clamp(range.start, range.end) - range.start;
            let end = mark.range.end.clamp(range.start, range.end) - range.start;
            (start < end).then(|| Mark { range: start..end, style: mark.style.clone() })
        });
        let marks = marks.collect();
        Self { text, marks }
    }

    /// Without blank lines at the beginning and without white space at the end.
    pub fn trimmed(&self) -> Self {
        let end = self.text.trim_end().len();
        let kept = &self.text[..end];
        let start = kept
            .char_indices()
            .take_while(|(_, c)| c.is_whitespace())
            .filter(|(_, c)| *c == '\n')
            .last()
            .map_or(0, |(at, _)| at + 1);
        self.slice(start..end)
    }

    /// Whether there is nothing to see.
    pub fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

#[cfg(test)]
mod tests;
