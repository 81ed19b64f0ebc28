//! Takes a folder away, whatever is in it: links are not followed, nobody is locked out, and no depth is too deep. A folder
//! that is found inside is brought to the top before it is looked into, so that two open folders are enough.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, RenameFlags, chmodat, openat, renameat_with, unlinkat};
use rustix::io::Errno;

/// Names that are read at once: a folder that shrinks while it is read may show one twice or not at all.
const HEAP: usize = 256;

/// Takes a folder away. One that is not there is gone already.
///
/// # Errors
/// What the system said.
pub(super) fn clear(path: &Path) -> io::Result<()> {
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = match openat(CWD, path, folder, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    let mut numbers = 0;
    loop {
        let names = heap(&top)?;
        if names.is_empty() {
            return Ok(unlinkat(CWD, path, AtFlags::REMOVEDIR)?);
        }
        for name in names {
            if is_gone(&top, &name)? {
                continue;
            }
            let inner = unlocked(&top, &name)?;
            loop {
                let names = heap(&inner)?;
                if names.is_empty() {
                    break;
                }
                for name in names {
                    if !is_gone(&inner, &name)? {
                        // To be moved, a folder must be its owner's to write.
                        drop(unlocked(&inner, &name)?);
                        bring_up(&inner, &name, &top, &mut numbers)?;
                    }
                }
            }
            unlinkat(&top, name.as_c_str(), AtFlags::REMOVEDIR)?;
        }
    }
}

fn heap(folder: &OwnedFd) -> io::Result<Vec<std::ffi::CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
        if names.len() >= HEAP {
            break;
        }
    }
    Ok(names)
}

/// Takes away what is no folder; `false` for one.
fn is_gone(at: &OwnedFd, name: &CStr) -> io::Result<bool> {
    match unlinkat(at, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR | Errno::PERM) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Opens a folder, also one that its owner locked itself out of.
fn unlocked(at: &OwnedFd, name: &CStr) -> io::Result<OwnedFd> {
    let folder = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let known = openat(at, name, folder | OFlags::PATH, Mode::empty())?;
    let itself = format!("/proc/self/fd/{}", known.as_raw_fd());
    chmodat(CWD, itself, Mode::from_raw_mode(0o700), AtFlags::empty())?;
    Ok(openat(at, name, folder | OFlags::RDONLY, Mode::empty())?)
}

fn bring_up(from: &OwnedFd, name: &CStr, top: &OwnedFd, numbers: &mut u64) -> io::Result<()> {
    loop {
        *numbers += 1;
        match renameat_with(from, name, top, format!(".up-{numbers}"), RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            moved => return Ok(moved?),
        }
    }
}
