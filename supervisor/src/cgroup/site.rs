//! Where this process is among the cgroups, and whether that part of the tree is its own to divide.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Folders of ours begin with this.
pub(super) const PREFIX: &str = "creel-";
/// The leaf of the supervisor itself.
pub(super) const LEAF: &str = "supervisor";

/// The folder of the cgroup that Creel may divide.
///
/// # Errors
/// A sentence on why there is none.
pub(super) fn find() -> Result<PathBuf, String> {
    let read = |path: &str| {
        std::fs::read_to_string(path).map_err(|error| format!("{path} cannot be read: {error}."))
    };
    let own = read("/proc/self/cgroup")?;
    let own = own_path(&own).ok_or("This kernel has no cgroup v2.")?;
    let mount = read("/proc/self/mountinfo")?;
    let (mount, root) = mounted(&mount).ok_or("No cgroup v2 is mounted.")?;
    let below = own.strip_prefix(&root).map_err(|_outside| {
        format!("The cgroup {} of this process is not visible in {}.", own.display(), mount.display())
    })?;
    // Started anew in place, or by a service manager that knows our leaf.
    let top = without_leaf(below);
    let folder = mount.join(top);
    match Facts::of(&folder, top.as_os_str().is_empty()) {
        facts if facts.is_ours() => Ok(folder),
        _ => Err(format!(
            "The cgroup {} is not delegated to Creel; start it as a service (`Delegate=yes`) to have limits on whole units.",
            folder.display()
        )),
    }
}

/// The folder of the units of a running supervisor; `None` where it has none.
///
/// # Errors
/// A sentence on why it cannot be seen.
pub(super) fn units(supervisor: u32) -> Result<Option<PathBuf>, String> {
    let path = format!("/proc/{supervisor}/cgroup");
    let own = std::fs::read_to_string(&path).map_err(|error| format!("{path} cannot be read: {error}."))?;
    let mount = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let (Some(own), Some((mount, root))) = (own_path(&own), mounted(&mount)) else { return Ok(None) };
    let below = own
        .strip_prefix(&root)
        .map_err(|_outside| format!("The cgroup {} of the supervisor is not visible here.", own.display()))?;
    if below.file_name() != Some(OsStr::new(LEAF)) {
        return Ok(None);
    }
    let units = mount.join(below).with_file_name("units");
    Ok(units.is_dir().then_some(units))
}

/// The cgroup of a process, from its `/proc/<pid>/cgroup`.
fn own_path(text: &str) -> Option<PathBuf> {
    text.lines().find_map(|line| line.strip_prefix("0::")).map(PathBuf::from)
}

/// Where cgroup v2 is mounted, and which cgroup is to be seen there.
fn mounted(text: &str) -> Option<(PathBuf, PathBuf)> {
    let line = text.lines().find(|line| line.contains(" - cgroup2 "))?;
    let mut fields = line.split(' ').skip(3);
    let root = fields.next()?;
    Some((unescaped(fields.next()?), unescaped(root)))
}

/// Blanks are written as `\040`.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(code) if byte == b'\\' => {
                bytes.push(code);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    PathBuf::from(OsStr::from_bytes(&bytes))
}

fn without_leaf(below: &Path) -> &Path {
    if below.file_name() != Some(OsStr::new(LEAF)) {
        return below;
    }
    let Some(above) = below.parent() else { return below };
    let ours = above.file_name().is_some_and(|name| name.as_bytes().starts_with(PREFIX.as_bytes()));
    if ours { above.parent().unwrap_or(above) } else { above }
}

/// What decides whether a cgroup may be divided.
#[derive(Debug, Clone, Copy, Default)]
struct Facts {
    /// A service manager marked it as delegated.
    marked: bool,
    /// It belongs to this ordinary user.
    owned: bool,
    /// This is root.
    root: bool,
    /// It is the root of what this process sees.
    top: bool,
    /// A service manager owns everything that it did not give away.
    managed: bool,
}

impl Facts {
    fn of(folder: &Path, top: bool) -> Self {
        let mark = |name: &str| {
            let mut value = [0_u8; 8];
            let length = rustix::fs::getxattr(folder, name, &mut value).unwrap_or(0);
            value.get(..length) == Some(b"1")
        };
        let uid = rustix::process::geteuid();
        let init = std::fs::read_to_string("/proc/1/comm").unwrap_or_default();
        Self {
            marked: mark("user.delegate") || mark("trusted.delegate"),
            owned: !uid.is_root() && std::fs::metadata(folder).is_ok_and(|found| found.uid() == uid.as_raw()),
            root: uid.is_root(),
            top,
            managed: init.trim() == "systemd",
        }
    }

    fn is_ours(self) -> bool {
        self.marked || self.owned || (self.root && self.top && !self.managed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_cgroup_and_its_mount_are_read() {
        let own = "9:name=systemd:/\n4:memory:/x\n0::/system.slice/creel.service\n";
        assert_eq!(own_path(own), Some("/system.slice/creel.service".into()));
        assert_eq!(own_path("1:cpu:/\n"), None);
        let mounts = "22 1 0:21 / /proc rw - proc proc rw\n30 24 0:26 / /sys/fs/cg\\040roup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        assert_eq!(mounted(mounts), Some(("/sys/fs/cg roup".into(), "/".into())));
        assert_eq!(mounted("22 1 0:21 / /proc rw - proc proc rw\n"), None);
    }

    #[test]
    fn a_supervisor_that_is_in_its_leaf_already_finds_the_place_above() {
        let above = |path| without_leaf(Path::new(path)).to_str().unwrap().to_owned();
        assert_eq!(above("a/creel.service"), "a/creel.service");
        assert_eq!(above("a/creel.service/creel-fd01-2f/supervisor"), "a/creel.service");
        assert_eq!(above("a/creel.service/supervisor"), "a/creel.service");
        assert_eq!(above("creel-1-2/supervisor"), "");
        assert_eq!(above(""), "");
    }

    #[test]
    fn only_what_was_given_away_is_divided() {
        let root = Facts { root: true, ..Facts::default() };
        assert!(Facts { marked: true, ..root }.is_ours());
        assert!(Facts { owned: true, ..Facts::default() }.is_ours());
        assert!(Facts { top: true, ..root }.is_ours());
        assert!(!Facts { top: true, managed: true, ..root }.is_ours());
        assert!(!root.is_ours());
        assert!(!Facts { top: true, ..Facts::default() }.is_ours());
    }
}
