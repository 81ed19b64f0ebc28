//! A terminal that is drawn anew in place, and its keys.
//!
//! Plain control sequences: a screen of text that is replaced once a second needs no library, and whatever is linked
//! into this binary is mapped by the supervisor too.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::error::CliError;
use super::table::seen;

/// Enters the other screen and hides the cursor; the way back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// The terminal, until it is dropped.
pub(crate) struct Screen {
    before: Termios,
}

impl Screen {
    /// Takes the terminal over.
    pub(crate) fn open(what: &str) -> Result<Self, CliError> {
        if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
            return Err(CliError::Usage(format!("{what} needs a terminal.")));
        }
        let before = tcgetattr(io::stdin()).map_err(io::Error::from)?;
        let mut raw = before.clone();
        // Ctrl-C is a key here, so that the screen is given back on every way out.
        raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        tcsetattr(io::stdin(), OptionalActions::Now, &raw).map_err(io::Error::from)?;
        let screen = Self { before };
        write(ENTER)?;
        Ok(screen)
    }

    /// Replaces what is shown. Lines that do not fit are cut, below and at the right.
    pub(crate) fn draw(&self, text: &str) -> Result<(), CliError> {
        let (columns, rows) = size();
        let mut frame = String::from("\x1b[H");
        for line in text.lines().take(rows) {
            frame.push_str(&cut(line, columns));
            frame.push_str("\x1b[K\r\n");
        }
        // Without the last newline, which would scroll a full screen.
        frame.truncate(frame.len() - if frame.ends_with("\r\n") { 2 } else { 0 });
        frame.push_str("\x1b[J");
        Ok(write(&frame)?)
    }

    /// The next key, or `None` after `wait`.
    pub(crate) fn key(&self, wait: Duration) -> Result<Option<u8>, CliError> {
        let timeout = Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(0),
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        let stdin = io::stdin();
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        let mut keys = [0; 16];
        let ready = match poll(&mut fds, Some(&timeout)) {
            // A new size of the window wakes us, too: time to draw.
            Err(rustix::io::Errno::INTR) => 0,
            other => other.map_err(io::Error::from)?,
        };
        if ready == 0 {
            return Ok(None);
        }
        let count = rustix::io::read(&stdin, &mut keys).map_err(io::Error::from)?;
        // Without a byte the terminal is gone.
        Ok(Some(keys.first().copied().filter(|_| count > 0).unwrap_or(b'q')))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _gone = write(LEAVE);
        let _gone = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Whether a key means the end: `q`, Ctrl-C, Ctrl-D.
pub(crate) fn is_quit(key: u8) -> bool {
    matches!(key, b'q' | b'Q' | 0x03 | 0x04)
}

/// Columns and rows of the terminal; as good as endless where there is none.
pub(crate) fn size() -> (usize, usize) {
    let given = |name: &str| std::env::var(name).ok()?.parse::<usize>().ok();
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => (given("COLUMNS").unwrap_or(usize::MAX), usize::MAX),
    }
}

/// The beginning of a line that fits; colour sequences take no room.
pub(crate) fn cut(line: &str, columns: usize) -> String {
    let fits = seen(line) <= columns;
    let room = if fits { usize::MAX } else { columns.saturating_sub(1) };
    let (mut out, mut used) = (String::new(), 0);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            out.push(c);
            // As far as its end: colours are all that is painted here.
            for c in chars.by_ref() {
                out.push(c);
                if c == 'm' {
                    break;
                }
            }
        } else if used < room {
            out.push(c);
            used += 1;
        }
    }
    if !fits && columns > 0 {
        out.push('…');
    }
    out
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_by_what_is_seen_of_it() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("\u{1b}[31mabc\u{1b}[0m", 3), "\u{1b}[31mabc\u{1b}[0m");
        assert_eq!(cut("\u{1b}[31mabcd\u{1b}[0m", 3), "\u{1b}[31mab\u{1b}[0m…");
        assert!(is_quit(3) && is_quit(b'q') && !is_quit(b'c'));
    }
}
