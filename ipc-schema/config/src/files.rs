//! Where files come from: the disk, or a table in tests.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Reads text files.
pub trait Files {
    /// The whole text of a file.
    ///
    /// # Errors
    /// What the system said.
    fn read(&self, path: &Path) -> io::Result<String>;
}

impl Files for BTreeMap<PathBuf, String> {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.get(path).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}
