//! A log file that is only appended to and turned over by size.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::unit::At;

/// How long to leave a file alone that could not be opened or written, and how often to look whether the file that is
/// open is still the one in the folder.
const RETRY: Duration = Duration::from_secs(1);

/// One file and its older generations `<name>.1`, `<name>.2` …
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    max_bytes: u64,
    keep: u32,
    /// Whether a line in the file tells of lines that the disk did not take.
    tells: bool,
    open: Option<(File, u64)>,
    retry_at: At,
    looked_at: At,
    /// Lines that the disk did not take.
    lost: u64,
    /// Those of them that no line in the file tells of yet.
    untold: u64,
}

impl LogFile {
    /// A file that is opened with its first line.
    pub fn new(path: PathBuf, max_bytes: u64, keep: u32) -> Self {
        Self {
            path,
            max_bytes,
            keep,
            tells: true,
            open: None,
            retry_at: At::ZERO,
            looked_at: At::ZERO,
            lost: 0,
            untold: 0,
        }
    }

    /// The same for a file in which a line of words would be out of place: [`Self::untold`] is told by its owner.
    pub fn without_words(path: PathBuf, max_bytes: u64, keep: u32) -> Self {
        Self { tells: false, ..Self::new(path, max_bytes, keep) }
    }

    /// New limits; they hold from the next line on.
    pub fn set_limits(&mut self, max_bytes: u64, keep: u32) {
        (self.max_bytes, self.keep) = (max_bytes, keep);
    }

    /// Appends whole lines. A disk that does not take them costs the lines, which are counted, and nothing else.
    pub fn append(&mut self, text: &[u8], lines: u64, now: At) {
        if let Err(_unwritten) = self.try_append(text, now) {
            self.open = None;
            self.lost += lines;
            self.untold += lines;
        }
    }

    /// Lines that the disk did not take so far.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// What was lost so far, and how much of it no line in the file tells of yet.
    pub fn losses(&self) -> (u64, u64) {
        (self.lost, self.untold)
    }

    /// Goes on with the losses of the program before this one.
    pub fn set_losses(&mut self, (lost, untold): (u64, u64)) {
        (self.lost, self.untold) = (lost, untold);
    }

    /// Those of them that came after the last line that was written.
    pub fn untold(&self) -> u64 {
        self.untold
    }

    fn try_append(&mut self, text: &[u8], now: At) -> io::Result<()> {
        let full = self
            .open
            .as_ref()
            .is_some_and(|(_, size)| *size > 0 && size + text.len() as u64 > self.max_bytes);
        if full {
            self.open = None;
            self.turn_over();
        }
        if now.saturating_sub(self.looked_at) >= RETRY {
            self.looked_at = now;
            self.let_go_if_gone();
        }
        if self.open.is_none() {
            if now < self.retry_at {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.retry_at = now + RETRY;
            self.open = Some(open(&self.path)?);
            self.retry_at = At::ZERO;
        }
        let Some((file, size)) = &mut self.open else { return Ok(()) };
        let note = match self.untold {
            lines if lines > 0 && self.tells => format!("[creel: {lines} lines could not be written here]\n"),
            _ => String::new(),
        };
        let outcome = file.write_all(note.as_bytes()).and_then(|()| file.write_all(text));
        if outcome.is_err() {
            self.retry_at = now + RETRY;
        }
        outcome?;
        self.untold = 0;
        *size += (note.len() + text.len()) as u64;
        Ok(())
    }

    /// Somebody may have removed or renamed the file, or the whole folder.
    fn let_go_if_gone(&mut self) {
        let Some((file, _)) = &self.open else { return };
        let id = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        if file.metadata().ok().map(id) != std::fs::symlink_metadata(&self.path).ok().map(id) {
            self.open = None;
        }
    }

    /// Renames away what is full; whatever cannot be renamed grows on.
    fn turn_over(&self) {
        for older in (1..self.keep.max(1)).rev() {
            let _absent = std::fs::rename(numbered(&self.path, older), numbered(&self.path, older + 1));
        }
        let _stays = std::fs::rename(&self.path, numbered(&self.path, 1));
    }
}

/// Opens for appending, in a folder that is made when it is gone. A line that was torn by a full disk or a lost machine is
/// ended first.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    let mut file = match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), crate::place::private)?;
            options.open(path)?
        }
        other => other?,
    };
    let size = file.metadata()?.len();
    let mut last = [b'\n'];
    if size > 0 {
        file.read_exact_at(&mut last, size - 1)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
        return Ok((file, size + 1));
    }
    Ok((file, size))
}

