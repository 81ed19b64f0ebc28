//! A small file system under the home, that can be filled and freed.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statvfs::statvfs;

/// Room for a home at rest, its logs, and a write-ahead log that grew.
const SIZE: &str = "size=48m,mode=0700";
const CHUNK: usize = 64 * 1024;

/// Gives this process mounts of its own, which are gone with it. Before any thread is started.
///
/// # Errors
/// For everybody but root, loudly: nothing is measured then.
pub(crate) fn own_mounts() -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "NOT MEASURED HERE: the scenario `diskfull` mounts a small file system, and only root may"
    );
    unshare(CloneFlags::CLONE_NEWNS).context("NOT MEASURED HERE: this process gets no mounts of its own")?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .context("NOT MEASURED HERE: mounts cannot be kept from the rest of the machine")
}

/// The mounted file system. Unmounted when it is dropped.
#[derive(Debug)]
pub(crate) struct Disk {
    at: PathBuf,
    /// What takes the room.
    ballast: Mutex<Option<File>>,
}

impl Disk {
    /// Mounts it over a folder and keeps what one file of it says.
    pub(crate) fn under(at: &Path, keep: &Path) -> Result<Self> {
        let kept = std::fs::read(keep)?;
        mount(Some("creel-chaos"), at, Some("tmpfs"), MsFlags::empty(), Some(SIZE))
            .with_context(|| format!("a small file system cannot be mounted at {}", at.display()))?;
        let disk = Self { at: at.to_owned(), ballast: Mutex::default() };
        std::fs::write(keep, kept)?;
        Ok(disk)
    }

    /// Takes all room but so much; again and again while it is full, because others give some back.
    pub(crate) fn fill(&self, leave_kib: u64) -> Result<()> {
        let mut ballast = self.ballast.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if ballast.is_none() {
            *ballast = Some(File::options().create(true).append(true).open(self.ballast_path())?);
        }
        let Some(file) = ballast.as_mut() else { return Ok(()) };
        let zeros = vec![0; CHUNK];
        loop {
            let stat = statvfs(&self.at)?;
            let free = stat.blocks_available() as u64 * stat.fragment_size() as u64;
            let over = usize::try_from(free.saturating_sub(leave_kib * 1024)).unwrap_or(CHUNK).min(CHUNK);
            if over == 0 || file.write_all(&zeros[..over]).is_err() {
                return Ok(());
            }
        }
    }

    /// Gives the room back.
    pub(crate) fn free(&self) -> Result<()> {
        self.ballast.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        Ok(std::fs::remove_file(self.ballast_path())?)
    }

    fn ballast_path(&self) -> PathBuf {
        self.at.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // At the latest it goes with the mounts of this process.
        let _gone = umount2(&self.at, MntFlags::MNT_DETACH);
    }
}
