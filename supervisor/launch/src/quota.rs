//! Project quota: files carry the number of a project, and their file system limits what all files of one number take together.
//!
//! Linux with ext4, XFS or another file system that knows projects, and a caller who is root outside of every user namespace;
//! everything else is answered with an error. What is inside a user namespace can never change the number of a file.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

/// What a file carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tag {
    /// Its project; 0 for none.
    pub project: u32,
    /// Of a folder: whether what is made in it carries the same.
    pub inherits: bool,
}

/// What all files of one project may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limit {
    /// Bytes on the disk, to be counted in pieces of 1,024.
    pub bytes: Option<u64>,
    /// Files, folders and links.
    pub inodes: Option<u64>,
}

/// What the file system knows of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// What its files may take.
    pub limit: Limit,
    /// Bytes that they take.
    pub bytes: u64,
    /// How many they are.
    pub inodes: u64,
}

/// Reads the tag of an open file or folder.
///
/// # Errors
/// `ENOTTY` or `EOPNOTSUPP` where the file system knows no projects, and what else the system says.
pub fn tag(file: BorrowedFd<'_>) -> io::Result<Tag> {
    system::tag(file)
}

/// Changes the tag of an open file or folder, and nothing else about it.
///
/// # Errors
/// What the system says.
pub fn set_tag(file: BorrowedFd<'_>, tag: Tag) -> io::Result<()> {
    system::set_tag(file, tag)
}

/// What the file system of an open folder knows of a project.
///
/// # Errors
/// Where there is no project quota, or the caller may not ask.
pub fn account(folder: BorrowedFd<'_>, project: u32) -> io::Result<Account> {
    system::account(folder, project)
}

/// Sets the limits of a project; none at all takes them away.
///
/// # Errors
/// Where there is no project quota, or the caller may not do that.
pub fn set_limit(folder: BorrowedFd<'_>, project: u32, limit: Limit) -> io::Result<()> {
    system::set_limit(folder, project, limit)
}

/// Whether the file system says that it enforces limits of projects. Takes microseconds.
///
/// # Errors
/// Where it knows none.
pub fn is_enforced(folder: BorrowedFd<'_>) -> io::Result<bool> {
    system::is_enforced(folder)
}

/// Why limits of projects are of no use somewhere.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// A step of the probe could not be made.
    #[error("{0}: {1}")]
    Impossible(&'static str, #[source] io::Error),
    /// Nobody was stopped.
    #[error("a file could grow beyond the limit of its project")]
    NotEnforced,
    /// Nothing was learnt.
    #[error("the file system has no room to try it out")]
    Full,
}

/// Tries it out: writes a file without a name into the folder, and beyond the limit of `project`, as somebody without privileges
/// in this would. The project is used for nothing else; it keeps its limit of a kilobyte. Takes a tenth of a millisecond or so.
///
/// # Errors
/// When the write is not denied, or what could not be tried.
pub fn probe(folder: BorrowedFd<'_>, project: u32) -> Result<(), ProbeError> {
    let impossible = |what| move |error: io::Error| ProbeError::Impossible(what, error);
    let least = Limit { bytes: Some(1024), inodes: None };
    if !is_enforced(folder).map_err(impossible("it knows no limits of projects"))? {
        return Err(ProbeError::NotEnforced);
    }
    if account(folder, project).map_err(impossible("projects cannot be asked about"))?.limit != least {
        set_limit(folder, project, least).map_err(impossible("limits of projects cannot be set"))?;
    }
    let file = system::unnamed(folder).map_err(impossible("no file can be made in it"))?;
    let carry = |project| {
        let tag = Tag { project, inherits: false };
        set_tag(file.as_fd(), tag).map_err(impossible("a file cannot be given to a project"))
    };
    carry(project)?;
    match system::write_unprivileged(&file).map_err(impossible("privileges cannot be put down"))? {
        Ok(()) => return Err(ProbeError::NotEnforced),
        Err(error) if matches!(error.kind(), io::ErrorKind::QuotaExceeded | io::ErrorKind::StorageFull) => {}
        Err(error) => return Err(ProbeError::Impossible("a file cannot be written", error)),
    }
    // The same must work where there is no limit, or it was the disk.
    carry(0)?;
    match system::write_unprivileged(&file).map_err(impossible("privileges cannot be put down"))? {
        Ok(()) => Ok(()),
        Err(_) => Err(ProbeError::Full),
    }
}

#[cfg(target_os = "linux")]
use crate::linux::project as system;

#[cfg(not(target_os = "linux"))]
mod system {
    use std::os::fd::OwnedFd;

    use super::{Account, BorrowedFd, Limit, Tag, io};

    fn none<T>() -> io::Result<T> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn tag(_: BorrowedFd<'_>) -> io::Result<Tag> {
        none()
    }

    pub(super) fn set_tag(_: BorrowedFd<'_>, _: Tag) -> io::Result<()> {
        none()
    }

    pub(super) fn account(_: BorrowedFd<'_>, _: u32) -> io::Result<Account> {
        none()
    }

    pub(super) fn set_limit(_: BorrowedFd<'_>, _: u32, _: Limit) -> io::Result<()> {
        none()
    }

    pub(super) fn is_enforced(_: BorrowedFd<'_>) -> io::Result<bool> {
        none()
    }

    pub(super) fn unnamed(_: BorrowedFd<'_>) -> io::Result<OwnedFd> {
        none()
    }

    pub(super) fn write_unprivileged(_: &OwnedFd) -> io::Result<io::Result<()>> {
        none()
    }
}
