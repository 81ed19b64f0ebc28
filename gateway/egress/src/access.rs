//! The access log: one line of JSON for each connection, in a file that is only appended to and turned over by size.
//!
//! What a unit can make happen cheaply, being refused, has a line of its own only now and then; the rest is counted.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use creel_ipc::msg::egress::{EgressRecord, EgressVerdict};
use tokio::time::Instant;

/// Bytes after which a file becomes the older one.
const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// Older files that are kept: `access.ndjson.1` is the newest of them.
const KEEP: u32 = 4;
/// Refused connections to one destination that have a line of their own, within [`EVERY`].
const LINES: u32 = 5;
/// After which they have lines again.
const EVERY: Duration = Duration::from_secs(60);
/// Destinations that are told apart.
const MAX_DESTINATIONS: usize = 512;
/// How often to look whether the file is still the one in the folder.
const LOOK: Duration = Duration::from_secs(1);

/// The log. Without a path it takes nothing.
#[derive(Debug, Default)]
pub(crate) struct AccessLog {
    path: Option<PathBuf>,
    max_bytes: u64,
    open: Option<(File, u64)>,
    looked: Option<Instant>,
    refused: HashMap<(String, String, u16), Refused>,
    /// Whether the log was told that it cannot be written.
    told: bool,
}

#[derive(Debug)]
struct Refused {
    since: Instant,
    lines: u32,
    silent: u64,
}

impl AccessLog {
    /// A log in this file, in a folder that exists.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path: Some(path), max_bytes: MAX_BYTES, ..Self::default() }
    }

    /// Writes a line, or counts it.
    pub(crate) fn write(&mut self, mut record: EgressRecord, now: Instant) {
        if record.verdict == EgressVerdict::Denied {
            match self.refused(&record, now) {
                Some(more) => record.more = (more > 0).then_some(more),
                None => return,
            }
        }
        let Ok(mut line) = serde_json::to_vec(&record) else { return };
        line.push(b'\n');
        if let Err(error) = self.append(&line, now) {
            self.open = None;
            if !std::mem::replace(&mut self.told, true) {
                tracing::warn!("The access log cannot be written: {error}. Connections go on without it.");
            }
        } else {
            self.told = false;
        }
    }

    /// Whether a refusal has a line, and how many before it had none.
    fn refused(&mut self, record: &EgressRecord, now: Instant) -> Option<u64> {
        let key = (record.unit.clone(), record.host.clone(), record.port);
        if self.refused.len() >= MAX_DESTINATIONS && !self.refused.contains_key(&key) {
            let oldest =
                self.refused.iter().min_by_key(|(_, refused)| refused.since).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.refused.remove(&key));
        }
        let fresh = Refused { since: now, lines: 0, silent: 0 };
        let refused = self.refused.entry(key).or_insert(fresh);
        if now.duration_since(refused.since) >= EVERY {
            (refused.since, refused.lines) = (now, 0);
        }
        if refused.lines >= LINES {
            refused.silent += 1;
            return None;
        }
        refused.lines += 1;
        Some(std::mem::take(&mut refused.silent))
    }

    fn append(&mut self, line: &[u8], now: Instant) -> io::Result<()> {
        let Some(path) = self.path.clone() else { return Ok(()) };
        if self.looked.is_none_or(|looked| now.duration_since(looked) >= LOOK) {
            self.looked = Some(now);
            self.let_go_if_gone(&path);
        }
        let len = line.len() as u64;
        if self.open.as_ref().is_some_and(|(_, size)| *size > 0 && size + len > self.max_bytes) {
            self.open = None;
            turn_over(&path);
        }
        if self.open.is_none() {
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
            let size = file.metadata()?.len();
            self.open = Some((file, size));
        }
        if let Some((file, size)) = &mut self.open {
            file.write_all(line)?;
            *size += len;
        }
        Ok(())
    }

    /// Somebody may have removed or renamed the file.
    fn let_go_if_gone(&mut self, path: &Path) {
        let Some((file, _)) = &self.open else { return };
        let id = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        if file.metadata().ok().map(id) != std::fs::symlink_metadata(path).ok().map(id) {
            self.open = None;
        }
    }
}

/// Renames away what is full; whatever cannot be renamed grows on.
fn turn_over(path: &Path) {
    let older = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    for number in (1..KEEP).rev() {
        let _absent = std::fs::rename(older(number), older(number + 1));
    }
    let _stays = std::fs::rename(path, older(1));
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(host: &str, verdict: EgressVerdict) -> EgressRecord {
        EgressRecord {
            at_ms: 1,
            unit: "agent:main".into(),
            account: None,
            host: host.into(),
            port: 443,
            address: None,
            rule: None,
            up: 0,
            down: 0,
            ms: 0,
            verdict,
            reason: None,
            more: None,
        }
    }

    fn lines(path: &Path) -> Vec<EgressRecord> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_full_file_is_renamed_and_nothing_is_truncated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.ndjson");
        let mut log = AccessLog { max_bytes: 250, ..AccessLog::new(path.clone()) };
        let now = Instant::now();
        for n in 0..8 {
            log.write(record(&format!("h{n}.test"), EgressVerdict::Done), now);
        }
        let hosts = |name: &str| -> Vec<String> {
            lines(&dir.path().join(name)).into_iter().map(|record| record.host).collect()
        };
        assert_eq!(hosts("access.ndjson"), ["h6.test", "h7.test"]);
        assert_eq!(hosts("access.ndjson.3"), ["h0.test", "h1.test"]);
        std::fs::remove_file(&path).unwrap();
        log.write(record("after.test", EgressVerdict::Done), now + LOOK);
        assert_eq!(hosts("access.ndjson"), ["after.test"]);
    }

    #[test]
    fn a_flood_of_refusals_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.ndjson");
        let mut log = AccessLog::new(path.clone());
        let now = Instant::now();
        for _ in 0..1000 {
            log.write(record("evil.test", EgressVerdict::Denied), now);
        }
        log.write(record("other.test", EgressVerdict::Denied), now);
        log.write(record("evil.test", EgressVerdict::Denied), now + EVERY);
        let more: Vec<_> = lines(&path).into_iter().map(|record| record.more).collect();
        assert_eq!(more, [None, None, None, None, None, None, Some(995)]);
    }
}
