//! What a folder holds before a run.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::tool::leavings::walk::beneath;

/// Time that is spent.
const TIME: Duration = Duration::from_secs(10);

/// What there is in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Held {
    /// Bytes on the disk.
    pub bytes: u64,
    /// Files, folders and links, without the folder itself.
    pub inodes: u64,
}

/// Measures a folder. No link is followed; what several names share counts its bytes once.
///
/// # Errors
/// When something in it cannot be read, or it takes longer than ten seconds.
pub fn measure(folder: &Path) -> io::Result<Held> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = openat(CWD, folder, flags, Mode::empty())?;
    let device = fstat(&top)?.st_dev;
    let until = Instant::now() + TIME;
    let mut held = Held::default();
    let mut shared = BTreeSet::new();
    let mut queue = VecDeque::from([PathBuf::from(".")]);
    while let Some(path) = queue.pop_front() {
        let Some(dir) = open(&top, &path)? else { continue };
        for entry in Dir::read_from(&dir).map_err(|error| told(&path, error))? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let stat = match statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                other => other?,
            };
            held.inodes += 1;
            #[allow(clippy::unnecessary_cast, reason = "their types differ by platform")]
            let (links, blocks) = (stat.st_nlink as u64, stat.st_blocks as u64);
            let folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if folder || links < 2 || shared.insert(stat.st_ino) {
                held.bytes = held.bytes.saturating_add(blocks.saturating_mul(512));
            }
            // What is mounted in there is of another file system, and is not shown to commands.
            if folder && stat.st_dev == device {
                use std::os::unix::ffi::OsStrExt as _;
                queue.push_back(path.join(std::ffi::OsStr::from_bytes(name.to_bytes())));
            }
            if held.inodes.is_multiple_of(1024) && Instant::now() >= until {
                let problem = format!("it takes longer than {} s to look through it", TIME.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, problem));
            }
        }
    }
    Ok(held)
}

fn open(top: &OwnedFd, path: &Path) -> io::Result<Option<OwnedFd>> {
    match beneath(top, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK) {
        Ok(dir) => Ok(Some(dir)),
        // Gone meanwhile, or something else by now.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(told(path, error)),
    }
}

fn told(path: &Path, error: Errno) -> io::Error {
    let error = io::Error::from(error);
    io::Error::new(error.kind(), format!("{} in it cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_each_and_bytes_once() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path();
        std::fs::create_dir(top.join("sub")).unwrap();
        std::fs::write(top.join("sub/a"), vec![1; 100_000]).unwrap();
        let before = measure(top).unwrap();
        assert_eq!(before.inodes, 2);
        assert!(before.bytes >= 100_000 && before.bytes < 140_000, "{before:?}");
        std::fs::hard_link(top.join("sub/a"), top.join("b")).unwrap();
        std::os::unix::fs::symlink("/usr", top.join("out")).unwrap();
        // A hole takes no room.
        std::fs::File::create(top.join("hole")).unwrap().set_len(1 << 40).unwrap();
        let after = measure(top).unwrap();
        assert_eq!(after.inodes, 5);
        assert!(after.bytes < before.bytes + 16_384, "{after:?}");
        assert!(measure(&top.join("none")).is_err());
    }
}
