//! What of a home goes into a backup.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::BackupError;

/// Folders that tell of a running Creel, or of one that ran.
const PASSING: [&str; 2] = ["run", "logs"];
/// What opens doors, by its name.
const SECRETS: [&str; 5] = ["creel.json", "creel.toml", "gateway.token", ".env", "credentials"];

/// Which numbers this very file system has for folders of the home: in another home they would be somebody else's.
const OF_THIS_DISK: &str = "state/projects.json";

/// Something below the home, by its path in it.
#[derive(Debug)]
pub(super) enum Found {
    Folder(PathBuf),
    File(PathBuf),
    Link(PathBuf),
}

/// Everything below `home` that is wanted, folders before what is in them; and what was left out of it.
pub(super) fn walk(
    home: &Path,
    database: &Path,
    secrets: bool,
) -> Result<(Vec<Found>, Vec<String>), BackupError> {
    let (mut found, mut left_out) = (Vec::new(), Vec::new());
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let whole = home.join(&folder);
        let entries = std::fs::read_dir(&whole).map_err(BackupError::file("read", &whole))?;
        for entry in entries {
            let entry = entry.map_err(BackupError::file("read", &whole))?;
            let path = folder.join(entry.file_name());
            let kind = entry.file_type().map_err(BackupError::file("read", &entry.path()))?;
            let top = folder.as_os_str().is_empty();
            if (top && PASSING.iter().any(|name| path == Path::new(name)))
                || is_of_database(&entry.path(), database)
                || path.extension() == Some(OsStr::new("lock"))
                || path == Path::new(OF_THIS_DISK)
            {
                continue;
            }
            // Only Creel's own files are secrets by their name; what an agent has in its workspace is its work.
            let own = top || folder == Path::new("state");
            if own && !secrets && SECRETS.iter().any(|name| entry.file_name() == *name) {
                left_out.push(path.display().to_string());
            } else if kind.is_dir() {
                folders.push(path.clone());
                found.push(Found::Folder(path));
            } else if kind.is_file() {
                found.push(Found::File(path));
            } else if kind.is_symlink() {
                found.push(Found::Link(path));
            }
            // Sockets and pipes are nothing without their processes.
        }
    }
    left_out.sort();
    Ok((found, left_out))
}

/// The database, its journals, and what it was before a step.
fn is_of_database(path: &Path, database: &Path) -> bool {
    let (Some(name), Some(stem)) = (path.file_name(), database.file_stem()) else { return false };
    let (name, stem) = (name.to_string_lossy(), stem.to_string_lossy());
    let whole = database.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    path.parent() == database.parent()
        && (name.starts_with(&*whole)
            || name.starts_with(&format!("{stem}.before-schema-"))
            || name.starts_with(&format!("{stem}.rehearsal")))
}
