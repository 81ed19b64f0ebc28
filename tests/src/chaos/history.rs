//! What happened, as JSON lines: for finding out why.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The file, and the time since the start.
#[derive(Debug)]
pub(crate) struct History {
    file: Mutex<BufWriter<File>>,
    started: Instant,
}

impl History {
    /// Starts a file anew.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Self { file: Mutex::new(BufWriter::new(file)), started: Instant::now() })
    }

    /// Writes a line. A full disk is no reason to end the run: the verdict does not need it.
    pub(crate) fn note(&self, kind: &str, more: &Value) {
        let at = self.started.elapsed().as_millis() as u64;
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(file, "{}", json!({"atMs": at, "kind": kind, "what": more}));
        let _ = file.flush();
    }
}
