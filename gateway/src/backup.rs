//! Copies of a whole home in one file, made while it is in use.
//!
//! The file is a tar archive: the database as it was at one moment (`creel.db`), everything else of the home (`home/…`),
//! and last a manifest with the hash of each. Secrets are in it only when the operator says so.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use creel_ipc::backup::{BACKUP, BackupOrder};

mod create;
mod home;
mod manifest;
mod read;
mod restore;
#[cfg(test)]
mod tests;

/// Why a backup was not made, is not whole, or was not restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    /// A file cannot be read or written.
    #[error("{path} cannot be {doing}: {error}.")]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        error: io::Error,
    },
    /// The database cannot be copied or is not whole.
    #[error("{0}")]
    Store(#[from] crate::store::StoreError),
    /// The file is no backup, or not a whole one.
    #[error("{path} is no whole backup: {reason}. Take another one; this one is not used.")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// There is something where it should be restored.
    #[error(
        "{0} is not empty, and a backup is restored only where nothing is. Name another folder with --to."
    )]
    Occupied(String),
    /// The command line is not one of the supervisor's.
    #[error("The order cannot be understood: {0}. `creel backup --help` tells what there is.")]
    Order(String),
}

impl BackupError {
    fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |error| Self::File { doing, path, error }
    }
}

/// Obeys the arguments of this process, if they are an order about backups. The outcome is one line of JSON on stdout.
pub(crate) fn obey(args: &[std::ffi::OsString]) -> Option<Result<(), BackupError>> {
    let [word, order] = args else { return None };
    (word == BACKUP).then(|| {
        let order = serde_json::from_str(&order.to_string_lossy());
        let order: BackupOrder = order.map_err(|error| BackupError::Order(error.to_string()))?;
        let report = match order {
            BackupOrder::Create(order) => create::create(&order, &mut Progress::stderr(order.progress))?,
            BackupOrder::Verify { file, progress } => {
                read::verify(Path::new(&file), Progress::stderr(progress))?
            }
            BackupOrder::Restore(order) => restore::restore(&order, Progress::stderr(order.progress))?,
        };
        let report = serde_json::to_string(&report).map_err(|error| BackupError::Order(error.to_string()))?;
        // Nobody is left to tell that nobody listens.
        let _closed = writeln!(io::stdout(), "{report}");
        Ok(())
    })
}

/// Says how far it is, for people.
#[derive(Clone, Copy)]
struct Progress {
    shown: bool,
    next: u64,
}

impl Progress {
    /// Bytes between two words.
    const EVERY: u64 = 64 << 20;

    fn stderr(shown: bool) -> Self {
        Self { shown, next: Self::EVERY }
    }

    fn tell(&mut self, what: &str, done: u64, of: u64) {
        if self.shown && done >= self.next {
            self.next = done + Self::EVERY;
            // Whoever does not listen does not miss it.
            let _closed = writeln!(io::stderr(), "{what}: {} of {} MiB", done >> 20, of >> 20);
        }
    }

    fn again(&mut self) {
        self.next = Self::EVERY;
    }

    /// Says what begins now and has no middle, of something that is large enough to take a while.
    fn begin(&self, what: &str, of: u64) {
        if self.shown && of >= Self::EVERY {
            let _closed = writeln!(io::stderr(), "{what}");
        }
    }
}

/// The path with something behind it.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}
