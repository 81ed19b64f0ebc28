//! Making a backup.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use creel_ipc::backup::{BackupCreate, BackupReport};
use tar::{Builder, EntryType, Header};

use super::home::{Found, walk};
use super::manifest::{DATABASE, FORMAT, HOME, Hashing, Listed, MANIFEST, Manifest};
use super::{BackupError, Progress, beside};
use crate::store::snapshot;

/// The copy of the database on its way into the archive; gone at the end.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        for end in ["", "-journal", "-wal", "-shm"] {
            let _absent = std::fs::remove_file(beside(&self.0, end));
        }
    }
}

pub(super) fn create(order: &BackupCreate, progress: &mut Progress) -> Result<BackupReport, BackupError> {
    let (home, target) = (Path::new(&order.home), Path::new(&order.file));
    let partial = Scratch(beside(target, ".partial"));
    let copy = Scratch(beside(target, ".database"));
    let file = private(&partial.0)?;
    drop(private(&copy.0)?);
    snapshot(Path::new(&order.database), &copy.0, |done, of| progress.tell("database", done, of))?;
    progress.again();

    let failed = || BackupError::file("written", target);
    let (found, left_out) = walk(home, Path::new(&order.database), order.secrets)?;
    let mut archive = Builder::new(BufWriter::new(file));
    archive.follow_symlinks(false);
    let mut files = vec![add(&mut archive, &copy.0, DATABASE, target)?];
    drop(copy);
    let mut written = 0;
    for found in &found {
        let name = |path: &Path| format!("{HOME}/{}", path.display());
        match found {
            Found::Folder(path) => archive.append_dir(name(path), home.join(path)).map_err(failed())?,
            Found::Link(path) => {
                archive.append_path_with_name(home.join(path), name(path)).map_err(failed())?;
            }
            // What an agent deletes meanwhile is not there.
            Found::File(path) if !home.join(path).exists() => {}
            Found::File(path) => {
                let listed = add(&mut archive, &home.join(path), &name(path), target)?;
                written += listed.bytes;
                progress.tell("files", written, written);
                files.push(listed);
            }
        }
    }
    let manifest = Manifest {
        format: FORMAT,
        creel: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: jiff::Timestamp::now().to_string(),
        secrets: order.secrets,
        left_out,
        files,
    };
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| BackupError::Order(error.to_string()))?;
    let mut header = Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o600);
    archive.append_data(&mut header, MANIFEST, text.as_slice()).map_err(failed())?;
    let mut written = archive.into_inner().map_err(failed())?;
    written.flush().map_err(failed())?;
    written.get_ref().sync_all().map_err(failed())?;
    std::fs::rename(&partial.0, target).map_err(failed())?;
    Ok(report(&manifest, target))
}

pub(super) fn report(manifest: &Manifest, file: &Path) -> BackupReport {
    BackupReport {
        file: file.display().to_string(),
        creel: manifest.creel.clone(),
        created_at: manifest.created_at.clone(),
        secrets: manifest.secrets,
        left_out: manifest.left_out.clone(),
        files: manifest.files.len() as u64,
        bytes: manifest.files.iter().map(|file| file.bytes).sum(),
        in_doubt: 0,
        set_aside: 0,
    }
}

/// A new file for this user alone.
fn private(path: &Path) -> Result<File, BackupError> {
    let mut open = OpenOptions::new();
    open.write(true).create(true).truncate(true).mode(0o600);
    open.open(path).map_err(BackupError::file("written", path))
}

/// Adds a file with the size that it has now; what is written to it meanwhile counts up to there.
fn add(
    archive: &mut Builder<BufWriter<File>>,
    path: &Path,
    name: &str,
    target: &Path,
) -> Result<Listed, BackupError> {
    let file = File::open(path).map_err(BackupError::file("read", path))?;
    let metadata = file.metadata().map_err(BackupError::file("read", path))?;
    let mut header = Header::new_gnu();
    header.set_metadata(&metadata);
    header.set_entry_type(EntryType::Regular);
    header.set_size(metadata.len());
    // One that becomes shorter is filled up, or everything behind it would be read wrongly.
    let whole = file.chain(std::io::repeat(0)).take(metadata.len());
    let mut hashed = Hashing::new(whole);
    archive.append_data(&mut header, name, &mut hashed).map_err(BackupError::file("written", target))?;
    Ok(hashed.listed(name))
}
