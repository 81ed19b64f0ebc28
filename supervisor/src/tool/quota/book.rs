//! Which number belongs to which folder, kept in the state folder: a file system can be asked what a number may take, not where its
//! files are.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use creel_config::disk;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// The first number of all.
const FIRST: u32 = 2_000_000_000;
/// How many state folders have numbers of their own on one machine.
const PLACES: u32 = 2000;
/// How many folders one state folder can ever have had.
const ROOM: u32 = 1_000_000;

/// The numbers of one state folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// The first of them, which is for probes.
    pub(super) first: u32,
    next: u32,
    pub(super) folders: BTreeMap<PathBuf, Entry>,
}

/// A folder with a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) project: u32,
    pub(super) device: u64,
    pub(super) inode: u64,
    /// Whether everything in it carries the number.
    pub(super) ready: bool,
    /// Whether it has limits only while a `creel sandbox exec` goes on in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) passing: bool,
}

impl Page {
    /// The page of a state folder as it is.
    pub(super) fn read(state: &Path) -> io::Result<Self> {
        let path = file(state);
        let unclear =
            |why: String| io::Error::other(format!("{} cannot be understood: {why}", path.display()));
        let page = match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str::<Self>(&text).map_err(|error| unclear(error.to_string()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let id = fs::metadata(state)?;
                Self::new(first_of(id.dev(), id.ino()))
            }
            Err(error) => return Err(io::Error::other(format!("{}: {error}", path.display()))),
        };
        page.check().map_err(unclear)?;
        Ok(page)
    }

    /// Changes the page; nobody else does meanwhile.
    pub(super) fn change<T>(state: &Path, change: impl FnOnce(&mut Self) -> T) -> io::Result<T> {
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(state.join("projects.lock"))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        let before = Self::read(state)?;
        let mut page = before.clone();
        let outcome = change(&mut page);
        if page != before {
            disk::replace(&file(state), &serde_json::to_string_pretty(&page)?)?;
        }
        Ok(outcome)
    }

    fn new(first: u32) -> Self {
        Self { first, next: first + 1, folders: BTreeMap::new() }
    }

    /// Whether a number is one of ours, for folders.
    pub(super) fn is_ours(&self, project: u32) -> bool {
        project > self.first && project - self.first < ROOM
    }

    /// A number that no folder has and that `unused` says nobody uses. None is given twice.
    pub(super) fn give(&mut self, mut unused: impl FnMut(u32) -> bool) -> Option<u32> {
        while self.is_ours(self.next) {
            let project = self.next;
            self.next += 1;
            if self.folders.values().all(|entry| entry.project != project) && unused(project) {
                return Some(project);
            }
        }
        None
    }

    /// A folder with a number that is in `folder`, or that `folder` is in.
    pub(super) fn nested(&self, folder: &Path) -> Option<&Path> {
        let mut others = self.folders.keys().map(PathBuf::as_path);
        others.find(|other| *other != folder && (other.starts_with(folder) || folder.starts_with(other)))
    }

    fn check(&self) -> Result<(), String> {
        if !(FIRST..FIRST + PLACES * ROOM).contains(&self.first) || !(self.first - FIRST).is_multiple_of(ROOM)
        {
            return Err(format!("{} is no first number of ours", self.first));
        }
        match self.folders.iter().find(|(_, entry)| !self.is_ours(entry.project)) {
            Some((folder, entry)) => {
                Err(format!("{} of {} is none of ours", entry.project, folder.display()))
            }
            None => Ok(()),
        }
    }
}

/// Which state folder a number belongs to, of those that can be ours.
pub(super) fn place(project: u32) -> Option<u32> {
    project.checked_sub(FIRST).map(|above| above / ROOM)
}

/// The file.
pub(super) fn file(state: &Path) -> PathBuf {
    state.join("projects.json")
}

/// Folders of one machine differ in one of the two.
fn first_of(device: u64, inode: u64) -> u32 {
    let mixed = (device.rotate_left(32) ^ inode).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    FIRST + u32::try_from(mixed % u64::from(PLACES)).unwrap_or(0) * ROOM
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(project: u32) -> Entry {
        Entry { project, device: 1, inode: 2, ready: true, passing: false }
    }

    #[test]
    fn a_number_is_given_once_and_never_one_that_somebody_uses() {
        let dir = tempfile::tempdir().unwrap();
        let give = |unused: fn(u32) -> bool| {
            let given = Page::change(dir.path(), |page| {
                let project = page.give(unused)?;
                page.folders.insert(format!("/w{project}").into(), entry(project));
                Some(project - page.first)
            });
            given.unwrap().unwrap()
        };
        assert_eq!([give(|_| true), give(|_| true)], [1, 2]);
        assert_eq!(give(|project| project % 10 == 7), 7);
        // Also when its folder is gone.
        Page::change(dir.path(), |page| page.folders.clear()).unwrap();
        assert_eq!(give(|_| true), 8);
        assert_eq!(fs::metadata(file(dir.path())).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn numbers_end_and_do_not_become_those_of_another_place() {
        let mut page = Page::new(FIRST + ROOM);
        page.next = page.first + ROOM - 1;
        assert_eq!(page.give(|_| true), Some(FIRST + 2 * ROOM - 1));
        assert_eq!(page.give(|_| true), None);
        assert!(FIRST.checked_add(PLACES * ROOM).is_some());
        assert!(!page.is_ours(0) && !page.is_ours(page.first) && page.is_ours(page.first + 1));
    }

    #[test]
    fn folders_in_each_other_are_found() {
        let mut page = Page::new(FIRST);
        page.folders.insert("/a/b".into(), entry(FIRST + 1));
        for (folder, nested) in [("/a", true), ("/a/b", false), ("/a/b/c", true), ("/a/bc", false)] {
            assert_eq!(page.nested(folder.as_ref()).is_some(), nested, "{folder}");
        }
    }

    #[test]
    fn a_file_that_was_tampered_with_gives_no_numbers() {
        let dir = tempfile::tempdir().unwrap();
        for text in [
            "{",
            r#"{"first": 0, "next": 1, "folders": {}}"#,
            r#"{"first": 2000000000, "next": 2000000001, "folders": {"/a": {"project": 0, "device": 1, "inode": 1, "ready": true}}}"#,
        ] {
            fs::write(file(dir.path()), text).unwrap();
            let error = Page::read(dir.path()).unwrap_err().to_string();
            assert!(error.contains("projects.json"), "{text}: {error}");
        }
    }
}
