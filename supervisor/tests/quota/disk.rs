//! A file system of its own for one test.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::home::not_measured;
use creel_launch::quota::{self, Account, Tag};

/// A mounted file system, in which all homes are made; it goes with the value. There is one at a time, always at the same place, for
/// a process has one folder for such things.
pub(crate) struct Disk {
    at: PathBuf,
    _only: MutexGuard<'static, ()>,
}

static ONLY: Mutex<()> = Mutex::new(());

/// Where files with file systems are found that this machine cannot make itself.
const MADE: &str = "CREEL_TEST_DISKS";

impl Disk {
    /// Mounts one of this kind with these options. When it cannot be, that is said.
    pub(crate) fn mount(kind: &str, options: &str) -> Option<Self> {
        let outcome = Self::try_mount(kind, options);
        outcome.inspect_err(|why| not_measured(&format!("project quota of {kind}: {why}"))).ok()
    }

    fn try_mount(kind: &str, options: &str) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root mounts file systems".to_owned());
        }
        let only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
        let at = PathBuf::from(format!("/var/tmp/creel-disk-{}", std::process::id()));
        std::fs::create_dir_all(&at).unwrap();
        let file = at.with_extension("img");
        let made = make(kind, &file);
        let mounted = made
            .and_then(|()| said(Command::new("mount").args(["-t", kind, "-o", options]).arg(&file).arg(&at)));
        // The mount has it open.
        let _none = std::fs::remove_file(&file);
        if let Err(why) = mounted {
            std::fs::remove_dir(&at).unwrap();
            return Err(why);
        }
        std::fs::set_permissions(&at, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let _again = tempfile::env::override_temp_dir(&at);
        Ok(Self { at, _only: only })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _told = said(Command::new("umount").arg("-l").arg(&self.at));
        let _mounted_still = std::fs::remove_dir(&self.at);
    }
}

fn make(kind: &str, file: &Path) -> Result<(), String> {
    if let Some(folder) = std::env::var_os(MADE).map(PathBuf::from)
        && folder.join(kind).exists()
    {
        return std::fs::copy(folder.join(kind), file).map(drop).map_err(|error| error.to_string());
    }
    std::fs::File::create(file)
        .and_then(|made| made.set_len(320 << 20))
        .map_err(|error| error.to_string())?;
    match kind {
        "ext4" => said(
            Command::new("mke2fs")
                .args(["-q", "-t", "ext4", "-O", "quota,project", "-E", "quotatype=prjquota"])
                .arg(file),
        ),
        _ => said(Command::new(format!("mkfs.{kind}")).arg("-q").arg(file)),
    }
}

fn said(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(told.lines().next().unwrap_or_default().to_owned()) }
}

/// What a file carries.
pub(crate) fn tag(path: &Path) -> Tag {
    quota::tag(std::fs::File::open(path).unwrap().as_fd()).unwrap()
}

/// Makes a file carry something.
pub(crate) fn set_tag(path: &Path, project: u32) {
    let tag = Tag { project, inherits: path.is_dir() };
    quota::set_tag(std::fs::File::open(path).unwrap().as_fd(), tag).unwrap();
}

/// What the file system of a folder knows of a project.
pub(crate) fn account(folder: &Path, project: u32) -> Account {
    quota::account(std::fs::File::open(folder).unwrap().as_fd(), project).unwrap()
}
