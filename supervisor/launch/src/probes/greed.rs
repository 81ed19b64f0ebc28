//! What the probes use up: each limit is hit for real, and given back.

use std::fs::File;
use std::io::{self, Error, Write as _};
use std::path::Path;

use super::{Aim, Probe, forbidden};

pub(super) fn all(aim: &Aim) -> Vec<Probe> {
    let limit = |deed: &str, wall: &str, outcome| forbidden("limits", deed, wall, outcome);
    let mut all = vec![
        limit("use more memory than it may", "rlimit data", memory(aim.memory)),
        limit("write a larger file than it may", "rlimit fsize", large_file(aim)),
        limit("open more files than it may", "rlimit nofile", many_files(aim.files)),
        limit("fork without end", "rlimit nproc", fork_without_end(aim.pids)),
    ];
    if aim.namespaces {
        all.push(limit("fill /tmp", "size of the tmpfs", fill_folder("/tmp".as_ref(), aim.tmp)));
    }
    all
}

fn memory(limit: u64) -> io::Result<()> {
    let length = usize::try_from(limit).unwrap_or(usize::MAX / 2).saturating_add(1 << 20);
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping at an address of the kernel's choice; nothing is touched.
    let mapped = unsafe { libc::mmap(std::ptr::null_mut(), length, access, kind, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return Err(Error::last_os_error());
    }
    // SAFETY: the mapping just made, by its own length.
    unsafe { libc::munmap(mapped, length) };
    Ok(())
}

fn large_file(aim: &Aim) -> io::Result<()> {
    // SAFETY: takes no pointers; the signal would end the probe before it can tell.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let path = Path::new(&aim.workspace).join("large");
    let outcome = fill(&path, aim.file);
    let _ = std::fs::remove_file(path);
    outcome
}

/// Writes a little more than `bytes`.
fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let block = [1; 1 << 16];
    let outcome = (0..=bytes >> 16).try_for_each(|_| file.write_all(&block));
    let _ = file.set_len(0);
    outcome
}

/// The same in files of 512 KiB.
fn fill_folder(folder: &Path, bytes: u64) -> io::Result<()> {
    let paths: Vec<_> = (0..=bytes >> 19).map(|number| folder.join(format!("fill-{number}"))).collect();
    let block = vec![1; 1 << 19];
    let outcome = paths.iter().try_for_each(|path| std::fs::write(path, &block));
    for path in paths {
        let _ = std::fs::remove_file(path);
    }
    outcome
}

fn many_files(limit: u64) -> io::Result<()> {
    let mut held = Vec::new();
    for _ in 0..=limit {
        held.push(File::open("/dev/null")?);
    }
    Ok(())
}

fn fork_without_end(limit: u64) -> io::Result<()> {
    let mut children = Vec::new();
    let mut outcome = Ok(());
    for _ in 0..=limit {
        // SAFETY: this process has one thread at this point; the child only waits to be killed.
        match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: takes no pointers.
                unsafe { libc::pause() };
            },
            child if child > 0 => children.push(child),
            _ => {
                outcome = Err(Error::last_os_error());
                break;
            }
        }
    }
    for child in children {
        // SAFETY: our own child, not yet waited for; a null status pointer is allowed.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
    }
    outcome
}
