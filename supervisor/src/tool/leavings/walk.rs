//! The walk over a workspace after a run.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use creel_ipc::protected::{AGENT_FILES, ANYWHERE, HOST_FILES};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat, unlinkat};
use rustix::io::Errno;

use super::quarantine::Folder;
use super::{Findings, Look, git};

/// Entries that are looked at.
const ENTRIES: u32 = if cfg!(test) { 2_000 } else { 50_000 };
/// Time that is spent.
const TIME: Duration = Duration::from_millis(200);
/// Things that are taken away; a run that leaves more is told of as such.
const TAKEN: usize = 64;
/// Names of one kind that are told.
const TOLD: usize = 64;

/// One walk.
pub(super) struct Walk<'a> {
    top: OwnedFd,
    since: (i64, i64),
    alone: bool,
    folder: Folder<'a>,
    until: Instant,
    left: u32,
    queue: VecDeque<PathBuf>,
    found: Findings,
}

/// Opens beneath a folder: no `..` and no link leads anywhere, and nothing is waited for.
pub(in crate::tool) fn beneath(top: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(top, path, flags, Mode::empty(), resolve)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let folder = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut here = openat(top, ".", folder, Mode::empty())?;
        let mut parts = path.components().peekable();
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_some() { folder } else { flags };
            here = openat(&here, part.as_os_str(), flags, Mode::empty())?;
        }
        Ok(here)
    }
}

impl<'a> Walk<'a> {
    /// Looks at a workspace.
    pub(super) fn over(look: &'a Look, alone: bool) -> io::Result<Findings> {
        let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut walk = Self {
            top: openat(CWD, &look.workspace, folder, Mode::empty())?,
            since: look.since,
            alone,
            folder: Folder::of(look),
            until: Instant::now() + TIME,
            left: ENTRIES,
            queue: VecDeque::from([PathBuf::new()]),
            found: Findings::default(),
        };
        // By name, before anything that a run could fill up.
        let new_ones = AGENT_FILES.iter().filter(|name| !look.there.iter().any(|other| other == *name));
        for name in new_ones.chain(HOST_FILES) {
            let stat = statat(&walk.top, *name, AtFlags::SYMLINK_NOFOLLOW);
            if stat.is_ok_and(|stat| walk.is_new(&stat)) {
                walk.take(PathBuf::from(name));
            }
        }
        if let Ok(stat) = statat(&walk.top, ".git", AtFlags::SYMLINK_NOFOLLOW) {
            walk.repository_or_link(PathBuf::from(".git"), &stat);
        }
        while let Some(next) = walk.queue.pop_front() {
            if walk.left == 0 || Instant::now() >= walk.until {
                walk.found.incomplete = true;
                break;
            }
            walk.folder(&next);
        }
        Ok(walk.found)
    }

    fn folder(&mut self, path: &Path) {
        let Some((dir, entries)) = self.open(path) else { return };
        let [mut head, mut refs, mut common, mut config, mut hooks] = [false; 5];
        for entry in entries.flatten() {
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if !self.count() {
                break;
            }
            match name {
                b"HEAD" => head = true,
                b"refs" => refs = true,
                b"commondir" => common = true,
                b"config" => config = true,
                b"hooks" => hooks = true,
                _ => {}
            }
            let name = OsStr::from_bytes(name);
            let mut kind = entry.file_type();
            let wanted = name == ".git" || ANYWHERE.iter().any(|other| name == *other);
            let mut stat = None;
            if wanted || !matches!(kind, FileType::Directory | FileType::RegularFile | FileType::Symlink) {
                let Ok(seen) = statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
                kind = FileType::from_raw_mode(seen.st_mode);
                stat = Some(seen);
            }
            let below = path.join(name);
            match (kind, stat) {
                (FileType::Directory, None) => self.queue.push_back(below),
                (_, Some(stat)) if name == ".git" => {
                    if !path.as_os_str().is_empty() {
                        self.repository_or_link(below, &stat);
                    }
                }
                (FileType::RegularFile | FileType::Symlink, Some(stat)) if wanted && self.is_new(&stat) => {
                    self.take(below);
                }
                (FileType::Directory, Some(_)) => self.queue.push_back(below),
                (_, Some(stat)) => self.special(&dir, name, &below, &stat),
                (_, None) => {}
            }
        }
        // A folder that git takes for a repository when it is entered, whatever its name.
        if (head || refs) && (config || hooks) || common {
            self.repository(path);
        }
    }

