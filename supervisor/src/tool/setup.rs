//! The line that prepares a home before its first command: `sandbox.setupCommand`.
//!
//! What became of it is kept beside the homes, where no command can reach it: it is done for one home, which is known by its
//! inode and birth, and for one line. A home that was made anew, and another line, are prepared again.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use creel_ipc::msg::tool::{ToolCause, ToolExit};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{clock, place};

/// After a failure the next command tries it again only when so many milliseconds are over.
const AGAIN_AFTER: i64 = 60_000;
/// Bytes of what it printed that are told.
const TOLD: usize = 400;

/// What has to be done before a command.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Preparation {
    /// Nothing.
    #[default]
    Nothing,
    /// A line is to be run, if it was not.
    Line(Setup),
    /// The operator wants one, and this command has no home that is kept: the sentence.
    Impossible(String),
}

/// A line and the home that it prepares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// The home on the host.
    pub home: PathBuf,
    /// Where it is kept what became of it.
    pub record: PathBuf,
    /// The line.
    pub line: String,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was never tried in this home, or not with this line, or is to be tried again.
    Due,
    /// It was done, in milliseconds since the epoch.
    Done(i64),
    /// It failed a moment ago, and why.
    Failed(String),
}

/// What is kept on the disk.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// Of the line.
    sha256: String,
    /// The home's inode, and when it was made in nanoseconds since the epoch, where the file system knows.
    home: (u64, u64),
    at_ms: i64,
    /// Why it failed, if it did.
    failed: Option<String>,
}

impl Preparation {
    /// By this line in this home, which is one of `homes`.
    pub fn of(line: &str, home: &Path, homes: &Path) -> Self {
        let below = home.strip_prefix(homes).unwrap_or(home);
        let mut record = OsString::from(homes.join("setup").join(below));
        record.push(".json");
        Self::Line(Setup { home: home.to_owned(), record: record.into(), line: line.to_owned() })
    }

    /// The line that is to be run before, if there is one.
    pub fn setup(&self) -> Option<&Setup> {
        match self {
            Self::Line(setup) => Some(setup),
            Self::Nothing | Self::Impossible(_) => None,
        }
    }

    /// A sentence for the operator on what became of it.
    pub fn told(&self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Impossible(why) => Some(why.clone()),
            Self::Line(setup) => Some(match setup.outcome(clock::now_ms()) {
                Outcome::Due => "not run yet in this home; it runs before the next command".to_owned(),
                Outcome::Done(at) => format!("done at {}", clock::rfc3339(at)),
                Outcome::Failed(why) => why,
            }),
        }
    }
}

impl Setup {
    /// What became of it.
    pub fn outcome(&self, now_ms: i64) -> Outcome {
        let kept = fs::read(&self.record).ok().and_then(|text| serde_json::from_slice::<Record>(&text).ok());
        let here = identity(&self.home).ok();
        let Some(kept) = kept.filter(|kept| kept.sha256 == self.digest() && Some(kept.home) == here) else {
            return Outcome::Due;
        };
        match kept.failed {
            None => Outcome::Done(kept.at_ms),
            Some(why) if (0..AGAIN_AFTER).contains(&(now_ms - kept.at_ms)) => Outcome::Failed(why),
            Some(_) => Outcome::Due,
        }
    }

    /// Keeps how it ended, unless it was ended on request: that says nothing about it.
    ///
    /// # Errors
    /// A sentence, when it failed; it is kept, too, if it can be.
    pub fn ended(&self, exit: &ToolExit) -> Result<(), String> {
        let outcome = failure(exit).map_or(Ok(()), Err);
        if exit.cause == ToolCause::Killed {
            return outcome;
        }
        let record = Record {
            sha256: self.digest(),
            home: identity(&self.home).map_err(|error| format!("Its home cannot be looked at: {error}."))?,
            at_ms: clock::now_ms(),
            failed: outcome.clone().err(),
        };
        self.keep(&record).map_err(|error| {
            format!(
                "What became of sandbox.setupCommand cannot be kept in {}: {error}.",
                self.record.display()
            )
        })?;
        outcome
    }

