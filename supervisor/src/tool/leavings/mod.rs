//! What a command left behind in its workspace that somebody else would obey, or be held up by.
//!
//! A command runs in walls of its own; what it writes stays. A hook of git, a file that a shell sources on entering a
//! folder, the settings of an editor or of another agent: the host executes them later, outside of every wall. So after each
//! run with a writable workspace its new ones are moved to the quarantine, from where the operator may bring them back, and
//! FIFOs, sockets and devices are removed.
//!
//! Only names, kinds and times are looked at, and of git's own configuration a few kilobytes. No link is followed, nothing
//! is waited for, and there is a bound to entries and time; what was not looked at is told.

mod git;
mod quarantine;
pub(in crate::tool) mod walk;

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use creel_ipc::protected::AGENT_FILES;
use serde::{Deserialize, Serialize};

pub use quarantine::{Item, Quarantined, drop_run, list, restore};

/// Where to look after a run, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The workspace on the host, or another folder that the run may write.
    pub workspace: PathBuf,
    /// The folder of all quarantined things.
    pub quarantine: PathBuf,
    /// Whose run it is.
    pub agent: String,
    /// The run.
    pub run: String,
    /// What changed from then on is the run's: seconds and nanoseconds of the file system's clock.
    pub since: (i64, i64),
    /// Files of the agent itself that were there before. The command saw them read-only: if one of them changes, it was the
    /// agent with its file tools.
    #[serde(default)]
    pub there: Vec<String>,
    /// Whether it is a folder that the operator shows to commands, and no workspace.
    #[serde(default)]
    pub bind: bool,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Taken away: where it was.
    pub moved: Vec<String>,
    /// Taken away for good: what it was and where.
    pub removed: Vec<String>,
    /// Still there, and why.
    pub left: Vec<String>,
    /// Whether there was more than was looked at.
    pub incomplete: bool,
}

impl Look {
    /// A look at what changes from now on.
    pub fn from_now(workspace: &Path, quarantine: PathBuf, agent: &str, run: &str) -> Self {
        let there = AGENT_FILES.iter().filter(|name| workspace.join(name).symlink_metadata().is_ok());
        let there = there.map(|name| (*name).to_owned()).collect();
        Self {
            workspace: workspace.to_owned(),
            quarantine,
            agent: agent.to_owned(),
            run: run.to_owned(),
            since: Self::now(),
            there,
            bind: false,
        }
    }

    fn now() -> (i64, i64) {
        // The clock that file systems stamp with: never ahead of a stamp that is made later.
        #[cfg(target_os = "linux")]
        let clock = rustix::time::ClockId::RealtimeCoarse;
        #[cfg(not(target_os = "linux"))]
        let clock = rustix::time::ClockId::Realtime;
        let now = rustix::time::clock_gettime(clock);
        (now.tv_sec, now.tv_nsec)
    }

    /// Looks and clears away. `alone`: no other run goes on in this workspace, so that nobody needs its FIFOs and sockets.
    /// Takes at most a fifth of a second or so.
    pub fn look(&self, alone: bool) -> Findings {
        walk::Walk::over(self, alone).unwrap_or_else(|error| Findings {
            left: vec![format!("the workspace, which cannot be looked at: {error}")],
            ..Findings::default()
        })
    }
}

/// Looks at several folders, on a thread of its own; of those that are no workspace it is told which they are.
///
/// # Errors
/// When there is no thread to be had.
pub async fn look_aside(looks: Vec<(Look, bool)>) -> io::Result<Findings> {
    if looks.is_empty() {
        return Ok(Findings::default());
    }
    let (done, outcome) = tokio::sync::oneshot::channel();
    let work = move || {
        let mut all = Findings::default();
        for (look, alone) in &looks {
            all.add(look.look(*alone), look.bind.then_some(&look.workspace));
        }
        let _gone = done.send(all);
    };
    std::thread::Builder::new().name("leavings".to_owned()).stack_size(256 << 10).spawn(work)?;
    outcome.await.map_err(io::Error::other)
}

impl Findings {
    /// Whether there is anything to tell.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what was found in another folder, which is named when it is not the workspace.
    fn add(&mut self, other: Self, folder: Option<&PathBuf>) {
        let Self { moved, removed, left, incomplete } = other;
        let within = |what: String| match folder {
            Some(folder) => format!("{what} (in {})", folder.display().to_string().escape_debug()),
            None => what,
        };
        self.moved.extend(moved.into_iter().map(within));
        self.removed.extend(removed.into_iter().map(within));
        self.left.extend(left.into_iter().map(within));
        self.incomplete |= incomplete;
    }

    /// Sentences for the agent, the journal and the operator.
    pub fn told(&self) -> String {
        let mut text = String::new();
        let mut say = |list: &[String], begin: &str, end: &str| {
            if !list.is_empty() {
                let shown = list.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
                let more = list.len().saturating_sub(8);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                let _infallible = write!(text, "{begin} {shown}{more}{end} ");
            }
        };
        say(
            &self.moved,
            "The run left",
            ", which programs of the host obey: moved to the quarantine (`creel sandbox quarantine list`).",
        );
        say(&self.removed, "Removed after the run:", ".");
        say(&self.left, "Left where the run may write:", ".");
        if self.incomplete {
            text.push_str("There is more in what it may write than was looked at after the run.");
        }
        text.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests;
