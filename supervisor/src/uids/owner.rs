//! Giving a folder to another user. Its content may be a stranger's work: no link in it is followed, and nothing outside it is
//! touched.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use creel_launch::Ids;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Uid, chownat, fchown, fstat, openat,
    openat2, statat,
};

/// A folder nested deeper than this is no workspace.
const DEPTH: usize = 200;

/// Gives the folder to `ids`, with everything in it that belongs to the folder's owner. How many files that were; 0 when it
/// is theirs already, or belongs to somebody that no unit ever was.
///
/// # Errors
/// What the system said. The folder itself is given last, so that the next attempt goes on.
pub(super) fn give(folder: &Path, ids: Ids) -> io::Result<usize> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = openat(CWD, folder, flags, Mode::empty())?;
    let stat = fstat(&top)?;
    let units = [0, Ids::for_units().uid, Ids::FALLBACK.uid];
    if stat.st_uid == ids.uid || !units.contains(&stat.st_uid) {
        return Ok(0);
    }
    let giving = Giving { former: stat.st_uid, device: stat.st_dev, ids };
    let count = giving.content(top.as_fd(), DEPTH)?;
    giving.folder(top.as_fd())?;
    Ok(count + 1)
}

/// Makes the folder root's if it belongs to `ids`; nothing in it.
///
/// # Errors
/// What the system said.
pub(super) fn take(folder: &Path, ids: Ids) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = openat(CWD, folder, flags, Mode::empty())?;
    if fstat(&top)?.st_uid == ids.uid {
        fchown(&top, Some(Uid::ROOT), Some(Gid::ROOT))?;
    }
    Ok(())
}

struct Giving {
    former: u32,
    device: u64,
    ids: Ids,
}

impl Giving {
    fn content(&self, folder: BorrowedFd<'_>, depth: usize) -> io::Result<usize> {
        let deeper = depth.checked_sub(1).ok_or_else(|| io::Error::other("it is nested too deeply"))?;
        let mut count = 0;
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            // What is mounted there is not part of the folder.
            if stat.st_dev != self.device {
                continue;
            }
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                let inner = inner(folder, name)?;
                count += self.content(inner.as_fd(), deeper)?;
                if self.was(&fstat(&inner)?) {
                    self.folder(inner.as_fd())?;
                    count += 1;
                }
            } else if self.was(&stat) {
                let (uid, gid) = self.theirs();
                chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
                count += 1;
            }
        }
        Ok(count)
    }

    fn was(&self, stat: &Stat) -> bool {
        stat.st_uid == self.former && stat.st_dev == self.device
    }

    fn folder(&self, folder: BorrowedFd<'_>) -> io::Result<()> {
        let (uid, gid) = self.theirs();
        Ok(fchown(folder, uid, gid)?)
    }

    fn theirs(&self) -> (Option<Uid>, Option<Gid>) {
        (Some(Uid::from_raw(self.ids.uid)), Some(Gid::from_raw(self.ids.gid)))
    }
}

fn inner(folder: BorrowedFd<'_>, name: &std::ffi::CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    Ok(openat2(folder, name, flags, Mode::empty(), within)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    const OURS: Ids = Ids { uid: 1_900_000_001, gid: 1_900_000_001 };

    /// Only root gives files away.
    fn is_root() -> bool {
        let root = rustix::process::geteuid().is_root();
        if !root {
            eprintln!("NOT TESTED: giving files to another user needs root");
        }
        root
    }

    #[test]
    fn links_and_files_of_others_stay_as_they_are() {
        if !is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (outside, work) = (dir.path().join("outside"), dir.path().join("work"));
        std::fs::create_dir_all(work.join("deep/er")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        for file in [outside.join("secret"), work.join("deep/er/own"), work.join("anothers")] {
            std::fs::write(file, "x").unwrap();
        }
        std::os::unix::fs::chown(work.join("anothers"), Some(4242), Some(4242)).unwrap();
        symlink(&outside, work.join("deep/folder")).unwrap();
        symlink(outside.join("secret"), work.join("file")).unwrap();
        assert_eq!(give(&work, OURS).unwrap(), 6);
        let owner = |path: &Path| path.symlink_metadata().unwrap().uid();
        assert_eq!([owner(&outside), owner(&outside.join("secret"))], [0, 0]);
        assert_eq!(owner(&work.join("anothers")), 4242);
        for name in ["", "deep", "deep/er", "deep/er/own", "deep/folder", "file"] {
            assert_eq!(owner(&work.join(name)), OURS.uid, "{name}");
        }
        assert_eq!(give(&work, OURS).unwrap(), 0);
        // Another unit's folder stays that unit's.
        assert_eq!(give(&work, Ids { uid: OURS.uid + 1, gid: OURS.gid + 1 }).unwrap(), 0);
    }

    #[test]
    fn a_link_in_place_of_the_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        symlink("/etc", dir.path().join("work")).unwrap();
        assert!(give(&dir.path().join("work"), OURS).is_err());
    }
}
