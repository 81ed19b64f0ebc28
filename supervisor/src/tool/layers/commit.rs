//! Brings the changes of a layer into its folder. Everything in the layer is a stranger's work; meanwhile the agent may do
//! anything in the folder. So every step goes from one open folder to one name in it, and no link is ever followed.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, UTIME_OMIT, Uid,
    chmodat, chownat, fchmod, fchown, fgetxattr, fstat, ftruncate, futimens, linkat, mkdirat, openat,
    readlinkat, renameat, seek, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::Committed;
use super::plan::{Above, Below, Count, Step, steps};
use crate::tool::leavings::walk::beneath;

/// Folders in folders that are gone into. Each takes a few descriptors.
const DEPTH: usize = 64;
/// Things that are told of.
const TOLD: usize = 8;
/// The mark of a folder that stands in the place of the one below.
const ALONE: [&CStr; 2] = [c"user.overlay.opaque", c"trusted.overlay.opaque"];

/// One commit.
struct Commit {
    top: OwnedFd,
    /// Whose everything is to be, when we have to say so.
    owner: Option<(Uid, Gid)>,
    count: Count,
    /// Where files with several names are by now, by their number in the layer: path and number.
    names: BTreeMap<u64, (PathBuf, u64)>,
    temps: u64,
    done: Committed,
}

/// Brings a layer into `folder`, which holds `now` files and may hold `most`. Nobody uses the layer any more.
pub(super) fn commit(layer: &OwnedFd, folder: &Path, most: Option<u64>, now: u64) -> Committed {
    let opened = openat(CWD, folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|top| Ok((fstat(&top)?, top.try_clone().map_err(|_| Errno::MFILE)?, top)));
    let (stat, to, top) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let told = format!("{} ({})", folder.display(), io::Error::from(error));
            return Committed { failed: vec![told], ..Committed::default() };
        }
    };
    // The command may have locked everybody out.
    let _opened = fchmod(layer, Mode::RWXU);
    let owner = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    let mut commit = Commit {
        top,
        owner: rustix::process::geteuid().is_root().then_some(owner),
        count: Count::new(most, now),
        names: BTreeMap::new(),
        temps: 0,
        done: Committed::default(),
    };
    commit.folder(layer, &to, Path::new(""), 0);
    commit.done.over = commit.count.over;
    commit.done
}

impl Commit {
    /// All entries of a folder: what is deleted first, for that makes room.
    fn folder(&mut self, from: &OwnedFd, to: &OwnedFd, path: &Path, depth: usize) {
        let mut dir = match Dir::read_from(from) {
            Ok(dir) => dir,
            Err(error) => return self.failed(path, error),
        };
        for deletions in [true, false] {
            dir.rewind();
            for entry in &mut dir {
                let name = match &entry {
                    Ok(entry) => entry.file_name(),
                    Err(error) => {
                        self.failed(path, *error);
                        break;
                    }
                };
                if !matches!(name.to_bytes(), b"." | b"..") {
                    let below = path.join(OsStr::from_bytes(name.to_bytes()));
                    let outcome = self.entry(from, to, name, &below, depth, deletions);
                    outcome.unwrap_or_else(|error| self.failed(&below, error));
                }
            }
        }
    }

