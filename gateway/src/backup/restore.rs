//! A backup becomes a home again.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use creel_ipc::backup::{BackupReport, BackupRestore};
use tar::EntryType;

use super::create::report;
use super::manifest::{DATABASE, HOME, Hashing, Listed};
use super::read::{Item, check_database, read, unpack};
use super::{BackupError, Progress, beside};
use crate::store::doubt_what_waits;

/// Restores into a folder that is empty or not there. What is not whole is not left behind.
pub(super) fn restore(order: &BackupRestore, progress: Progress) -> Result<BackupReport, BackupError> {
    let (path, home) = (Path::new(&order.file), Path::new(&order.home));
    let occupied = std::fs::read_dir(home).is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        return Err(BackupError::Occupied(home.display().to_string()));
    }
    // Beside its place, so that a home is whole or not there at all.
    let partial = beside(home, ".partial");
    folder(&partial.join("state"))?;
    let restored = fill(path, &partial, order.resume, progress);
    if restored.is_err() {
        let _absent = std::fs::remove_dir_all(&partial);
    }
    let restored = restored?;
    let moved = std::fs::remove_dir(home).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    });
    moved.and_then(|()| std::fs::rename(&partial, home)).map_err(BackupError::file("written", home))?;
    Ok(BackupReport { file: path.display().to_string(), ..restored })
}

fn fill(path: &Path, partial: &Path, resume: bool, progress: Progress) -> Result<BackupReport, BackupError> {
    let database = partial.join("state").join(DATABASE);
    let mut later = Later::default();
    let manifest = read(path, progress, |entry, name| {
        if name == DATABASE {
            return unpack(entry, &database, name).map(Some);
        }
        let damaged = |reason: &str| BackupError::Damaged {
            path: path.display().to_string(),
            reason: format!("{name} {reason}"),
        };
        let inside = inside(name).ok_or_else(|| damaged("does not lie in the home"))?;
        place(entry, name, &partial.join(inside), &mut later).map_err(|error| match error {
            Some(error) => error,
            None => damaged("is neither a file, a folder nor a link"),
        })
    })?;
    for (at, target) in later.links {
        std::os::unix::fs::symlink(target, &at).map_err(BackupError::file("written", &at))?;
    }
    for (at, dress) in later.folders.into_iter().rev() {
        dress.put_on(&at)?;
    }
    check_database(&database, progress)?;
    let (in_doubt, set_aside) = doubt_what_waits(&database, resume)?;
    Ok(BackupReport { in_doubt, set_aside, ..report(&manifest, path) })
}

fn inside(name: &str) -> Option<PathBuf> {
    let path = Path::new(name).strip_prefix(HOME).ok()?;
    path.components().all(|part| matches!(part, Component::Normal(_))).then(|| path.to_owned())
}

/// Puts an entry to its place. `Err(None)` for what has no place.
fn place(
    entry: &mut Item<'_>,
    name: &str,
    at: &Path,
    later: &mut Later,
) -> Result<Option<Listed>, Option<BackupError>> {
    match entry.header().entry_type() {
        EntryType::Directory => {
            folder(at)?;
            later.folders.push((at.to_owned(), Dress::of(entry, at)?));
            Ok(None)
        }
        EntryType::Regular => {
            let mut open = std::fs::OpenOptions::new();
            let file = open.write(true).create_new(true).mode(0o600).open(at);
            let file = file.map_err(BackupError::file("written", at))?;
            let mut hashed = Hashing::new(file);
            std::io::copy(entry, &mut hashed).map_err(BackupError::file("written", at))?;
            hashed.flush().map_err(BackupError::file("written", at))?;
            Dress::of(entry, at)?.put_on(at)?;
            Ok(Some(hashed.listed(name)))
        }
        EntryType::Symlink => {
            let target = entry.link_name().map_err(BackupError::file("read", at))?;
            later.links.push((at.to_owned(), target.unwrap_or_default().into_owned()));
            Ok(None)
        }
        _ => Err(None),
    }
}

/// What is done when every file is in its place: nothing is ever written through a link, nor into a folder that its owner
/// may not write.
#[derive(Default)]
struct Later {
    links: Vec<(PathBuf, PathBuf)>,
    folders: Vec<(PathBuf, Dress)>,
}

/// Mode, and as root the owner: agents have users of their own.
struct Dress {
    uid: u64,
    gid: u64,
    mode: u32,
}

impl Dress {
    fn of(entry: &Item<'_>, at: &Path) -> Result<Self, BackupError> {
        let header = entry.header();
        let told = || Ok(Self { uid: header.uid()?, gid: header.gid()?, mode: header.mode()? });
        told().map_err(BackupError::file("read", at))
    }

    fn put_on(&self, at: &Path) -> Result<(), BackupError> {
        if rustix::process::geteuid().is_root() {
            let (uid, gid) = (u32::try_from(self.uid).ok(), u32::try_from(self.gid).ok());
            std::os::unix::fs::chown(at, uid, gid).map_err(BackupError::file("written", at))?;
        }
        let mode = std::fs::Permissions::from_mode(self.mode & 0o777);
        std::fs::set_permissions(at, mode).map_err(BackupError::file("written", at))
    }
}

fn folder(path: &Path) -> Result<(), BackupError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(BackupError::file("written", path))
}
