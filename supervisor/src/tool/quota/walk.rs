//! Giving everything in a folder a number, or taking it away. What is in it may be a stranger's work: no link is followed, and
//! nothing is waited for.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use creel_launch::quota::{Tag, set_tag, tag};
use rustix::fs::{AtFlags, Dir, FileType, OFlags, fstat, statat};
use rustix::io::Errno;

use super::NoQuota;
use crate::tool::leavings::walk::beneath;

/// What becomes of the number of a file.
pub(super) enum Change<F> {
    /// It becomes this one, where there was none or one of ours.
    To(u32, F),
    /// It goes, where it was this one.
    From(u32),
}

impl<F: Fn(u32) -> bool> Change<F> {
    /// The tag that a file or folder is to have in the place of this one.
    fn of(&self, now: Tag, folder: bool) -> Result<Tag, u32> {
        match self {
            Self::To(project, is_ours) if now.project == 0 || is_ours(now.project) => {
                Ok(Tag { project: *project, inherits: folder })
            }
            Self::To(..) => Err(now.project),
            Self::From(project) if now.project == *project => Ok(Tag::default()),
            Self::From(_) => Ok(now),
        }
    }
}

/// Changes a folder and all in it, but for links, pipes and sockets, which cannot be opened for it.
///
/// A folder is changed before it is read: what is made in it from then on inherits its number, and a file without the number
/// cannot be moved into it, so that nothing is left out whoever writes there meanwhile.
///
/// # Errors
/// With the first file that carries another's number or cannot be changed, and when it is `until`.
pub(super) fn walk<F: Fn(u32) -> bool>(
    top: &OwnedFd,
    change: &Change<F>,
    until: Option<Instant>,
) -> Result<u64, NoQuota> {
    let device = fstat(top).map_err(io::Error::from).map_err(NoQuota::Unreadable)?.st_dev;
    let (mut seen, mut changed) = (0_u64, 0);
    let mut queue = VecDeque::from([PathBuf::from(".")]);
    while let Some(path) = queue.pop_front() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
        let Some(dir) = opened(top, &path, flags)? else { continue };
        changed += apply(&dir, change, true, &path)?;
        for entry in Dir::read_from(&dir).map_err(|error| failed(&path, error))? {
            let entry = entry.map_err(|error| failed(&path, error))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            seen += 1;
            if seen.is_multiple_of(256) && until.is_some_and(|until| Instant::now() >= until) {
                return Err(NoQuota::Busy);
            }
            let below = path.join(OsStr::from_bytes(name.to_bytes()));
            let stat = match statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                other => other.map_err(|error| failed(&below, error))?,
            };
            // What is mounted there is of another file system, and is not shown to commands.
            if stat.st_dev != device {
                continue;
            }
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => queue.push_back(below),
                FileType::RegularFile => {
                    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
                    let name = Path::new(OsStr::from_bytes(name.to_bytes()));
                    if let Some(file) = opened(&dir, name, flags)? {
                        changed += apply(&file, change, false, &below)?;
                    }
                }
                _ => {}
            }
        }
    }
    Ok(changed)
}

fn opened(at: &OwnedFd, path: &Path, flags: OFlags) -> Result<Option<OwnedFd>, NoQuota> {
    match beneath(at, path, flags) {
        Ok(file) => Ok(Some(file)),
        // Gone meanwhile, or something else by now.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => Ok(None),
        Err(error) => Err(failed(path, error)),
    }
}

fn apply<F: Fn(u32) -> bool>(
    file: &OwnedFd,
    change: &Change<F>,
    folder: bool,
    path: &Path,
) -> Result<u64, NoQuota> {
    let failed = |error: io::Error| NoQuota::Unreadable(at(path, &error));
    let now = tag(file.as_fd()).map_err(failed)?;
    let wanted = change.of(now, folder).map_err(|foreign| NoQuota::Foreign(path.to_owned(), foreign))?;
    if wanted == now {
        return Ok(0);
    }
    set_tag(file.as_fd(), wanted).map_err(failed)?;
    Ok(1)
}

fn failed(path: &Path, error: Errno) -> NoQuota {
    NoQuota::Unreadable(at(path, &io::Error::from(error)))
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{} in it: {error}", path.display().to_string().escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_others_is_never_touched() {
        let ours = |project: u32| (100..200).contains(&project);
        let of = |project| Tag { project, inherits: false };
        let (to, from) = (Change::To(105, ours), Change::<fn(u32) -> bool>::From(105));
        assert_eq!(to.of(of(0), true), Ok(Tag { project: 105, inherits: true }));
        assert_eq!(to.of(of(107), false), Ok(of(105)));
        assert_eq!(to.of(of(42), false), Err(42));
        assert_eq!([from.of(of(105), true), from.of(of(42), true)], [Ok(of(0)), Ok(of(42))]);
    }
}
