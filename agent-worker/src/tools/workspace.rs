//! The files of the workspace, and nothing else: every path is resolved by the kernel beneath one directory.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use creel_ipc::msg::tool::Refusal;
use creel_ipc::protected::is_the_hosts;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Bytes of a file that may be written or edited.
pub const MAX_FILE: u64 = 8 * 1024 * 1024;
/// What a folder is called to the model.
const FOLDER: &str = "a folder";

/// Why a file is not available.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// The workspace itself cannot be opened.
    #[error("The workspace {path} cannot be opened: {source}. The operator must look after it.")]
    NoWorkspace {
        /// Where it should be.
        path: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The path leads outside.
    #[error("`{path}` is not in the workspace. Use a path in the workspace, such as `notes/today.md`.")]
    Outside {
        /// As given.
        path: String,
    },
    /// Programs of the host obey it.
    #[error(
        "`{path}` cannot be written: programs outside the sandbox (git, shells, editors, other agents) execute what it says. \
         Ask the operator to write it."
    )]
    Protected {
        /// As given.
        path: String,
    },
    /// It does not exist.
    #[error("`{path}` does not exist in the workspace.")]
    Missing {
        /// As given.
        path: String,
    },
    /// It is no regular file.
    #[error("`{path}` is {kind}, not a regular file{hint}.")]
    NotAFile {
        /// As given.
        path: String,
        /// What it is.
        kind: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
    /// It is too big.
    #[error("`{path}` has {bytes} bytes; the limit is {limit}. Use `exec` to work on a part of it.")]
    TooBig {
        /// As given.
        path: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// Anything else that the kernel says.
    #[error("`{path}` cannot be {what}: {source}.")]
    Io {
        /// As given.
        path: String,
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl WorkspaceError {
    /// Why it is a refusal that the operator hears of, if it is one: a mistake in a name is none.
    fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Outside { .. } => Some(Refusal::Outside),
            Self::Protected { .. } => Some(Refusal::Protected),
            Self::NotAFile { kind, .. } if *kind != FOLDER => Some(Refusal::NotAFile),
            Self::Io { source, .. }
                if matches!(
                    source.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                Some(Refusal::Kernel)
            }
            _ => None,
        }
    }
}

/// An open workspace.
#[derive(Debug)]
pub struct Workspace {
    root: OwnedFd,
    path: PathBuf,
    refused: Cell<Option<Refusal>>,
}

impl Workspace {
    /// Opens the directory.
    ///
    /// # Errors
    /// [`WorkspaceError::NoWorkspace`].
    pub fn open(path: &str) -> Result<Self, WorkspaceError> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|errno| WorkspaceError::NoWorkspace { path: path.to_owned(), source: errno.into() })?;
        Ok(Self { root, path: PathBuf::from(path), refused: Cell::new(None) })
    }

    /// Why the last call was refused, if it was.
    pub fn refused(&self) -> Option<Refusal> {
        self.refused.get()
    }

    fn noted<T>(&self, outcome: Result<T, WorkspaceError>) -> Result<T, WorkspaceError> {
        self.refused.set(outcome.as_ref().err().and_then(WorkspaceError::refusal));
        outcome
    }

    /// Opens a regular file for reading; says its size.
    ///
    /// # Errors
    /// [`WorkspaceError`]; devices, FIFOs, sockets and directories are refused and never waited for.
    pub fn read(&self, path: &str) -> Result<(File, u64), WorkspaceError> {
        self.noted(self.open_to_read(path))
    }

    fn open_to_read(&self, path: &str) -> Result<(File, u64), WorkspaceError> {
        let inside = self.inside(path)?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = beneath(&self.root, &inside, flags).map_err(|errno| refusal(path, "read", errno))?;
        let stat = rustix::fs::fstat(&fd).map_err(|errno| refusal(path, "read", errno))?;
        let kind = FileType::from_raw_mode(stat.st_mode as rustix::fs::RawMode);
        if kind != FileType::RegularFile {
            return Err(not_a_file(path, kind));
        }
        Ok((File::from(fd), u64::try_from(stat.st_size).unwrap_or(0)))
    }

    /// Replaces or makes a file, all at once: whoever reads it sees the old text or the new one.
    ///
    /// # Errors
    /// [`WorkspaceError`].
    pub fn write(&self, path: &str, content: &[u8]) -> Result<(), WorkspaceError> {
        self.noted(self.put(path, content))
    }

    fn put(&self, path: &str, content: &[u8]) -> Result<(), WorkspaceError> {
        let bytes = content.len() as u64;
        if bytes > MAX_FILE {
            return Err(WorkspaceError::TooBig { path: path.to_owned(), bytes, limit: MAX_FILE });
        }
        let inside = self.inside(path)?;
        let Some(name) = inside.file_name() else {
            return Err(not_a_file(path, FileType::Directory));
        };
        let parent = inside.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = match parent {
            Some(parent) => self.folder(parent).map_err(|errno| refusal(path, "written", errno))?,
            None => self.root.try_clone().map_err(|source| io_error(path, "written", source))?,
        };
        if self.is_protected(&folder, name, &inside) {
            return Err(WorkspaceError::Protected { path: path.to_owned() });
        }
        let mode = match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode as rustix::fs::RawMode) {
                FileType::RegularFile => Mode::from_raw_mode(stat.st_mode as rustix::fs::RawMode & 0o777),
                kind => return Err(not_a_file(path, kind)),
            },
            Err(Errno::NOENT) => Mode::from_raw_mode(0o644),
            Err(errno) => return Err(refusal(path, "written", errno)),
        };
        replace(&folder, name, content, mode).map_err(|source| io_error(path, "written", source))
    }

    /// Whether the host obeys what is at this name: by what was given, and by where the folder really is.
    fn is_protected(&self, folder: &OwnedFd, name: &std::ffi::OsStr, inside: &Path) -> bool {
        let real = |fd: &OwnedFd| std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok();
        let real = real(folder).zip(real(&self.root));
        let real = real.and_then(|(folder, root)| Some(folder.strip_prefix(root).ok()?.join(name)));
        let plain = !inside.components().any(|part| part == Component::ParentDir);
        let given = plain.then(|| inside.to_owned());
        real.into_iter().chain(given).any(|path| is_the_hosts(&path.to_string_lossy()))
    }

    /// The path relative to the workspace. The kernel has the last word on where it leads.
    fn inside(&self, path: &str) -> Result<PathBuf, WorkspaceError> {
        let outside = || WorkspaceError::Outside { path: path.to_owned() };
        let given = Path::new(path);
        let relative =
            if given.is_absolute() { given.strip_prefix(&self.path).map_err(|_| outside())? } else { given };
        if path.is_empty() || path.contains('\0') || path.starts_with("~/") {
            return Err(outside());
        }
        // `a/../b` is resolved by the kernel, so that it means the same as everywhere else.
        let clean: PathBuf = relative.components().filter(|part| *part != Component::CurDir).collect();
        Ok(if clean.as_os_str().is_empty() { PathBuf::from(".") } else { clean })
    }

    /// Opens a folder, making what is missing of it.
    fn folder(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        match beneath(&self.root, path, flags) {
            Err(Errno::NOENT) => {}
            done => return done,
        }
        let (parent, name) = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) if !parent.as_os_str().is_empty() => (self.folder(parent)?, name),
            (_, Some(name)) => (beneath(&self.root, Path::new("."), flags)?, name),
            // `missing/..` names nothing that could be made.
            (_, None) => return Err(Errno::NOENT),
        };
        match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        // A link that another process put there meanwhile is not followed.
        rustix::fs::openat(&parent, name, flags | OFlags::NOFOLLOW, Mode::empty())
    }
}

