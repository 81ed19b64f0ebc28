//! Limits on what commands may put into a folder, by layers: a run writes into memory of a bounded size, and when it has ended,
//! its changes are brought into the folder.
//!
//! Before the run the folder is measured; the layer has the room that is left. See `docs/adr/0010-workspace-quota.md`.

#[cfg(target_os = "linux")]
mod commit;
mod measure;
#[cfg(target_os = "linux")]
mod plan;

use std::fmt::Write as _;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use creel_launch::quota::Limit;
use creel_launch::{LaunchError, Layer, Stage};
use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
use commit::commit;
pub use measure::{Held, measure};

use super::quota::Quotas;

/// Marks of deletion that a layer may hold beyond the limit, if there is as much to delete: in a full folder it must be possible to
/// delete. What is written in their place instead is left out by the commit.
const MARKS: u64 = 1024;

/// How long a run waits for its folder to be given a number, so that no later one needs a layer.
const NUMBERED: Duration = Duration::from_secs(5);

/// What came of a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// Left out for what it is: kind and path.
    pub special: Vec<String>,
    /// Not brought over: path and reason.
    pub failed: Vec<String>,
    /// Failures beyond those.
    pub more: u64,
    /// Files and folders that there was no room for.
    pub over: u64,
}

/// What a folder may hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The folder on the host.
    pub folder: PathBuf,
    /// Where a command finds it.
    pub at: PathBuf,
    /// Bytes on the disk.
    pub bytes: Option<u64>,
    /// Files, folders and links.
    pub inodes: Option<u64>,
    /// Whether its file system sees to it: then there is no layer, and runs need not take turns.
    #[serde(default)]
    pub by_quota: bool,
    /// Why not, where that was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// A folder cannot be measured.
#[derive(Debug, thiserror::Error)]
#[error(
    "What {} holds cannot be measured, and without that it has no limit (sandbox.disk, sandbox.inodes): {error}. The operator \
     must look after it.", .folder.display()
)]
pub struct BoundError {
    /// The folder.
    folder: PathBuf,
    /// Why.
    error: io::Error,
}

/// A folder with a limit and what it held when the run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Its limit.
    pub bound: Bound,
    /// What it held.
    pub held: Held,
}

impl Bound {
    /// The limit of a folder, in the way that it has now.
    pub fn of(folder: PathBuf, at: PathBuf, limit: Limit, quotas: &Quotas) -> Self {
        let by_quota = quotas.holds(&folder, limit);
        let why_not = if by_quota { None } else { quotas.why_not(&folder) };
        let Limit { bytes, inodes } = limit;
        Self { folder, at, bytes, inodes, by_quota, why_not }
    }

    /// The limit itself.
    pub fn limit(&self) -> Limit {
        Limit { bytes: self.bytes, inodes: self.inodes }
    }

    /// The layer of a spec that is only described: with the whole limit for its room.
    pub fn layer(&self) -> Layer {
        Layer { at: self.at.clone(), bytes: self.bytes, inodes: self.inodes }
    }

    /// Measures the folder.
    ///
    /// # Errors
    /// When it cannot be measured.
    pub fn measure(self) -> Result<Measured, BoundError> {
        match measure(&self.folder) {
            Ok(held) => Ok(Measured { bound: self, held }),
            Err(error) => Err(BoundError { folder: self.folder, error }),
        }
    }
}

impl Measured {
    /// The layer of a run that begins now.
    pub fn layer(&self) -> Layer {
        let Self { bound, held } = self;
        Layer {
            at: bound.at.clone(),
            bytes: bound.bytes.map(|bytes| bytes.saturating_sub(held.bytes)),
            inodes: bound.inodes.map(|inodes| inodes.saturating_sub(held.inodes) + held.inodes.min(MARKS)),
        }
    }

    /// Brings the changes of a run that has ended into the folder; a sentence when that is not all of them.
    pub fn commit(&self, layer: &OwnedFd) -> Option<String> {
        let Self { bound, held } = self;
        told(bound, &commit(layer, &bound.folder, bound.inodes, held.inodes))
    }
}

/// There are no layers elsewhere, and no launcher that makes any.
#[cfg(not(target_os = "linux"))]
fn commit(_: &OwnedFd, _: &std::path::Path, _: Option<u64>, _: u64) -> Committed {
    Committed { failed: vec!["everything (layers need Linux)".to_owned()], ..Committed::default() }
}

fn told(bound: &Bound, done: &Committed) -> Option<String> {
    let mut text = String::new();
    let folder = bound.folder.display();
    if done.over > 0 {
        let most = bound.inodes.unwrap_or(0);
        let _infallible = write!(
            text,
            "{} files and folders of the run were not kept: {folder} may hold {most} (sandbox.inodes). ",
            done.over
        );
    }
    if !done.special.is_empty() {
        let _infallible = write!(text, "Not kept in {folder}: {}. ", done.special.join(", "));
    }
    if !done.failed.is_empty() {
        let more = if done.more > 0 { format!(" and {} more", done.more) } else { String::new() };
        let _infallible = write!(
            text,
            "Not everything that the run changed is in {folder}: {}{more} could not be brought there.",
            done.failed.join(", ")
        );
    }
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Measures on a thread of its own what has no limit by quota and cannot be given one now.
///
/// # Errors
/// When a folder cannot be measured.
pub async fn measure_aside(bounds: &[Bound], quotas: &Quotas) -> Result<Vec<Measured>, LaunchError> {
    // One that waited for its turn may have lost it meanwhile.
    let open = |bound: &&Bound| !(bound.by_quota && quotas.holds(&bound.folder, bound.limit()));
    let bounds: Vec<_> = bounds.iter().filter(open).cloned().collect();
    if bounds.is_empty() {
        return Ok(Vec::new());
    }
    let quotas = quotas.clone();
    let work = move || {
        let until = Instant::now() + NUMBERED;
        let layered =
            |bound: &Bound| quotas.prepare(&bound.folder, bound.limit(), Some(until), false).is_err();
        bounds.into_iter().filter(layered).map(Bound::measure).collect::<Result<Vec<_>, _>>()
    };
    let failed = |sentence: String| LaunchError { stage: Stage::View, errno: None, sentence };
    let outcome = aside("measure", work).await;
    outcome
        .map_err(|error| failed(format!("There is no thread to measure a workspace: {error}.")))?
        .map_err(|error| failed(error.to_string()))
}

/// Brings changes into their folders on a thread of its own. A sentence when those are not all.
pub async fn commit_aside(layers: Vec<(Measured, OwnedFd)>) -> Option<String> {
    let work = move || {
        let told: Vec<_> = layers.iter().filter_map(|(measured, layer)| measured.commit(layer)).collect();
        (!told.is_empty()).then(|| told.join(" "))
    };
    let failed = |error| Some(format!("What the run changed is lost: {error}."));
    aside("commit", work).await.unwrap_or_else(failed)
}

async fn aside<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (done, outcome) = tokio::sync::oneshot::channel();
    let work = move || {
        let _gone = done.send(work());
    };
    std::thread::Builder::new().name(name.to_owned()).stack_size(1 << 20).spawn(work)?;
    outcome.await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests;
