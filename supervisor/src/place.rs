//! The folders of a home, and the lock that makes this supervisor the only one in it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use creel_config::{Env, Paths};
use rustix::fs::{FlockOperation, flock};

/// Why this supervisor cannot take its place.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Another supervisor runs in this home.
    #[error(
        "Another supervisor{owner} already runs here: it holds {lock}. Use `creel status` to look at it or `creel stop` to end it."
    )]
    Taken {
        /// ` (pid 123)`, when the lock says so.
        owner: String,
        /// The lock file.
        lock: PathBuf,
    },
    /// A folder cannot be made or used.
    #[error(
        "The folder {path} cannot be used: {error}. Make it writable for this user, or name another with {variable}."
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
        /// The variable that moves it.
        variable: &'static str,
    },
}

/// A lock; released by the kernel when the process ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Takes the lock of the runtime folder and that of the home: somebody may clean the first away or name another, and
/// still there must be one supervisor for one state.
///
/// # Errors
/// When another process holds one of them.
pub fn take_locks(paths: &Paths) -> Result<[Lock; 2], PlaceError> {
    Ok([Lock::take(paths.lock())?, Lock::take(paths.state().join("supervisor.lock"))?])
}

/// Who may reach the control socket, besides root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The user that the supervisor runs as.
    Owner,
    /// Also members of its group, who may look and change nothing: the kernel lets nobody else to the socket.
    Group,
}

impl Audience {
    /// The variable that a service of the machine sets.
    const VARIABLE: &'static str = "CREEL_SHARED";

    /// What the environment says; the owner alone when it says nothing.
    pub fn from_env(env: &Env) -> Self {
        let shared = env.get(Self::VARIABLE).is_some_and(|value| value == "1");
        if shared { Self::Group } else { Self::Owner }
    }

    /// The mode of the runtime folder.
    fn folder(self) -> u32 {
        match self {
            Self::Owner => 0o700,
            Self::Group => 0o750,
        }
    }

    /// The mode of the control socket; to connect is to write.
    pub fn socket(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Group => 0o660,
        }
    }
}

/// Makes the folders that are not there, with mode 0700; the runtime folder as its audience demands.
///
/// # Errors
/// A folder that cannot be made.
pub fn make_folders(paths: &Paths, audience: Audience) -> Result<(), PlaceError> {
    let home = [paths.home.clone(), paths.state(), paths.logs()];
    for path in home {
        private(&path).map_err(|error| PlaceError::Folder { path, error, variable: "CREEL_HOME" })?;
    }
    let path = paths.runtime.clone();
    runtime(&path, audience).map_err(|error| PlaceError::Folder {
        path,
        error,
        variable: "CREEL_RUNTIME_DIR",
    })
}

/// Makes the folder of the control socket, or gives it the mode it must have.
pub fn runtime(path: &Path, audience: Audience) -> io::Result<()> {
    private(path)?;
    tighten(path, audience.folder())
}

/// Makes one folder with mode 0700 if it is not there.
pub fn private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The same for a folder that a unit may write, which must be what its name says: a link could show the unit any
/// folder of the machine.
///
/// # Errors
/// A folder that cannot be made, or a link in its place.
pub fn granted(path: &Path) -> io::Result<()> {
    if path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()) {
        let target = std::fs::read_link(path).unwrap_or_default();
        return Err(io::Error::other(format!(
            "{} is a symbolic link to {}; put a folder in its place, or name the folder itself in the configuration",
            path.display(),
            target.display()
        )));
    }
    private(path)
}

/// The control socket's folder is nobody else's, whoever may pass through it.
fn tighten(path: &Path, mode: u32) -> io::Result<()> {
    let metadata = std::fs::metadata(path)?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!("it belongs to uid {}", metadata.uid())));
    }
    if metadata.mode() & 0o7777 != mode {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode))?;
    }
    Ok(())
}

impl Lock {
    /// A lock that the program before this one took; it was never free.
    pub fn resume(file: OwnedFd) -> Self {
        Self { file: file.into() }
    }

    /// The locked file.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Takes the lock. What the file says of its owner only informs; the kernel's lock decides.
    ///
    /// # Errors
    /// When another process holds it.
    pub fn take(path: PathBuf) -> Result<Self, PlaceError> {
        let folder = |error| PlaceError::Folder { path: path.clone(), error, variable: "CREEL_RUNTIME_DIR" };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(folder)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let _unreadable = (&file).take(32).read_to_string(&mut text);
                let owner = text.trim().parse::<u32>().map(|pid| format!(" (pid {pid})")).unwrap_or_default();
                return Err(PlaceError::Taken { owner, lock: path });
            }
            Err(error) => return Err(folder(error.into())),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(folder)?;
        Ok(Self { file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_no_folder_for_a_unit() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("workspace");
        std::os::unix::fs::symlink("/nowhere", &link).unwrap();
        let error = granted(&link).unwrap_err().to_string();
        assert!(error.contains("symbolic link to /nowhere") && error.contains("workspace"), "{error}");
        granted(&dir.path().join("real/folder")).unwrap();
        granted(&dir.path().join("real")).unwrap();
    }

    #[test]
    fn the_runtime_folder_is_as_open_as_its_audience() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        for (audience, mode) in [(Audience::Owner, 0o700), (Audience::Group, 0o750), (Audience::Owner, 0o700)]
        {
            runtime(&path, audience).unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, mode);
        }
        let env = |value: &str| Env::from([("CREEL_SHARED".to_owned(), value.to_owned())]);
        assert_eq!(Audience::from_env(&env("1")), Audience::Group);
        assert_eq!(Audience::from_env(&env("")), Audience::Owner);
    }

    #[test]
    fn the_second_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("creel.lock");
        std::fs::write(&path, "999999999 left by somebody long dead").unwrap();
        let first = Lock::take(path.clone()).unwrap();
        let error = Lock::take(path.clone()).unwrap_err();
        assert!(error.to_string().contains(&format!("(pid {})", std::process::id())), "{error}");
        drop(first);
        Lock::take(path).unwrap();
    }
}
