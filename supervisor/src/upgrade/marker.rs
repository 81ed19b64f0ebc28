//! A note on disk while an upgrade is not confirmed: if neither program lives to tell, the next start does.

use std::io;
use std::path::{Path, PathBuf};

use creel_config::disk;
use serde::{Deserialize, Serialize};

use crate::clock::now_ms;

/// What was about to happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The version before.
    pub from: String,
    /// The version after.
    pub to: String,
    /// The new program.
    pub binary: String,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
}

fn path(state: &Path) -> PathBuf {
    state.join("upgrade.json")
}

impl Marker {
    /// Notes an upgrade in the state folder.
    ///
    /// # Errors
    /// What the system said.
    pub fn write(state: &Path, from: &str, to: &str, binary: &str) -> io::Result<()> {
        let marker = Self { from: from.into(), to: to.into(), binary: binary.into(), at_ms: now_ms() };
        disk::replace(&path(state), &serde_json::to_string(&marker)?)
    }

    /// The upgrade is confirmed, or taken back.
    pub fn clear(state: &Path) {
        let _absent = std::fs::remove_file(path(state));
    }

    /// What a supervisor left that ended in an upgrade; the note is taken away.
    pub fn take(state: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path(state)).ok()?;
        Self::clear(state);
        serde_json::from_str(&text).ok()
    }
}
