//! Lines of a file and of its older generations, newest first, without reading more than is asked for.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::file::numbered;

/// Bytes that are read at once.
const BLOCK: u64 = 64 * 1024;
/// A line that is longer than this is none of ours: the rest of its file is left alone.
const LONGEST: usize = 1 << 20;

/// The lines from the end on. A file that cannot be read counts as empty.
#[derive(Debug)]
pub struct Backward {
    path: PathBuf,
    /// The generation to be opened next: 0 is the file itself.
    next: u32,
    open: Option<Part>,
}

#[derive(Debug)]
struct Part {
    file: File,
    /// Where `left` begins in the file.
    at: u64,
    /// Bytes that were read and not given out yet.
    left: Vec<u8>,
}

impl Backward {
    /// From the end of `<path>` to the beginning of its oldest generation.
    pub fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), next: 0, open: None }
    }

    /// Opens the next generation; whether there is one.
    fn open_next(&mut self) -> bool {
        let path = match self.next {
            0 => self.path.clone(),
            number => numbered(&self.path, number),
        };
        let file = File::open(path);
        let first = self.next == 0;
        self.next += 1;
        match file.and_then(Part::new) {
            Ok(part) => self.open = Some(part),
            // The newest may be absent for a moment while it is turned over.
            Err(_absent) if first => self.open = None,
            Err(_absent) => return false,
        }
        true
    }
}

impl Iterator for Backward {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            let line = self.open.as_mut().and_then(Part::line);
            if let Some(line) = line {
                return Some(String::from_utf8_lossy(&line).into_owned());
            }
            self.open = None;
            if !self.open_next() {
                return None;
            }
        }
    }
}

impl Part {
    fn new(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let mut last = [0];
        let ended = size > 0 && file.read_exact_at(&mut last, size - 1).is_ok() && last == [b'\n'];
        Ok(Self { file, at: if ended { size - 1 } else { size }, left: Vec::new() })
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(newline) = self.left.iter().rposition(|byte| *byte == b'\n') {
                let line = self.left.split_off(newline + 1);
                self.left.truncate(newline);
                return Some(line);
            }
            if self.at == 0 {
                return (!self.left.is_empty()).then(|| std::mem::take(&mut self.left));
            }
            if self.left.len() > LONGEST {
                return None;
            }
            let count = BLOCK.min(self.at);
            let mut block = vec![0; usize::try_from(count).unwrap_or(0)];
            self.file.read_exact_at(&mut block, self.at - count).ok()?;
            self.at -= count;
            block.append(&mut self.left);
            self.left = block;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn older_generations_come_after_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        std::fs::write(numbered(&path, 2), "one\ntwo\n").unwrap();
        std::fs::write(numbered(&path, 1), "three\n").unwrap();
        std::fs::write(&path, "four\nfive without an end").unwrap();
        let lines: Vec<_> = Backward::of(&path).collect();
        assert_eq!(lines, ["five without an end", "four", "three", "two", "one"]);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(Backward::of(&path).next().as_deref(), Some("three"));
        assert_eq!(Backward::of(&dir.path().join("none")).next(), None);
    }

    proptest! {
        #[test]
        fn it_is_the_lines_backwards(lengths in proptest::collection::vec(1_usize..70_000, 0..6)) {
            let lines: Vec<_> = (b'a'..).zip(lengths).map(|(c, length)| char::from(c).to_string().repeat(length)).collect();
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.log");
            std::fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
            let mut back: Vec<_> = Backward::of(&path).collect();
            back.reverse();
            prop_assert_eq!(back, lines);
        }
    }
}