/// The name of an older generation.
pub fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// The log file's name of a unit.
pub fn file_name(unit: &str) -> String {
    plain(unit) + ".log"
}

/// The unit of a log file's name; `None` when it is no log file.
pub fn unit_name(file: &str) -> Option<String> {
    let mut rest = file.strip_suffix(".log")?;
    let mut name = Vec::new();
    while let Some(at) = rest.find('%') {
        let (plain, coded) = rest.split_at(at);
        name.extend_from_slice(plain.as_bytes());
        name.push(u8::from_str_radix(coded.get(1..3)?, 16).ok()?);
        rest = coded.get(3..)?;
    }
    name.extend_from_slice(rest.as_bytes());
    String::from_utf8(name).ok()
}

/// A unit's name as the name of a file: everything that is not plain becomes `%xx`.
pub fn plain(unit: &str) -> String {
    let mut name = String::with_capacity(unit.len() + 4);
    for byte in unit.bytes() {
        let plain =
            byte.is_ascii_alphanumeric() || b":_-".contains(&byte) || (byte == b'.' && !name.is_empty());
        if plain {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_folder() {
        assert_eq!(file_name("agent:main"), "agent:main.log");
        assert_eq!(file_name("../etc/x"), "%2e.%2fetc%2fx.log");
        for unit in ["agent:main", "../etc/x", "ä b%"] {
            assert_eq!(unit_name(&file_name(unit)).as_deref(), Some(unit));
        }
        assert_eq!((unit_name("a.txt"), unit_name("%2.log")), (None, None));
    }

    #[test]
    fn a_full_file_is_renamed_and_nothing_is_truncated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut file = LogFile::new(path.clone(), 10, 2);
        for text in ["one\n", "two\n", "three\n", "four\n", "five\n", "six\n"] {
            file.append(text.as_bytes(), 1, At::ZERO);
        }
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
        assert_eq!(read("a.log"), "six\n");
        assert_eq!(read("a.log.1"), "four\nfive\n");
        assert_eq!(read("a.log.2"), "three\n");
        let mut again = LogFile::new(path, 100, 2);
        again.append(b"after a restart\n", 1, At::ZERO);
        assert_eq!(read("a.log"), "six\nafter a restart\n");
    }

    #[test]
    fn a_folder_that_cannot_be_used_costs_lines_until_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("logs");
        std::fs::write(&folder, "in the way").unwrap();
        let mut file = LogFile::new(folder.join("a.log"), 100, 2);
        file.append(b"lost\n", 1, At::ZERO);
        std::fs::remove_file(&folder).unwrap();
        file.append(b"too early\n", 1, Duration::from_millis(10));
        file.append(b"kept\n", 1, Duration::from_secs(2));
        assert_eq!(file.lost(), 2);
        let told = "[creel: 2 lines could not be written here]\nkept\n";
        assert_eq!(std::fs::read_to_string(folder.join("a.log")).unwrap(), told);
    }

    #[test]
    fn a_folder_that_somebody_cleaned_away_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/a.log");
        let mut file = LogFile::new(path.clone(), 100, 2);
        file.append(b"before\n", 1, At::ZERO);
        std::fs::remove_dir_all(dir.path().join("logs")).unwrap();
        file.append(b"after\n", 1, Duration::from_secs(2));
        assert_eq!((std::fs::read_to_string(path).unwrap().as_str(), file.lost()), ("after\n", 0));
    }

    #[test]
    fn a_torn_line_does_not_spoil_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        std::fs::write(&path, "whole\nto").unwrap();
        LogFile::without_words(path.clone(), 100, 2).append(b"next\n", 1, At::ZERO);
        assert_eq!(std::fs::read_to_string(path).unwrap(), "whole\nto\nnext\n");
    }
}
