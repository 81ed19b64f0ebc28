//! Reading a file that grows and is turned over.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file that somebody appends to, from its beginning on, and its successors of the same name.
#[derive(Debug)]
pub(super) struct Follow {
    path: PathBuf,
    open: Option<File>,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
}

impl Follow {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), open: None, rest: Vec::new() }
    }

    /// The lines that have come since the last call.
    pub(super) fn lines(&mut self) -> io::Result<Vec<String>> {
        let mut bytes = std::mem::take(&mut self.rest);
        loop {
            let gone = self.gone();
            if let Some(file) = &mut self.open {
                // What was written before it was turned over is still in it.
                file.read_to_end(&mut bytes)?;
            }
            if !gone {
                break;
            }
            self.open = File::open(&self.path).map(Some).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(None),
                _ => Err(error),
            })?;
            if self.open.is_none() {
                break;
            }
        }
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.rest = bytes.split_off(end);
        Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
    }

    /// Whether another file, or none, has the name now.
    fn gone(&self) -> bool {
        let id = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let open = self.open.as_ref().and_then(|file| file.metadata().ok()).map(id);
        open.is_none() || open != std::fs::metadata(&self.path).ok().map(id)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn no_line_is_lost_when_the_file_is_turned_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut follow = Follow::new(&path);
        assert!(follow.lines().unwrap().is_empty());
        let mut file = File::create(&path).unwrap();
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(follow.lines().unwrap(), ["one"]);
        file.write_all(b"o\nthree\n").unwrap();
        std::fs::rename(&path, dir.path().join("a.1")).unwrap();
        std::fs::write(&path, "four\n").unwrap();
        assert_eq!(follow.lines().unwrap(), ["two", "three", "four"]);
        assert!(follow.lines().unwrap().is_empty());
    }
}
