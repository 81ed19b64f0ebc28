//! The tool `read`.

use std::io::Read;

use serde_json::Value;

use super::truncate::{MAX_BYTES, MAX_LINES};
use super::workspace::{Workspace, WorkspaceError};
use super::{Outcome, arguments::Arguments};

/// Bytes that are looked through for a late `offset`.
const MAX_SCAN: u64 = 256 * 1024 * 1024;

/// Reads a piece of a text file.
pub fn run(workspace: &Workspace, arguments: &Value) -> Outcome {
    match read(workspace, arguments) {
        Ok(text) => Outcome::ok(text),
        Err(sentence) => Outcome::error(sentence),
    }
}

fn read(workspace: &Workspace, arguments: &Value) -> Result<String, String> {
    let arguments = Arguments::of("read", arguments, &["path", "offset", "limit"])?;
    let path = arguments.text("path")?;
    let offset = arguments.count("offset")?.unwrap_or(1);
    let limit = arguments.count("limit")?.unwrap_or(MAX_LINES as u64);
    let (file, bytes) = workspace.read(path).map_err(|error| error.to_string())?;
    let mut piece = Piece::new(offset, limit.min(MAX_LINES as u64));
    let mut reader = file.take(MAX_SCAN);
    let mut buffer = vec![0; 64 * 1024];
    let mut first = true;
    loop {
        let n = reader.read(&mut buffer).map_err(|source| {
            WorkspaceError::Io { path: path.to_owned(), what: "read", source }.to_string()
        })?;
        if n == 0 {
            break;
        }
        if first && buffer[..n.min(8192)].contains(&0) {
            return Err(format!(
                "`{path}` is binary ({bytes} bytes); `read` shows only text. Use `exec`, for example with `file` or `xxd`."
            ));
        }
        first = false;
        if !piece.take(&buffer[..n]) {
            break;
        }
    }
    piece.finish(path)
}

/// The wanted lines, as the file goes by.
struct Piece {
    offset: u64,
    limit: u64,
    /// Number of the line that the next byte belongs to, from 1.
    line: u64,
    text: Vec<u8>,
    /// What lies behind was not looked at.
    more: bool,
    any: bool,
    ends_with_newline: bool,
}

impl Piece {
    fn new(offset: u64, limit: u64) -> Self {
        Self { offset, limit, line: 1, text: Vec::new(), more: false, any: false, ends_with_newline: false }
    }

    /// Takes the next bytes; false when nothing more is needed.
    fn take(&mut self, bytes: &[u8]) -> bool {
        self.any = true;
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let wanted = self.line >= self.offset;
            if wanted && self.line >= self.offset.saturating_add(self.limit) {
                self.more = true;
                return false;
            }
            if wanted {
                let room = MAX_BYTES.saturating_sub(self.text.len());
                self.text.extend_from_slice(&piece[..piece.len().min(room)]);
                if piece.len() > room {
                    self.more = true;
                    return false;
                }
            }
            self.ends_with_newline = piece.ends_with(b"\n");
            if self.ends_with_newline {
                self.line += 1;
            }
        }
        true
    }

    fn finish(self, path: &str) -> Result<String, String> {
        let last = if self.ends_with_newline { self.line - 1 } else { self.line };
        if !self.any {
            return Ok("(The file is empty.)".to_owned());
        }
        if self.text.is_empty() {
            return Err(format!("`{path}` has {last} lines; there is no line {}.", self.offset));
        }
        let mut text = String::from_utf8_lossy(&self.text).into_owned();
        if !self.more {
            return Ok(text);
        }
        // A line that the byte limit cut is shown again by the next call, unless it is longer than the limit itself.
        let mut shown = text.matches('\n').count() as u64;
        if shown == 0 {
            shown = 1;
            text.push_str("… (the line goes on)\n");
        } else if let Some(end) = text.rfind('\n') {
            text.truncate(end + 1);
        }
        let next = self.offset + shown;
        text.push_str(&format!(
            "\n[Lines {}-{} are shown. Go on with offset={next}.]",
            self.offset,
            next - 1
        ));
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(content: &[u8], arguments: Value) -> Outcome {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("f"), content).unwrap();
        run(&Workspace::open(home.path().to_str().unwrap()).unwrap(), &arguments)
    }

    #[test]
    fn whole_pieces_and_what_follows() {
        let text = b"one\ntwo\nthree\n";
        assert_eq!(shown(text, json!({"path": "f"})), Outcome::ok("one\ntwo\nthree\n"));
        assert_eq!(shown(text, json!({"path": "f", "offset": 3})), Outcome::ok("three\n"));
        assert_eq!(
            shown(text, json!({"path": "f", "offset": 2, "limit": 1})).text,
            "two\n\n[Lines 2-2 are shown. Go on with offset=3.]"
        );
        assert_eq!(
            shown(text, json!({"path": "f", "offset": 9})),
            Outcome::error("`f` has 3 lines; there is no line 9.")
        );
        assert_eq!(shown(b"", json!({"path": "f"})).text, "(The file is empty.)");
    }

    #[test]
    fn long_files_are_cut_by_lines_and_by_bytes() {
        let many: String = (1..=2500).map(|n| format!("{n}\n")).collect();
        let text = shown(many.as_bytes(), json!({"path": "f"})).text;
        assert!(text.ends_with("2000\n\n[Lines 1-2000 are shown. Go on with offset=2001.]"), "{text}");
        let wide = format!("{}\n{}\n", "a".repeat(40_000), "b".repeat(40_000));
        let text = shown(wide.as_bytes(), json!({"path": "f"})).text;
        assert!(text.ends_with("a\n\n[Lines 1-1 are shown. Go on with offset=2.]"), "{}", text.len());
        let text = shown("c".repeat(200_000).as_bytes(), json!({"path": "f"})).text;
        assert!(text.len() < MAX_BYTES + 200 && text.contains("the line goes on"));
    }

    #[test]
    fn binary_is_refused_and_bad_utf8_is_not() {
        assert!(shown(b"\x7fELF\0\0", json!({"path": "f"})).is_error);
        assert_eq!(shown(b"caf\xe9", json!({"path": "f"})).text, "caf\u{fffd}");
    }
}
