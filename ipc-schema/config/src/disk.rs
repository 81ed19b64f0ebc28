//! The one place that touches the file system.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::files::Files;

/// No configuration is longer.
pub const MAX_BYTES: u64 = 4 << 20;

/// Files of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<String> {
        let file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("this is no ordinary file"));
        }
        let mut text = String::new();
        file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_BYTES {
            return Err(io::Error::other(format!("it is longer than {MAX_BYTES} bytes")));
        }
        Ok(text)
    }
}

/// The environment of this process. Variables that are not UTF-8 are left out; none of ours can be such.
pub fn environment() -> crate::Env {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// The configuration of a home: `creel.json`, or `creel.toml` when only that is there.
pub fn config_file(home: &Path) -> PathBuf {
    let (json5, toml) = (home.join("creel.json"), home.join("creel.toml"));
    if !json5.exists() && toml.exists() { toml } else { json5 }
}

/// Replaces a file so that a crash leaves either the old or the new one: written beside it with mode 0600,
/// synced, renamed, and the folder synced. A symbolic link keeps pointing where it did, and what root replaces stays its
/// owner's.
///
/// # Errors
/// What the system said; the old file is untouched then.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = beside(&path);
    let owner = fs::metadata(&path).ok().map(|old| (old.uid(), old.gid()));
    let outcome = write(&beside, text, owner).and_then(|()| fs::rename(&beside, &path));
    if outcome.is_err() {
        // Nothing to tell: the first error is the one that matters.
        let _ = fs::remove_file(&beside);
    }
    outcome?;
    File::open(folder)?.sync_all()
}

fn write(beside: &Path, text: &str, owner: Option<(u32, u32)>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(beside)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    let made = file.metadata()?;
    if let Some((uid, gid)) = owner.filter(|owner| *owner != (made.uid(), made.gid())) {
        // Only root can; for anybody else the file becomes theirs, as it always does.
        let _not_root = fchown(&file, Some(uid), Some(gid));
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}
