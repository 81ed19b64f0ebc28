//! The calls behind [`crate::quota`], which no crate wraps.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

use crate::quota::{Account, Limit, Tag};

/// From the kernel's `fs.h`: `_IOR('X', 31, struct fsxattr)` and `_IOW('X', 32, struct fsxattr)`.
const FS_IOC_FSGETXATTR: u64 = 0x801c_581f;
const FS_IOC_FSSETXATTR: u64 = 0x401c_5820;
const FS_XFLAG_PROJINHERIT: u32 = 0x200;
/// From the kernel's `quota.h` and `dqblk_xfs.h`.
const PRJQUOTA: u32 = 2;
const Q_XGETQSTATV: u32 = ('X' as u32) << 8 | 8;
const FS_QSTATV_VERSION1: u8 = 1;
const FS_QUOTA_PDQ_ENFD: u16 = 1 << 5;
/// Linux 5.14; the number is the same on every architecture.
const SYS_QUOTACTL_FD: libc::c_long = 443;
/// In which limits on bytes are counted.
const PIECE: u64 = 1024;

/// The kernel's `struct fsxattr`.
#[repr(C)]
#[derive(Default)]
struct FileAttributes {
    xflags: u32,
    extsize: u32,
    nextents: u32,
    project: u32,
    cowextsize: u32,
    pad: [u8; 8],
}

fn attributes(file: BorrowedFd<'_>) -> io::Result<FileAttributes> {
    let mut found = FileAttributes::default();
    // SAFETY: the descriptor is open, and the kernel writes no more than the 28 bytes of this struct.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_FSGETXATTR as _, &raw mut found) };
    if done == 0 { Ok(found) } else { Err(io::Error::last_os_error()) }
}

pub(crate) fn tag(file: BorrowedFd<'_>) -> io::Result<Tag> {
    let found = attributes(file)?;
    Ok(Tag { project: found.project, inherits: found.xflags & FS_XFLAG_PROJINHERIT != 0 })
}

pub(crate) fn set_tag(file: BorrowedFd<'_>, tag: Tag) -> io::Result<()> {
    let mut wanted = attributes(file)?;
    wanted.project = tag.project;
    wanted.xflags &= !FS_XFLAG_PROJINHERIT;
    if tag.inherits {
        wanted.xflags |= FS_XFLAG_PROJINHERIT;
    }
    // SAFETY: the descriptor is open, and the kernel reads the 28 bytes of this struct.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_FSSETXATTR as _, &raw const wanted) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn quotactl<T>(folder: BorrowedFd<'_>, command: u32, project: u32, about: &mut T) -> io::Result<()> {
    let command = command << 8 | PRJQUOTA;
    // SAFETY: the descriptor is open. `about` is what the kernel reads or writes for this command, as each caller says.
    let done = unsafe {
        libc::syscall(SYS_QUOTACTL_FD, folder.as_raw_fd(), command, project, std::ptr::from_mut(about))
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn block() -> libc::dqblk {
    // SAFETY: dqblk is plain integers, for which zero is a valid value.
    unsafe { std::mem::zeroed() }
}

pub(crate) fn account(folder: BorrowedFd<'_>, project: u32) -> io::Result<Account> {
    let mut found = block();
    // Q_GETQUOTA writes a dqblk.
    match quotactl(folder, libc::Q_GETQUOTA.cast_unsigned(), project, &mut found) {
        // XFS has no record of a project that nobody ever used.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(Account::default()),
        outcome => outcome?,
    }
    let limited = |limit: u64| (limit > 0).then_some(limit);
    Ok(Account {
        limit: Limit {
            bytes: limited(found.dqb_bhardlimit).map(|pieces| pieces.saturating_mul(PIECE)),
            inodes: limited(found.dqb_ihardlimit),
        },
        bytes: found.dqb_curspace,
        inodes: found.dqb_curinodes,
    })
}

pub(crate) fn set_limit(folder: BorrowedFd<'_>, project: u32, limit: Limit) -> io::Result<()> {
    let mut wanted = block();
    // Zero would mean no limit.
    wanted.dqb_bhardlimit = limit.bytes.map_or(0, |bytes| (bytes / PIECE).max(1));
    wanted.dqb_ihardlimit = limit.inodes.map_or(0, |inodes| inodes.max(1));
    wanted.dqb_valid = libc::QIF_LIMITS;
    // Q_SETQUOTA reads a dqblk.
    quotactl(folder, libc::Q_SETQUOTA.cast_unsigned(), project, &mut wanted)
}

pub(crate) fn is_enforced(folder: BorrowedFd<'_>) -> io::Result<bool> {
    // Q_XGETQSTATV wants a version in the first byte, and writes less than these 256 bytes; the flags are the third and fourth.
    let mut state = [0_u64; 32];
    let [first, ..] = &mut state;
    *first = u64::from_ne_bytes([FS_QSTATV_VERSION1, 0, 0, 0, 0, 0, 0, 0]);
    quotactl(folder, Q_XGETQSTATV, 0, &mut state)?;
    let [first, ..] = state;
    let [_, _, low, high, ..] = first.to_ne_bytes();
    Ok(u16::from_ne_bytes([low, high]) & FS_QUOTA_PDQ_ENFD != 0)
}

/// A file in a folder that has no name and is gone when it is closed.
pub(crate) fn unnamed(folder: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(openat(folder, ".", OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)?)
}

/// Writes two blocks as somebody whom limits bind: who may raise them is exempt, so this thread does without that for a moment.
/// The outer result is that of putting the privilege down.
pub(crate) fn write_unprivileged(file: &OwnedFd) -> io::Result<io::Result<()>> {
    let own = capabilities(None)?;
    let effective = own.effective - CapabilitySet::SYS_RESOURCE;
    set_capabilities(None, CapabilitySets { effective, ..own })?;
    let written = rustix::io::pwrite(file, &[1; 8192], 0);
    set_capabilities(None, own)?;
    Ok(match written {
        Ok(8192) => Ok(()),
        Ok(_) => Err(io::ErrorKind::QuotaExceeded.into()),
        Err(error) => Err(error.into()),
    })
}

/// Whether this process is refused to change a tag before anybody looks at the file. For the self-test.
pub(crate) fn is_refused() -> bool {
    let Ok(null) = std::fs::File::open("/dev/null") else { return false };
    let wanted = FileAttributes::default();
    // SAFETY: as in `set_tag`.
    let done = unsafe { libc::ioctl(null.as_raw_fd(), FS_IOC_FSSETXATTR as _, &raw const wanted) };
    // The device itself would answer ENOTTY.
    done == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}
