//! Reading a backup: every byte is hashed on the way, whether it is restored or only looked at.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use creel_ipc::backup::BackupReport;
use tar::{Archive, Entry};

use super::create::report;
use super::manifest::{DATABASE, FORMAT, Hashing, Listed, MANIFEST, Manifest};
use super::{BackupError, Progress, beside};
use crate::store::check_file;

pub(super) type Item<'a> = Entry<'a, Source>;

/// The file, which says how far it was read.
pub(super) struct Source {
    file: BufReader<File>,
    done: u64,
    of: u64,
    progress: Progress,
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(into)?;
        self.done += read as u64;
        self.progress.tell("read", self.done, self.of);
        Ok(read)
    }
}

/// Gives each entry to `take`, which reads a file to its end and says what it was.
pub(super) fn read(
    path: &Path,
    progress: Progress,
    mut take: impl FnMut(&mut Item<'_>, &str) -> Result<Option<Listed>, BackupError>,
) -> Result<Manifest, BackupError> {
    let damaged = |reason: String| BackupError::Damaged { path: path.display().to_string(), reason };
    let file = File::open(path).map_err(BackupError::file("read", path))?;
    let of = file.metadata().map_err(BackupError::file("read", path))?.len();
    let file = BufReader::with_capacity(1 << 17, file);
    let mut archive = Archive::new(Source { file, done: 0, of, progress });
    let mut seen = Vec::new();
    let mut manifest = None;
    for entry in archive.entries().map_err(|error| damaged(error.to_string()))? {
        let mut entry = entry.map_err(|error| damaged(error.to_string()))?;
        let name = entry.path().map_err(|error| damaged(error.to_string()))?.display().to_string();
        if name == MANIFEST {
            let mut text = String::new();
            entry.read_to_string(&mut text).map_err(|error| damaged(error.to_string()))?;
            let read: Manifest =
                serde_json::from_str(&text).map_err(|error| damaged(format!("its manifest: {error}")))?;
            manifest = Some(read);
        } else if manifest.is_some() {
            return Err(damaged(format!("{name} comes after the manifest")));
        } else {
            seen.extend(take(&mut entry, &name)?);
        }
    }
    let manifest = manifest.ok_or_else(|| damaged("it ends before its manifest".to_owned()))?;
    if manifest.format > FORMAT {
        let format = manifest.format;
        return Err(damaged(format!("it has format {format}, and this Creel knows formats up to {FORMAT}")));
    }
    if let Some(wrong) = first_difference(&manifest.files, &seen) {
        return Err(damaged(format!("{wrong} is not what the manifest says")));
    }
    Ok(manifest)
}

fn first_difference(told: &[Listed], seen: &[Listed]) -> Option<String> {
    let longer = if told.len() > seen.len() { told } else { seen };
    let at = longer.iter().enumerate().find(|(at, _)| told.get(*at) != seen.get(*at));
    at.map(|(_, file)| file.path.clone())
}

/// Whether every file is what the manifest says, and the database in it is whole.
pub(super) fn verify(path: &Path, progress: Progress) -> Result<BackupReport, BackupError> {
    let copy = Unpacked(beside(path, ".verify"));
    let manifest = read(path, progress, |entry, name| {
        if !entry.header().entry_type().is_file() {
            return Ok(None);
        }
        if name == DATABASE {
            return unpack(entry, &copy.0, name).map(Some);
        }
        let mut hashed = Hashing::new(entry);
        std::io::copy(&mut hashed, &mut std::io::sink()).map_err(BackupError::file("read", path))?;
        Ok(Some(hashed.listed(name)))
    })?;
    check_database(&copy.0, progress)?;
    Ok(report(&manifest, path))
}

/// Looks through a database that came out of a backup.
pub(super) fn check_database(path: &Path, progress: Progress) -> Result<(), BackupError> {
    let bytes = std::fs::metadata(path).map_or(0, |found| found.len());
    progress.begin("Every byte is as it was; the database is looked through.", bytes);
    Ok(check_file(path)?)
}

/// A file on its way through a check; gone at the end.
struct Unpacked(PathBuf);

impl Drop for Unpacked {
    fn drop(&mut self) {
        for end in ["", "-journal", "-wal", "-shm"] {
            let _absent = std::fs::remove_file(beside(&self.0, end));
        }
    }
}

/// Writes an entry to a file of this user alone.
pub(super) fn unpack(entry: &mut Item<'_>, to: &Path, name: &str) -> Result<Listed, BackupError> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut open = std::fs::OpenOptions::new();
    open.write(true).create(true).truncate(true).mode(0o600);
    let file = open.open(to).map_err(BackupError::file("written", to))?;
    let mut hashed = Hashing::new(file);
    std::io::copy(entry, &mut hashed).map_err(BackupError::file("written", to))?;
    Ok(hashed.listed(name))
}
