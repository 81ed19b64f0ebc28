//! The logs of all units.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use creel_ipc::msg::control::LogLine;
use creel_ipc::msg::unit::LogCounts;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use super::budget::Budget;
use super::file::{LogFile, file_name};
use super::journald::Journald;
use super::line::Cutter;
use crate::clock::{now_ms, rfc3339};
use crate::unit::At;

/// Lines of a unit that stay in memory.
const RING_LINES: usize = 256;
/// Bytes of a unit that stay in memory: 256 lines of ordinary length.
const RING_BYTES: usize = 48 * 1024;
/// Bytes a second that a unit may log, and how many it may log at once.
const BYTES_A_SECOND: u64 = 1 << 20;
const BURST: u64 = 4 << 20;
/// Lines that a follower may lag behind.
const FOLLOW: usize = 512;

/// When a file is full, and how many older ones stay.
#[derive(Debug, Clone, Copy)]
pub struct LogRules {
    /// Bytes of one file.
    pub max_bytes: u64,
    /// Older files.
    pub keep: u32,
    /// Whether the system's journal gets the lines too, where there is one.
    pub journal: bool,
}

impl Default for LogRules {
    fn default() -> Self {
        Self { max_bytes: 10 << 20, keep: 3, journal: false }
    }
}

/// All logs, for the program that comes after an upgrade.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct BookState {
    age: Duration,
    logs: Vec<LogState>,
}

/// One unit's log. The file itself is opened again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct LogState {
    unit: String,
    budget: Budget,
    ring: VecDeque<(i64, Box<str>)>,
    lines: u64,
    dropped: u64,
    losses: (u64, u64),
}

/// All logs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Book(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    started: Instant,
    logs: Mutex<(LogRules, BTreeMap<String, Log>)>,
    follow: broadcast::Sender<LogLine>,
    journald: Arc<Mutex<Option<Journald>>>,
}

/// The log of one unit. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Log {
    unit: Arc<str>,
    started: Instant,
    inner: Arc<Mutex<Inner>>,
    follow: broadcast::Sender<LogLine>,
    journald: Arc<Mutex<Option<Journald>>>,
}

#[derive(Debug)]
struct Inner {
    file: LogFile,
    budget: Budget,
    ring: VecDeque<(i64, Box<str>)>,
    ring_bytes: usize,
    lines: u64,
    dropped: u64,
    /// What the journal of events was told already, and when.
    told: Gap,
    told_at: At,
}