/// Writes beside the target and renames: the folder's descriptor keeps both names where they belong.
fn replace(folder: &OwnedFd, name: &std::ffi::OsStr, content: &[u8], mode: Mode) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let (temporary, fd) = loop {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let temporary = format!(".creel-{}-{n}.tmp", std::process::id());
        match rustix::fs::openat(folder, &temporary, flags, Mode::from_raw_mode(0o600)) {
            Ok(fd) => break (temporary, fd),
            // Left by a life that died here.
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    };
    let written = (|| {
        let mut file = File::from(fd);
        file.write_all(content)?;
        rustix::fs::fchmod(file.as_fd(), mode)?;
        file.sync_all()?;
        rustix::fs::renameat(folder, &temporary, folder, name)?;
        io::Result::Ok(())
    })();
    if written.is_err() {
        // The temporary file is ours alone; that it stays would only be untidy.
        let _left = rustix::fs::unlinkat(folder, &temporary, AtFlags::empty());
    }
    written
}

/// Opens beneath the root: no `..`, link or magic link leads out.
fn beneath(root: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        loop {
            match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
                // A rename elsewhere raced with a `..`: the kernel asks to try again.
                Err(Errno::AGAIN) => {}
                Err(Errno::NOSYS) => break,
                done => return done,
            }
        }
    }
    step_by_step(root, path, flags)
}

/// The same where the kernel cannot: no links at all, and no `..`.
fn step_by_step(root: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let folder = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut at = rustix::fs::openat(root, ".", folder, Mode::empty())?;
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        let name = match part {
            Component::Normal(name) => name,
            Component::CurDir => ".".as_ref(),
            _ => return Err(Errno::XDEV),
        };
        let flags = if parts.peek().is_some() { folder } else { flags | OFlags::NOFOLLOW };
        at = match rustix::fs::openat(&at, name, flags, Mode::empty()) {
            Err(Errno::LOOP) => return Err(Errno::XDEV),
            opened => opened?,
        };
    }
    Ok(at)
}

fn refusal(path: &str, what: &'static str, errno: Errno) -> WorkspaceError {
    let path = path.to_owned();
    match errno {
        Errno::XDEV | Errno::LOOP => WorkspaceError::Outside { path },
        Errno::NOENT => WorkspaceError::Missing { path },
        // What opening a socket, or a device without a driver, says.
        Errno::NXIO => WorkspaceError::NotAFile { path, kind: "a socket or a device", hint: "" },
        errno => WorkspaceError::Io { path, what, source: errno.into() },
    }
}

fn io_error(path: &str, what: &'static str, source: io::Error) -> WorkspaceError {
    WorkspaceError::Io { path: path.to_owned(), what, source }
}

fn not_a_file(path: &str, kind: FileType) -> WorkspaceError {
    let (kind, hint) = match kind {
        FileType::Directory => (FOLDER, "; use `exec` with `ls` to see what is in it"),
        FileType::Symlink => ("a symbolic link", "; write to the file it points to"),
        FileType::Fifo => ("a pipe", ""),
        FileType::Socket => ("a socket", ""),
        _ => ("a device", ""),
    };
    WorkspaceError::NotAFile { path: path.to_owned(), kind, hint }
}

#[cfg(test)]
mod tests;