    fn digest(&self) -> String {
        Sha256::digest(self.line.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn keep(&self, record: &Record) -> io::Result<()> {
        let folder = self.record.parent().ok_or(io::ErrorKind::InvalidInput)?;
        place::private(folder)?;
        let fresh = self.record.with_extension("new");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh);
        file?.write_all(&serde_json::to_vec(record)?)?;
        fs::rename(fresh, &self.record)
    }
}

/// Why it failed, if it did.
fn failure(exit: &ToolExit) -> Option<String> {
    if exit.cause == ToolCause::Exited && exit.code == Some(0) {
        return None;
    }
    let how = match (exit.cause, exit.code, &exit.message) {
        (ToolCause::Exited, Some(code), _) => format!("it ended with exit code {code}"),
        (ToolCause::TimedOut, ..) => "its time was up (sandbox.setupSeconds)".to_owned(),
        (_, _, Some(message)) => message.trim_end_matches('.').to_owned(),
        (cause, ..) => format!("{cause:?}"),
    };
    let last = |text: &str| text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned);
    let said = last(&exit.stderr).or_else(|| last(&exit.stdout)).map_or(String::new(), |line| {
        let cut = line.get(..line.floor_char_boundary(TOLD)).unwrap_or_default();
        format!("; it said: {}", cut.escape_debug())
    });
    Some(format!(
        "The operator's sandbox.setupCommand, which prepares this sandbox, failed: {how}{said}. No command runs here until it \
         succeeds; it is tried again with the first command after a minute."
    ))
}

/// What a folder is known by: its inode, and when it was made.
fn identity(home: &Path) -> io::Result<(u64, u64)> {
    let metadata = home.symlink_metadata()?;
    let born = metadata.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let born = born.map_or(0, |born| u64::try_from(born.as_nanos()).unwrap_or(u64::MAX));
    Ok((metadata.ino(), born))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(folder: &Path, line: &str) -> Setup {
        let home = folder.join("agent/main");
        place::private(&home).unwrap();
        let Preparation::Line(setup) = Preparation::of(line, &home, folder) else { panic!("no line") };
        assert!(setup.record.ends_with("setup/agent/main.json"), "{setup:?}");
        setup
    }

    fn exit(code: i32) -> ToolExit {
        let stderr = "first\nE: no \u{1b}[31mnetwork\n\n".to_owned();
        ToolExit { code: Some(code), stderr, ..ToolExit::of(ToolCause::Exited) }
    }

    #[test]
    fn it_is_done_once_for_each_home_and_each_line() {
        let folder = tempfile::tempdir().unwrap();
        let first = setup(folder.path(), "one");
        let now = clock::now_ms();
        assert_eq!(first.outcome(now), Outcome::Due);
        first.ended(&exit(0)).unwrap();
        assert!(matches!(first.outcome(now), Outcome::Done(_)));
        assert_eq!(setup(folder.path(), "two").outcome(now), Outcome::Due);
        // The very same inode may be given to the next folder; its birth is another.
        fs::remove_dir(&first.home).unwrap();
        assert_eq!(first.outcome(now), Outcome::Due);
        assert_eq!(setup(folder.path(), "one").outcome(now), Outcome::Due);
    }

    #[test]
    fn a_failure_is_told_for_a_minute_and_then_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let setup = setup(folder.path(), "x");
        let told = setup.ended(&exit(7)).unwrap_err();
        insta::assert_snapshot!(told);
        let now = clock::now_ms();
        assert_eq!(setup.outcome(now), Outcome::Failed(told));
        assert_eq!(setup.outcome(now + AGAIN_AFTER + 1000), Outcome::Due);
        let late = setup.ended(&ToolExit::of(ToolCause::TimedOut)).unwrap_err();
        assert!(late.contains("sandbox.setupSeconds"), "{late}");
    }

    #[test]
    fn a_record_that_is_no_record_counts_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let setup = setup(folder.path(), "x");
        setup.ended(&exit(0)).unwrap();
        fs::write(&setup.record, "{\"sha256\":").unwrap();
        assert_eq!(setup.outcome(clock::now_ms()), Outcome::Due);
    }
}
