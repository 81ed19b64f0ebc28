//! Files between workers: copied from the `out/` of the one to the `in/` of the other, and checked on the way.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use creel_ipc::blob::Attachment;
use sha2::{Digest, Sha256};

/// No file is longer.
const MAX_BYTES: u64 = 100 << 20;

/// The units' folders.
#[derive(Debug, Clone)]
pub(crate) struct Blobs(PathBuf);

/// A file that could not be handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Its hash.
    pub sha256: String,
    /// Why, a sentence.
    pub sentence: String,
}

impl Blobs {
    /// The folders in this state folder.
    pub(crate) fn new(state: &Path) -> Self {
        Self(state.join("blobs"))
    }

    /// Copies the files that one unit left to where another may read them. Gives back those that could not be
    /// copied.
    pub(crate) async fn hand_over(&self, from: &str, to: &str, files: &[Attachment]) -> Vec<Missing> {
        if files.is_empty() {
            return Vec::new();
        }
        let (from, to) = (self.0.join(from).join("out"), self.0.join(to).join("in"));
        let files = files.to_vec();
        let copied = tokio::task::spawn_blocking(move || {
            let copy_one = |file: &Attachment| {
                copy(&from, &to, &file.sha256).err().map(|error| {
                    let name = file.name.as_deref().unwrap_or(&file.sha256);
                    let sentence = format!("The file {name} could not be handed over: {error}.");
                    Missing { sha256: file.sha256.clone(), sentence }
                })
            };
            files.iter().filter_map(copy_one).collect()
        });
        copied.await.unwrap_or_default()
    }
}

fn copy(from: &Path, to: &Path, sha256: &str) -> io::Result<()> {
    let shaped =
        sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !shaped {
        return Err(io::Error::other("its name is no SHA-256"));
    }
    let target = to.join(sha256);
    if target.exists() {
        return Ok(());
    }
    // A worker may write in its folder what it likes, also a link to what it must not read.
    let mut source = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(from.join(sha256))?;
    if !source.metadata()?.is_file() {
        return Err(io::Error::other("it is no ordinary file"));
    }
    fs::create_dir_all(to)?;
    let beside = to.join(format!(".{sha256}.{}", uuid::Uuid::now_v7()));
    let outcome = fill(&mut source, &beside, sha256).and_then(|()| fs::rename(&beside, &target));
    if outcome.is_err() {
        // The first error is the one that matters.
        let _second = fs::remove_file(&beside);
    }
    outcome
}

/// Copies and checks that the content is what the name says.
fn fill(source: &mut File, beside: &Path, sha256: &str) -> io::Result<()> {
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
    let (mut hash, mut buffer, mut bytes) = (Sha256::new(), vec![0; 64 * 1024], 0_u64);
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        if bytes > MAX_BYTES {
            return Err(io::Error::other(format!("it has more than {MAX_BYTES} bytes")));
        }
        hash.update(&buffer[..read]);
        target.write_all(&buffer[..read])?;
    }
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found == sha256 { Ok(()) } else { Err(io::Error::other("its content is not what its name says")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn file(sha256: &str) -> Attachment {
        Attachment { sha256: sha256.into(), bytes: 5, mime: "text/plain".into(), name: None }
    }

    #[tokio::test]
    async fn a_file_goes_from_one_unit_to_the_other_and_nothing_else_does() {
        let state = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(state.path());
        let out = state.path().join("blobs/channel:telegram:default/out");
        fs::create_dir_all(&out).unwrap();
        fs::write(out.join(HELLO), "hello").unwrap();
        fs::write(state.path().join("gateway.token"), "secret").unwrap();
        let link = "a".repeat(64);
        std::os::unix::fs::symlink(state.path().join("gateway.token"), out.join(&link)).unwrap();
        let lie = "b".repeat(64);
        fs::write(out.join(&lie), "hello").unwrap();
        let hand = |name: &str| {
            let (blobs, name) = (blobs.clone(), name.to_owned());
            async move { blobs.hand_over("channel:telegram:default", "agent:main", &[file(&name)]).await }
        };
        assert!(hand(HELLO).await.is_empty());
        assert!(hand(HELLO).await.is_empty(), "again is harmless");
        for wrong in [link.as_str(), lie.as_str(), "../../gateway.token", &"c".repeat(64)] {
            assert_eq!(hand(wrong).await.len(), 1, "{wrong}");
        }
        let arrived: Vec<_> = fs::read_dir(state.path().join("blobs/agent:main/in"))
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(arrived, [HELLO]);
    }
}
