//! The files that were read, so that a place can be shown as file, line and column.

use std::path::{Path, PathBuf};

use crate::node::Mark;

/// One file that was read.
#[derive(Debug, Clone)]
pub struct Source {
    /// The path as it was opened.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// Every file of one configuration: the main file first, then the included ones in reading order.
#[derive(Debug, Clone, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// Adds a file and returns its index.
    pub fn add(&mut self, path: &Path, text: String) -> u32 {
        self.0.push(Source { path: path.to_owned(), text });
        u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX)
    }

    /// The file with this index.
    pub fn get(&self, file: u32) -> Option<&Source> {
        self.0.get(usize::try_from(file).ok()?)
    }

    /// Every file, the main file first: what a file watcher has to watch.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|source| source.path.as_path())
    }

    /// Line and column of a place, both counted from 1, columns in characters.
    pub fn line_column(&self, mark: Mark) -> (usize, usize) {
        let Some(source) = self.get(mark.file) else { return (1, 1) };
        let text = source.text.as_str();
        let mut end = mark.offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        (line, before[line_start..].chars().filter(|c| *c != '\u{feff}').count() + 1)
    }
}
