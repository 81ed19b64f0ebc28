//! A folder of the unit's own where there is no private `/tmp`. The first process of the unit holds its lock and takes it away;
//! one whose first process was killed is taken away by the next unit of the same user.

use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};

use crate::error::{At as _, LaunchError, Stage};

/// Younger ones may be about to be locked.
const AGE: Duration = Duration::from_secs(60);

/// Makes one. Its name is new or the launch fails. Who holds the descriptor owns the folder.
pub(crate) fn make() -> Result<(PathBuf, OwnedFd), LaunchError> {
    let parent = std::env::temp_dir();
    sweep(&parent, AGE);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let path = parent.join(format!("creel-{}-{now:x}", std::process::id()));
    let failed = || format!("The scratch folder {} cannot be made", path.display());
    std::fs::DirBuilder::new().mode(0o700).create(&path).at(Stage::Root, failed)?;
    let lock = open(&path).and_then(|folder| {
        flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
        Ok(folder)
    });
    let lock = lock.at(Stage::Root, failed)?;
    Ok((path, lock))
}

fn open(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty())
}

/// Removes what nobody holds any more.
fn sweep(parent: &Path, age: Duration) {
    let own = rustix::process::geteuid().as_raw();
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.to_str().is_some_and(is_scratch) {
            continue;
        }
        let Ok(meta) = entry.metadata() else { continue };
        let old = meta.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|passed| passed >= age);
        if !meta.is_dir() || meta.uid() != own || !old {
            continue;
        }
        let path = entry.path();
        let held = open(&path).and_then(|folder| flock(folder, FlockOperation::NonBlockingLockExclusive));
        if held.is_ok() {
            // Best effort: the next launch tries again.
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

fn is_scratch(name: &str) -> bool {
    let parts = name.strip_prefix("creel-").and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(pid, time)| pid.parse::<u32>().is_ok() && u128::from_str_radix(time, 16).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_holds_is_taken_away_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["creel-1-18ea", "creel-2-18eb", "creel-redteam-1", "creel-3-nothex!", "other"];
        for name in names {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        std::fs::write(dir.path().join("creel-1-18ea/file"), "x").unwrap();
        std::os::unix::fs::symlink("/usr", dir.path().join("creel-4-18ec")).unwrap();
        let held = open(&dir.path().join("creel-2-18eb")).unwrap();
        flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
        sweep(dir.path(), AGE);
        assert!(dir.path().join("creel-1-18ea").exists(), "it is new");
        sweep(dir.path(), Duration::ZERO);
        let mut left: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["creel-2-18eb", "creel-3-nothex!", "creel-4-18ec", "creel-redteam-1", "other"]);
    }
}