/// Lines that are missing in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gap {
    /// Over the budget.
    pub dropped: u64,
    /// Not taken by the disk.
    pub lost: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Book {
    /// The logs in a folder, which is made when it is not there.
    pub fn new(folder: PathBuf) -> Self {
        let (follow, _) = broadcast::channel(FOLLOW);
        let logs = Mutex::new((LogRules::default(), BTreeMap::new()));
        Self(Arc::new(Shared { folder, started: Instant::now(), logs, follow, journald: Arc::default() }))
    }

    /// Goes on where the program before this one stopped.
    pub fn resume(folder: PathBuf, state: BookState) -> Self {
        let (follow, _) = broadcast::channel(FOLLOW);
        let now = Instant::now();
        let started = now.checked_sub(state.age).unwrap_or(now);
        let logs = Mutex::new((LogRules::default(), BTreeMap::new()));
        let book = Self(Arc::new(Shared { folder, started, logs, follow, journald: Arc::default() }));
        for state in state.logs {
            let log = book.log(&state.unit);
            let mut inner = lock(&log.inner);
            inner.budget = state.budget;
            inner.ring_bytes = state.ring.iter().map(|(_, line)| line.len()).sum();
            inner.ring = state.ring;
            (inner.lines, inner.dropped) = (state.lines, state.dropped);
            inner.file.set_losses(state.losses);
            inner.told = Gap { dropped: state.dropped, lost: state.losses.0 };
        }
        book
    }

    /// What the program after this one needs to go on.
    pub fn state(&self) -> BookState {
        let logs = lock(&self.0.logs);
        let state = |(unit, log): (&String, &Log)| {
            let inner = lock(&log.inner);
            LogState {
                unit: unit.clone(),
                budget: inner.budget.clone(),
                ring: inner.ring.clone(),
                lines: inner.lines,
                dropped: inner.dropped,
                losses: inner.file.losses(),
            }
        };
        BookState { age: self.0.started.elapsed(), logs: logs.1.iter().map(state).collect() }
    }

    /// The log of a unit.
    pub fn log(&self, unit: &str) -> Log {
        let mut logs = lock(&self.0.logs);
        if let Some(log) = logs.1.get(unit) {
            return log.clone();
        }
        let LogRules { max_bytes, keep, .. } = logs.0;
        let log = Log {
            unit: unit.into(),
            started: self.0.started,
            inner: Arc::new(Mutex::new(Inner {
                file: LogFile::new(self.0.folder.join(file_name(unit)), max_bytes, keep),
                budget: Budget::new(BYTES_A_SECOND, BURST),
                ring: VecDeque::new(),
                ring_bytes: 0,
                lines: 0,
                dropped: 0,
                told: Gap::default(),
                told_at: At::ZERO,
            })),
            follow: self.0.follow.clone(),
            journald: Arc::clone(&self.0.journald),
        };
        logs.1.insert(unit.to_owned(), log.clone());
        log
    }

    /// New limits for all files.
    pub fn set_rules(&self, rules: LogRules) {
        let mut logs = lock(&self.0.logs);
        logs.0 = rules;
        for log in logs.1.values() {
            lock(&log.inner).file.set_limits(rules.max_bytes, rules.keep);
        }
        *lock(&self.0.journald) = if rules.journal { Journald::of_this_process() } else { None };
    }

    /// Whether the system's journal gets the lines too.
    pub fn has_journald(&self) -> bool {
        lock(&self.0.journald).is_some()
    }

    /// Where the files are.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// The last lines of one unit or of all, oldest first.
    pub fn last(&self, unit: Option<&str>, count: usize) -> Vec<LogLine> {
        let logs: Vec<Log> = {
            let logs = lock(&self.0.logs);
            logs.1
                .iter()
                .filter(|(name, _)| unit.is_none_or(|unit| unit == *name))
                .map(|(_, log)| log.clone())
                .collect()
        };
        let mut lines: Vec<LogLine> = logs.iter().flat_map(Log::ring).collect();
        lines.sort_by_key(|line| line.at_ms);
        lines.split_off(lines.len().saturating_sub(count))
    }

    /// Whether there is a log of this unit.
    pub fn knows(&self, unit: &str) -> bool {
        lock(&self.0.logs).1.contains_key(unit)
    }

    /// Whether every follower has every line.
    pub fn is_quiet(&self) -> bool {
        self.0.follow.is_empty()
    }

    /// Every line from now on.
    pub fn follow(&self) -> broadcast::Receiver<LogLine> {
        self.0.follow.subscribe()
    }
}

impl Log {
    /// Takes what a unit wrote.
    pub fn write(&self, cutter: &mut Cutter, bytes: &[u8]) {
        self.take(|line| cutter.push(bytes, line));
    }

    /// The stream ended.
    pub fn finish(&self, cutter: &mut Cutter) {
        self.take(|line| cutter.finish(line));
        self.tell_dropped();
    }

    /// Whether lines were over the budget that no line of the log tells of yet.
    pub fn owes_summary(&self) -> bool {
        lock(&self.inner).budget.has_dropped()
    }

    /// Tells of them, if there are any.
    pub fn tell_dropped(&self) {
        let mut inner = lock(&self.inner);
        if let Some(summary) = inner.budget.dropped().map(summary) {
            inner.keep(self, &summary);
        }
    }

    /// Adds one line of the supervisor's own.
    pub fn line(&self, text: &str) {
        lock(&self.inner).keep(self, text);
    }

    /// The last line, for the record of an end.
    pub fn last(&self) -> Option<String> {
        lock(&self.inner).ring.back().map(|(_, text)| text.to_string())
    }

    /// The last lines, oldest first.
    pub fn tail(&self, count: usize) -> Vec<String> {
        let inner = lock(&self.inner);
        let skipped = inner.ring.len().saturating_sub(count);
        inner.ring.iter().skip(skipped).map(|(_, text)| text.to_string()).collect()
    }

    /// Lines so far, and those that are missing.
    pub fn counts(&self) -> LogCounts {
        let inner = lock(&self.inner);
        LogCounts { lines: inner.lines, dropped: inner.dropped, lost: inner.file.lost() }
    }

    /// Lines that are missing since the last call; nothing while the last news is younger than `every`.
    pub fn gap(&self, every: Duration) -> Option<Gap> {
        let now = self.started.elapsed();
        let mut inner = lock(&self.inner);
        let all = Gap { dropped: inner.dropped, lost: inner.file.lost() };
        let quiet = inner.told != Gap::default() && now.saturating_sub(inner.told_at) < every;
        if all == inner.told || quiet {
            return None;
        }
        let told = std::mem::replace(&mut inner.told, all);
        inner.told_at = now;
        Some(Gap { dropped: all.dropped - told.dropped, lost: all.lost - told.lost })
    }

