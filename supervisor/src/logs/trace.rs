//! The supervisor's own lines: to its stderr and into the log of the unit `supervisor`.

use std::io::{self, Write};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use super::{Book, Log};

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
        .with_writer(Both { log: book.log(SUPERVISOR) })
        .with_filter(filter);
    let _already_installed =
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
}

struct Both {
    log: Log,
}

impl<'a> MakeWriter<'a> for Both {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { log: &self.log }
    }
}

/// The subscriber writes one whole line at a time.
struct Line<'a> {
    log: &'a Log,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.log.line(String::from_utf8_lossy(bytes).trim_end());
        // A closed terminal costs its copy, nothing else.
        let _closed = io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
