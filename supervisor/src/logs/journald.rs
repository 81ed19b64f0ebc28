//! The system's journal, where Creel runs under systemd.
//!
//! The supervisor's own lines reach it through stderr, with their severity; what units write goes to its socket, so that
//! each unit has a name there: `journalctl -t creel/agent:main`, `journalctl CREEL_UNIT=agent:main`.

use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::trace::SUPERVISOR;

const SOCKET: &str = "/run/systemd/journal/socket";
/// Severity of a unit's line (syslog's "informational"): what it means is the unit's business.
const PRIORITY: u8 = 6;

/// The journal's socket.
#[derive(Debug)]
pub(super) struct Journald(UnixDatagram);

impl Journald {
    /// The journal that this process's stderr goes to, if it goes there.
    pub(super) fn of_this_process() -> Option<Self> {
        is_our_stderr(&std::env::var("JOURNAL_STREAM").ok()?).then(|| Self::at(Path::new(SOCKET))).flatten()
    }

    fn at(path: &Path) -> Option<Self> {
        let socket = UnixDatagram::unbound().ok()?;
        socket.connect(path).ok()?;
        // A journal that is behind loses lines that the file has; nobody waits for it.
        socket.set_nonblocking(true).ok()?;
        Some(Self(socket))
    }

    /// Sends one line. One that the journal does not take is in the file all the same.
    pub(super) fn send(&self, unit: &str, text: &str) {
        if unit == SUPERVISOR {
            return;
        }
        let _full_or_gone = self.0.send(entry(unit, text).as_bytes());
    }
}

/// One entry in the form that the journal reads. Neither a line nor a unit's name holds a newline.
fn entry(unit: &str, text: &str) -> String {
    format!("MESSAGE={text}\nPRIORITY={PRIORITY}\nSYSLOG_IDENTIFIER=creel/{unit}\nCREEL_UNIT={unit}\n")
}

/// systemd names the device and inode of the stream that it connected; somebody may have redirected stderr since.
fn is_our_stderr(stream: &str) -> bool {
    let Ok(ours) = std::fs::metadata("/proc/self/fd/2") else { return false };
    stream == format!("{}:{}", ours.dev(), ours.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_has_a_name_in_the_journal_and_the_supervisor_is_not_told_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        journal.set_nonblocking(true).unwrap();
        let ours = Journald::at(&path).unwrap();
        ours.send(SUPERVISOR, "told on stderr");
        ours.send("agent:main", "hello");
        let mut buffer = [0; 512];
        let count = journal.recv(&mut buffer).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&buffer[..count]),
            "MESSAGE=hello\nPRIORITY=6\nSYSLOG_IDENTIFIER=creel/agent:main\nCREEL_UNIT=agent:main\n"
        );
        assert!(journal.recv(&mut buffer).is_err());
        assert!(!is_our_stderr("0:0"));
    }
}
