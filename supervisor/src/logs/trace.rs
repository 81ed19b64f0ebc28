//! The supervisor's own lines: to its stderr and into the log of the unit `supervisor`.

use std::io::{self, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use super::{Book, Log};
use crate::clock::{now_ms, rfc3339};

/// The supervisor among the units.
pub const SUPERVISOR: &str = "supervisor";

/// Installs the subscriber; the second call of a process changes nothing. The filter is a level, or levels by target
/// (`info,creel_supervisor=debug`): what it cannot express would cost a megabyte of regular expressions.
pub fn install(book: &Book, filter: &str) {
    let filter: Targets =
        filter.parse().unwrap_or_else(|_bad| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .with_writer(Both { log: book.log(SUPERVISOR), journald: book.has_journald() })
        .with_filter(filter);
    let _already_installed =
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
}

struct Both {
    log: Log,
    /// Whether stderr is the system's journal, which has times of its own and wants severities.
    journald: bool,
}

impl<'a> MakeWriter<'a> for Both {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { to: self, level: Level::INFO }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        Line { to: self, level: *meta.level() }
    }
}

/// The subscriber writes one whole line at a time.
struct Line<'a> {
    to: &'a Both,
    level: Level,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim();
        self.to.log.line(text);
        // A closed terminal costs its copy, nothing else.
        let _closed = io::stderr().write_all(on_stderr(self.to.journald, self.level, text).as_bytes());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn on_stderr(journald: bool, level: Level, text: &str) -> String {
    if !journald {
        return format!("{} {text}\n", rfc3339(now_ms()));
    }
    let severity = match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    };
    // A line of the journal ends at a newline; what follows it would have no severity.
    text.lines().map(|line| format!("<{severity}>{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_gets_severities_and_a_terminal_times() {
        assert_eq!(on_stderr(true, Level::WARN, "WARN one\ntwo"), "<4>WARN one\n<4>two\n");
        let line = on_stderr(false, Level::WARN, "WARN one");
        assert!(line.ends_with("Z WARN one\n") && line.len() == 24 + 10, "{line}");
    }
}