    fn ring(&self) -> Vec<LogLine> {
        let line = |(at_ms, text): &(i64, Box<str>)| LogLine {
            unit: self.unit.to_string(),
            at_ms: *at_ms,
            text: text.to_string(),
        };
        lock(&self.inner).ring.iter().map(line).collect()
    }

    fn take(&self, lines: impl FnOnce(&mut dyn FnMut(&str))) {
        let now = self.started.elapsed();
        let mut inner = lock(&self.inner);
        let mut page = Page::new();
        let inner = &mut *inner;
        lines(&mut |line| {
            inner.lines += 1;
            if !inner.budget.take(line.len() + 1, now) {
                inner.dropped += 1;
                return;
            }
            if let Some(summary) = inner.budget.dropped().map(summary) {
                inner.remember(self, &mut page, &summary);
            }
            inner.remember(self, &mut page, line);
            page.count += 1;
        });
        inner.put_down(&page, now);
    }
}

fn summary((lines, bytes): (u64, u64)) -> String {
    format!("[creel: {lines} lines, {bytes} bytes were over this unit's log budget and are not shown]")
}

impl Inner {
    fn keep(&mut self, log: &Log, text: &str) {
        self.lines += 1;
        let mut page = Page::new();
        page.count = 1;
        self.remember(log, &mut page, text);
        self.put_down(&page, log.started.elapsed());
    }

    fn put_down(&mut self, page: &Page, now: At) {
        if !page.text.is_empty() {
            self.file.append(&page.text, page.count, now);
        }
    }

    fn remember(&mut self, log: &Log, page: &mut Page, text: &str) {
        let at_ms = page.at_ms;
        for part in [page.prefix.as_bytes(), text.as_bytes(), b"\n"] {
            page.text.extend_from_slice(part);
        }
        if let Some(journald) = &*lock(&log.journald) {
            journald.send(&log.unit, text);
        }
        self.ring_bytes += text.len();
        self.ring.push_back((at_ms, text.into()));
        while self.ring.len() > RING_LINES || (self.ring_bytes > RING_BYTES && self.ring.len() > 1) {
            self.ring_bytes -= self.ring.pop_front().map_or(0, |(_, old)| old.len());
        }
        if log.follow.receiver_count() > 0 {
            let line = LogLine { unit: log.unit.to_string(), at_ms, text: text.to_owned() };
            let _nobody = log.follow.send(line);
        }
    }
}

/// Lines on their way to the file, which were read at one moment.
struct Page {
    at_ms: i64,
    /// What each line begins with in the file.
    prefix: String,
    text: Vec<u8>,
    count: u64,
}

impl Page {
    fn new() -> Self {
        let at_ms = now_ms();
        Self { at_ms, prefix: format!("{} ", rfc3339(at_ms)), text: Vec::new(), count: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_at_the_budget_and_the_rest_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::new(dir.path().to_owned());
        let log = book.log("agent:main");
        let mut cutter = Cutter::default();
        let line = format!("{}\n", "x".repeat(1023));
        for _ in 0..6 * 1024 {
            log.write(&mut cutter, line.as_bytes());
        }
        log.finish(&mut cutter);
        let LogCounts { lines, dropped, lost } = log.counts();
        assert!(dropped > 1024, "{dropped}");
        assert_eq!(lost, 0);
        let file = std::fs::read_to_string(dir.path().join("agent:main.log")).unwrap();
        let kept = file.lines().filter(|line| line.ends_with('x')).count() as u64;
        assert!(
            file.lines().all(|line| crate::clock::from_rfc3339(line.split(' ').next().unwrap()).is_some())
        );
        assert!(file.contains("over this unit's log budget"));
        assert_eq!(kept + dropped, 6 * 1024);
        assert!(lines >= 6 * 1024);
    }

    #[test]
    fn the_ring_keeps_the_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let book = Book::new(dir.path().to_owned());
        let log = book.log("gateway");
        for n in 0..1000 {
            log.line(&format!("line {n}"));
        }
        let last = book.last(Some("gateway"), 2);
        assert_eq!(last.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["line 998", "line 999"]);
        assert_eq!(book.last(None, 5000).len(), RING_LINES);
    }
}