    fn entry(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        name: &CStr,
        path: &Path,
        depth: usize,
        deletions: bool,
    ) -> Result<(), Errno> {
        let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let mut inside = None;
        if kind == FileType::Directory && !deletions {
            if depth >= DEPTH {
                return Err(Errno::NAMETOOLONG);
            }
            inside = Some(open_folder(from, name, &stat)?);
        }
        #[allow(clippy::unnecessary_cast, reason = "its type differs by platform")]
        let above = Above::of(kind, stat.st_rdev as u64, || inside.as_ref().is_some_and(is_alone));
        if (above == Above::Gone) != deletions {
            return Ok(());
        }
        let there = match statat(to, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(there) => Some(there),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(error),
        };
        let below = match there.map(|there| FileType::from_raw_mode(there.st_mode)) {
            None => Below::Nothing,
            Some(FileType::Directory) => Below::Folder,
            Some(_) => Below::Other,
        };
        let steps = steps(above, below);
        let replaces = below != Below::Nothing && !steps.contains(&Step::Clear);
        for step in steps {
            match step {
                Step::Clear => self.clear(to, name, 0)?,
                Step::Make | Step::Write | Step::Link if !replaces && !self.count.more() => return Ok(()),
                Step::Make => {
                    mkdirat(to, name, Mode::RWXU)?;
                    if let Some((uid, gid)) = self.owner {
                        chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
                    }
                }
                Step::Enter => {
                    let Some(inside) = &inside else { return Err(Errno::NOTDIR) };
                    let target = open_folder(to, name, &statat(to, name, AtFlags::SYMLINK_NOFOLLOW)?)?;
                    self.folder(inside, &target, path, depth + 1);
                    // Its owner can always look into it: what nobody can measure has no limit.
                    let wanted = Mode::from_raw_mode(stat.st_mode & 0o777) | Mode::RWXU;
                    if fstat(&target)?.st_mode & 0o777 != wanted.as_raw_mode() {
                        fchmod(&target, wanted)?;
                    }
                }
                Step::Write => self.write(from, to, name, path, &stat)?,
                Step::Link => {
                    let text = readlinkat(from, name, Vec::new())?;
                    self.placed(to, name, |commit, temp| {
                        symlinkat(&text, to, temp)?;
                        match commit.owner {
                            Some((uid, gid)) => {
                                chownat(to, temp, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                            }
                            None => Ok(()),
                        }
                    })?;
                }
                Step::Tell => {
                    if let Above::Special(what) = above
                        && self.done.special.len() < TOLD
                    {
                        self.done.special.push(format!("{what} {}", shown(path)));
                    }
                }
            }
        }
        Ok(())
    }

    /// A copy of a file. Names that share one go on sharing one.
    fn write(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        name: &CStr,
        path: &Path,
        stat: &Stat,
    ) -> Result<(), Errno> {
        if stat.st_nlink > 1
            && let Some((other, number)) = self.names.get(&stat.st_ino).cloned()
            && self.link(&other, number, to, name).is_ok()
        {
            return Ok(());
        }
        let file = open_file(from, name)?;
        let number = self.placed(to, name, |commit, temp| {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let copy = openat(to, temp, flags, Mode::RUSR | Mode::WUSR)?;
            copy_data(&file, &copy)?;
            if let Some((uid, gid)) = commit.owner {
                fchown(&copy, Some(uid), Some(gid))?;
            }
            fchmod(&copy, Mode::from_raw_mode(stat.st_mode & 0o777))?;
            let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
            #[allow(
                clippy::unnecessary_cast,
                clippy::useless_conversion,
                reason = "their types differ by platform"
            )]
            let last_modification = Timespec { tv_sec: stat.st_mtime as _, tv_nsec: stat.st_mtime_nsec as _ };
            futimens(&copy, &Timestamps { last_access: omit, last_modification })?;
            Ok(fstat(&copy)?.st_ino)
        })?;
        if stat.st_nlink > 1 {
            self.names.insert(stat.st_ino, (path.to_owned(), number));
        }
        Ok(())
    }

    /// One more name for a file that was brought over before.
    fn link(&mut self, other: &Path, number: u64, to: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        let above = other.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = beneath(&self.top, above, OFlags::PATH | OFlags::DIRECTORY)?;
        let file = other.file_name().ok_or(Errno::INVAL)?;
        self.placed(to, name, |_, temp| {
            linkat(&folder, file, to, temp, AtFlags::empty())?;
            // Somebody may have put something else there.
            let same = statat(to, temp, AtFlags::SYMLINK_NOFOLLOW)?.st_ino == number;
            if same { Ok(()) } else { Err(Errno::STALE) }
        })
    }

    /// Makes something under a name of our own and then gives it the name it is to have, at once.
    fn placed<T>(
        &mut self,
        to: &OwnedFd,
        name: &CStr,
        mut make: impl FnMut(&Self, &str) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let mut tries = 0;
        loop {
            self.temps += 1;
            let temp = format!(".creel-{}-{}", std::process::id(), self.temps);
            match make(self, &temp) {
                Err(Errno::EXIST) if tries < 64 => tries += 1,
                outcome => {
                    let placed =
                        outcome.and_then(|made| renameat(to, temp.as_str(), to, name).map(|()| made));
                    // Nothing is there when two names were of one file already: then nothing was renamed.
                    let _rest = unlinkat(to, temp.as_str(), AtFlags::empty());
                    return placed;
                }
            }
        }
    }

    /// Takes something away with everything in it.
    fn clear(&mut self, at: &OwnedFd, name: &CStr, depth: usize) -> Result<(), Errno> {
        match unlinkat(at, name, AtFlags::empty()) {
            Ok(()) => {
                self.count.less();
                return Ok(());
            }
            Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error),
        }
        if depth >= DEPTH {
            return Err(Errno::NAMETOOLONG);
        }
        let folder = open_folder(at, name, &statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?)?;
        // Names are taken in small heaps: a folder that shrinks while it is read may show one twice or not at all.
        loop {
            let entries = Dir::read_from(&folder)?.flatten();
            let names = entries.map(|entry| entry.file_name().to_owned());
            let heap: Vec<_> =
                names.filter(|name| !matches!(name.to_bytes(), b"." | b"..")).take(256).collect();
            if heap.is_empty() {
                break;
            }
            for name in heap {
                self.clear(&folder, &name, depth + 1)?;
            }
        }
        unlinkat(at, name, AtFlags::REMOVEDIR)?;
        self.count.less();
        Ok(())
    }

    fn failed(&mut self, path: &Path, error: Errno) {
        if self.done.failed.len() < TOLD {
            let why = match error {
                Errno::NAMETOOLONG => format!("more than {DEPTH} folders deep, or a name that is too long"),
                error => io::Error::from(error).to_string(),
            };
            self.done.failed.push(format!("{} ({why})", shown(path)));
        } else {
            self.done.more += 1;
        }
    }
}