    fn repository_or_link(&mut self, path: PathBuf, stat: &Stat) {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                self.repository(&path);
                // Each of these is a folder of folders that git uses as repositories.
                self.queue.push_back(path.join("modules"));
                self.queue.push_back(path.join("worktrees"));
            }
            // It only names a folder, which is looked at by itself where it is in the workspace.
            FileType::RegularFile => {}
            _ if self.is_new(stat) => self.take(path),
            _ => {}
        }
    }

    /// Takes away what the host's git would execute of a repository.
    fn repository(&mut self, path: &Path) {
        let Some((dir, entries)) = self.open(path) else { return };
        let look = |name: &str| statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).ok();
        let new = |walk: &Self, name: &str| look(name).is_some_and(|stat| walk.is_new(&stat));
        // It became a repository in this run: then what is older in it has become a danger, too.
        let formed = new(self, "HEAD") && new(self, "refs");
        for name in ["config", "config.worktree"] {
            if let Some(stat) = look(name)
                && (formed || self.is_new(&stat))
                && !is_harmless(&dir, name)
            {
                self.take(path.join(name));
            }
        }
        let linked = path.parent().and_then(Path::file_name) == Some(OsStr::new("worktrees"));
        if new(self, "commondir")
            && !(linked && text(&dir, "commondir", 16).is_some_and(|t| t.trim_ascii() == b"../.."))
        {
            self.take(path.join("commondir"));
        }
        if let Some(stat) = look("hooks") {
            let all = formed || self.is_new(&stat);
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                self.hooks(&path.join("hooks"), all);
            } else if all {
                self.take(path.join("hooks"));
            }
        }
        if path.file_name() == Some(OsStr::new(".git")) {
            for entry in entries.flatten() {
                let name = entry.file_name().to_bytes();
                if matches!(name, b"." | b"..") {
                    continue;
                }
                let plain = matches!(
                    entry.file_type(),
                    FileType::Directory | FileType::RegularFile | FileType::Symlink
                );
                if !self.count() {
                    break;
                }
                let name = OsStr::from_bytes(name);
                if !plain && let Ok(stat) = statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                    self.special(&dir, name, &path.join(name), &stat);
                }
            }
        }
    }

    fn hooks(&mut self, path: &Path, all: bool) {
        let Some((dir, entries)) = self.open(path) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || name.ends_with(b".sample") {
                continue;
            }
            if !self.count() {
                break;
            }
            let name = OsStr::from_bytes(name);
            let stat = statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW);
            if stat.is_ok_and(|stat| all || self.is_new(&stat)) {
                self.take(path.join(name));
            }
        }
    }

    /// A FIFO, a socket or a device: who opens it may wait forever.
    fn special(&mut self, dir: &OwnedFd, name: &OsStr, path: &Path, stat: &Stat) {
        let what = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Fifo => "the FIFO",
            FileType::Socket => "the socket",
            FileType::CharacterDevice | FileType::BlockDevice => "the device",
            _ => return,
        };
        if !self.is_new(stat) {
            return;
        }
        let told = format!("{what} {}", shown(path));
        if !self.alone {
            tell(
                &mut self.found.left,
                &mut self.found.incomplete,
                format!("{told} (another run may use it)"),
            );
        } else if let Err(error) = unlinkat(dir, name, AtFlags::empty()) {
            tell(&mut self.found.left, &mut self.found.incomplete, format!("{told} ({error})"));
        } else {
            tell(&mut self.found.removed, &mut self.found.incomplete, told);
        }
    }

    fn take(&mut self, path: PathBuf) {
        if self.found.moved.len() >= TAKEN {
            self.found.incomplete = true;
            return;
        }
        let told = shown(&path);
        match self.folder.take(&self.top, &path) {
            Ok(()) => self.found.moved.push(told),
            Err(error) => {
                tell(
                    &mut self.found.left,
                    &mut self.found.incomplete,
                    format!("{told} (it cannot be moved: {error})"),
                );
            }
        }
    }

    fn open(&mut self, path: &Path) -> Option<(OwnedFd, Dir)> {
        let here = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
        let opened = beneath(&self.top, here, flags).and_then(|dir| Ok((Dir::read_from(&dir)?, dir)));
        match opened {
            Ok((entries, dir)) => Some((dir, entries)),
            // Gone meanwhile, or never there, or no folder any more.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => None,
            Err(_) => {
                self.found.incomplete = true;
                None
            }
        }
    }

    /// One more entry; whether there is still room.
    fn count(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 || (self.left.is_multiple_of(256) && Instant::now() >= self.until) {
            self.left = 0;
            self.found.incomplete = true;
            return false;
        }
        true
    }

    fn is_new(&self, stat: &Stat) -> bool {
        #[allow(clippy::unnecessary_cast, reason = "their types differ by platform")]
        let changed = (stat.st_ctime as i64, stat.st_ctime_nsec as i64);
        changed >= self.since
    }
}

fn tell(list: &mut Vec<String>, incomplete: &mut bool, what: String) {
    if list.len() < TOLD { list.push(what) } else { *incomplete = true }
}

/// A path as it may be printed anywhere, and not longer than it needs to be.
fn shown(path: &Path) -> String {
    let text: String = path.display().to_string().chars().take(200).collect();
    text.escape_debug().to_string()
}

fn is_harmless(dir: &OwnedFd, name: &str) -> bool {
    text(dir, name, git::MOST).is_some_and(|text| git::is_harmless(&text))
}

/// A regular file's whole text, if it is not longer than that.
fn text(dir: &OwnedFd, name: &str, most: u64) -> Option<Vec<u8>> {
    let fd = beneath(dir, Path::new(name), OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY).ok()?;
    let stat = fstat(&fd).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let mut text = Vec::new();
    File::from(fd).take(most + 1).read_to_end(&mut text).ok()?;
    (text.len() as u64 <= most).then_some(text)
}
