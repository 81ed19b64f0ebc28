//! What the log files hold: lines of one unit or of all, in the order of their times.

use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

use creel_ipc::msg::control::LogLine;

use super::backward::Backward;
use super::file::{file_name, unit_name};
use crate::clock;

/// Which lines.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// Only of this unit.
    pub unit: Option<String>,
    /// Only from this moment on, in milliseconds since the epoch.
    pub since_ms: Option<i64>,
    /// How many of the newest.
    pub lines: usize,
    /// How many bytes of them.
    pub bytes: usize,
}

/// One file, and its newest line that was not given out.
struct Head {
    at_ms: i64,
    text: String,
    unit: String,
    rest: Backward,
}

/// The newest lines that fit, oldest first.
pub fn read(folder: &Path, question: &Question) -> Vec<LogLine> {
    let mut heads: BinaryHeap<Head> = files(folder, question.unit.as_deref())
        .into_iter()
        .filter_map(|(unit, path)| Head::next(unit, Backward::of(&path), clock::now_ms()))
        .collect();
    let (mut lines, mut bytes) = (Vec::new(), 0);
    while let Some(Head { at_ms, text, unit, rest }) = heads.pop() {
        bytes += text.len();
        if lines.len() >= question.lines || bytes > question.bytes {
            break;
        }
        if question.since_ms.is_some_and(|since| at_ms < since) {
            continue;
        }
        lines.push(LogLine { unit: unit.clone(), at_ms, text });
        heads.extend(Head::next(unit, rest, at_ms));
    }
    lines.reverse();
    lines
}

/// Whether there is a file of this unit.
pub fn exists(folder: &Path, unit: &str) -> bool {
    folder.join(file_name(unit)).exists()
}

fn files(folder: &Path, unit: Option<&str>) -> Vec<(String, PathBuf)> {
    if let Some(unit) = unit {
        return vec![(unit.to_owned(), folder.join(file_name(unit)))];
    }
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let file = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        Some((unit_name(name.to_str()?)?, entry.path()))
    };
    entries.filter_map(|entry| file(entry.ok()?)).collect()
}

impl Head {
    /// The line before. One without a time is as old as the one after it.
    fn next(unit: String, mut rest: Backward, after: i64) -> Option<Self> {
        let line = rest.next()?;
        let (at_ms, text) =
            match line.split_once(' ').and_then(|(at, text)| Some((clock::from_rfc3339(at)?, text))) {
                Some((at, text)) => (at, text.to_owned()),
                None => (after, line),
            };
        Some(Self { at_ms, text, unit, rest })
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ms, &self.unit).cmp(&(other.at_ms, &other.unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_all_units_come_in_the_order_of_their_times() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, times: &[i64]| {
            let text: String =
                times.iter().map(|at| format!("{} {name} {at}\n", clock::rfc3339(*at))).collect();
            std::fs::write(dir.path().join(name), text).unwrap();
        };
        write("agent:main.log.1", &[1000, 2000]);
        write("agent:main.log", &[5000, 6000]);
        write("gateway.log", &[3000, 4000, 7000]);
        std::fs::write(dir.path().join("notes.txt"), "not a log\n").unwrap();
        let ask = |unit: Option<&str>, since_ms, lines| {
            let question = Question { unit: unit.map(str::to_owned), since_ms, lines, bytes: 1 << 20 };
            read(dir.path(), &question).iter().map(|line| (line.at_ms, line.unit.clone())).collect::<Vec<_>>()
        };
        let of = |times: &[i64]| -> Vec<(i64, String)> {
            let unit = |at: i64| if [3000, 4000, 7000].contains(&at) { "gateway" } else { "agent:main" };
            times.iter().map(|at| (*at, unit(*at).to_owned())).collect()
        };
        assert_eq!(ask(None, None, 100), of(&[1000, 2000, 3000, 4000, 5000, 6000, 7000]));
        assert_eq!(ask(None, None, 3), of(&[5000, 6000, 7000]));
        assert_eq!(ask(None, Some(2000), 100), of(&[2000, 3000, 4000, 5000, 6000, 7000]));
        assert_eq!(ask(Some("gateway"), Some(4000), 100), of(&[4000, 7000]));
        assert_eq!(ask(Some("agent:none"), None, 100), []);
        assert!(exists(dir.path(), "gateway") && !exists(dir.path(), "agent:none"));
    }

    #[test]
    fn a_line_without_a_time_is_as_old_as_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("of an older version\n{} new\n", clock::rfc3339(5000));
        std::fs::write(dir.path().join("gateway.log"), text).unwrap();
        let lines = read(dir.path(), &Question { lines: 9, bytes: 999, ..Question::default() });
        assert_eq!(
            lines.iter().map(|line| (line.at_ms, line.text.as_str())).collect::<Vec<_>>(),
            [(5000, "of an older version"), (5000, "new")]
        );
    }
}