/// Opens a folder, also one that its owner locked itself out of.
fn open_folder(at: &OwnedFd, name: &CStr, stat: &Stat) -> Result<OwnedFd, Errno> {
    let path = Path::new(OsStr::from_bytes(name.to_bytes()));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
    if stat.st_mode & 0o700 != 0o700 {
        unlock(&beneath(at, path, OFlags::PATH | OFlags::DIRECTORY)?, 0o700 | stat.st_mode & 0o777)?;
    }
    beneath(at, path, flags)
}

/// Opens a regular file, also one that its owner may not read. Nothing is waited for.
fn open_file(at: &OwnedFd, name: &CStr) -> Result<File, Errno> {
    let path = Path::new(OsStr::from_bytes(name.to_bytes()));
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = match beneath(at, path, flags) {
        Err(Errno::ACCESS) => {
            unlock(&beneath(at, path, OFlags::PATH)?, 0o600)?;
            beneath(at, path, flags)
        }
        other => other,
    }?;
    if FileType::from_raw_mode(fstat(&opened)?.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    Ok(File::from(opened))
}

fn unlock(entry: &OwnedFd, mode: u32) -> Result<(), Errno> {
    let at = format!("/proc/self/fd/{}", entry.as_raw_fd());
    chmodat(CWD, at, Mode::from_raw_mode(mode), AtFlags::empty())
}

/// Whether a folder of the layer stands in the place of the one below.
fn is_alone(folder: &OwnedFd) -> bool {
    let mut value = [0_u8; 8];
    ALONE
        .into_iter()
        .any(|name| fgetxattr(folder, name, &mut value).is_ok_and(|length| value.get(..length) == Some(b"y")))
}

/// Copies what is written; a hole stays a hole, or it would take room that nobody counted.
fn copy_data(from: &File, to: &OwnedFd) -> Result<(), Errno> {
    let length = fstat(from)?.st_size;
    ftruncate(to, u64::try_from(length).map_err(|_| Errno::INVAL)?)?;
    let mut buffer = vec![0_u8; 128 << 10];
    let mut at = 0;
    loop {
        let start = match seek(from, SeekFrom::Data(at)) {
            Ok(start) => start,
            // No more data.
            Err(Errno::NXIO) => return Ok(()),
            Err(error) => return Err(error),
        };
        let end = seek(from, SeekFrom::Hole(start))?;
        at = start;
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
            let got = rustix::io::pread(from, buffer.get_mut(..wanted).unwrap_or_default(), at)?;
            if got == 0 {
                return Ok(());
            }
            let mut piece = buffer.get(..got).unwrap_or_default();
            while !piece.is_empty() {
                let put = rustix::io::pwrite(to, piece, at)?;
                at += put as u64;
                piece = piece.get(put..).unwrap_or_default();
            }
        }
    }
}

/// A path as it may be printed anywhere.
fn shown(path: &Path) -> String {
    let text: String = path.display().to_string().chars().take(200).collect();
    text.escape_debug().to_string()
}
