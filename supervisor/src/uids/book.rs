//! Which number belongs to which unit, kept in the state folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use creel_config::disk;
use serde::{Deserialize, Serialize};

/// The first number of all.
pub const FIRST: u32 = 1_900_000_000;
/// The last number of all.
pub const LAST: u32 = FIRST + PLACES * ROOM - 1;

/// How many state folders have numbers of their own on one machine.
const PLACES: u32 = 2000;
/// How many units one state folder can ever have had.
const ROOM: u32 = 1000;

/// The numbers of one state folder.
#[derive(Debug)]
pub struct Book {
    path: PathBuf,
    page: Page,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    first: u32,
    units: BTreeMap<String, u32>,
}

impl Book {
    /// The file of a state folder.
    pub fn path(state: &Path) -> PathBuf {
        state.join("uids.json")
    }

    /// Reads it; a new one where there is none.
    ///
    /// # Errors
    /// When it cannot be read or understood. Then no number is given to anybody: it might be another's.
    pub fn open(state: &Path) -> io::Result<Self> {
        let path = Self::path(state);
        let page = match fs::read_to_string(&path) {
            Ok(text) => Page::read(&text).map_err(|why| {
                io::Error::other(format!("{} cannot be understood: {why}; bring it back", path.display()))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let id = fs::metadata(state)?;
                Page { first: first_of(id.dev(), id.ino()), units: BTreeMap::new() }
            }
            Err(error) => return Err(io::Error::other(format!("{}: {error}", path.display()))),
        };
        Ok(Self { path, page })
    }

    /// The number of a unit. A new one is on disk before anybody becomes it.
    ///
    /// # Errors
    /// When it cannot be kept, or there is none left.
    pub fn of(&mut self, unit: &str) -> io::Result<u32> {
        if let Some(id) = self.page.units.get(unit) {
            return Ok(*id);
        }
        let mut page = self.page.clone();
        let id = page.give(unit).ok_or_else(|| {
            io::Error::other(format!(
                "{} has no user id left for {unit}; take lines of units out whose files are gone",
                self.path.display()
            ))
        })?;
        disk::replace(&self.path, &serde_json::to_string_pretty(&page)?)?;
        self.page = page;
        Ok(id)
    }

    /// Unit and number of all that ever had one.
    pub fn all(&self) -> impl Iterator<Item = (&str, u32)> {
        self.page.units.iter().map(|(unit, id)| (unit.as_str(), *id))
    }

    /// Whether a process can become these users at all: a container may have fewer.
    pub fn is_mapped(&self) -> bool {
        ["/proc/self/uid_map", "/proc/self/gid_map"].iter().all(|map| {
            let text = fs::read_to_string(map).unwrap_or_default();
            covers(&text, self.page.first, self.page.first + ROOM)
        })
    }
}

impl Page {
    fn read(text: &str) -> Result<Self, String> {
        let page: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let room = page.first..page.first.saturating_add(ROOM);
        let mut seen = std::collections::BTreeSet::new();
        if !(FIRST..=LAST + 1 - ROOM).contains(&page.first) {
            return Err(format!("{} is no first number of ours", page.first));
        }
        match page.units.iter().find(|(_, id)| !room.contains(id) || !seen.insert(**id)) {
            Some((unit, id)) => Err(format!("{id} of {unit} is another's, or none of ours")),
            None => Ok(page),
        }
    }

    fn give(&mut self, unit: &str) -> Option<u32> {
        let taken: std::collections::BTreeSet<u32> = self.units.values().copied().collect();
        let id = (self.first..self.first + ROOM).find(|id| !taken.contains(id))?;
        self.units.insert(unit.to_owned(), id);
        Some(id)
    }
}

/// Folders of one machine differ in one of the two.
fn first_of(device: u64, inode: u64) -> u32 {
    let mixed = (device.rotate_left(32) ^ inode).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let place = u32::try_from(mixed % u64::from(PLACES)).unwrap_or(0);
    FIRST + place * ROOM
}

/// Whether one line of an id map holds all of `from..to`.
fn covers(map: &str, from: u32, to: u32) -> bool {
    map.lines().any(|line| {
        let mut words = line.split_whitespace().map(|word| word.parse::<u64>().unwrap_or(0));
        let (Some(inside), Some(_), Some(count)) = (words.next(), words.next(), words.next()) else {
            return false;
        };
        inside <= u64::from(from) && u64::from(to) <= inside + count
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_keeps_its_number_and_nobody_gets_that_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let mut book = Book::open(dir.path()).unwrap();
        let (main, other) = (book.of("agent:main").unwrap(), book.of("agent:other").unwrap());
        assert_ne!(main, other);
        assert!((FIRST..=LAST).contains(&main) && (FIRST..=LAST).contains(&other));
        let mut again = Book::open(dir.path()).unwrap();
        assert_eq!((again.of("agent:other").unwrap(), again.of("agent:main").unwrap()), (other, main));
        assert!(![main, other].contains(&again.of("channel:irc:a").unwrap()));
        let mode = fs::metadata(Book::path(dir.path())).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn numbers_end_with_a_sentence_and_not_with_those_of_another_place() {
        let mut page = Page { first: FIRST, units: BTreeMap::new() };
        for number in 0..ROOM {
            assert!(page.give(&number.to_string()).is_some_and(|id| id < FIRST + ROOM));
        }
        assert_eq!(page.give("one more"), None);
    }

    #[test]
    fn a_file_that_was_tampered_with_gives_no_numbers() {
        let dir = tempfile::tempdir().unwrap();
        for text in [
            "{",
            r#"{"first": 0, "units": {}}"#,
            r#"{"first": 1900000000, "units": {"agent:a": 0}}"#,
            r#"{"first": 1900000000, "units": {"agent:a": 1900000001, "agent:b": 1900000001}}"#,
        ] {
            fs::write(Book::path(dir.path()), text).unwrap();
            let error = Book::open(dir.path()).unwrap_err().to_string();
            assert!(error.contains("uids.json"), "{text}: {error}");
        }
    }

    #[test]
    fn a_container_with_few_ids_is_recognised() {
        let all = "         0          0 4294967295\n";
        assert!(covers(all, FIRST, FIRST + ROOM) && covers(all, LAST + 1 - ROOM, LAST + 1));
        assert!(!covers("0 1000 1\n1 100000 65536\n", FIRST, FIRST + ROOM));
        assert!(!covers("", FIRST, FIRST + ROOM));
    }
}
