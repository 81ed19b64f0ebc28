//! Layers: a writable view is covered by an overlay whose changes go into memory of a bounded size. The unit finds the view as it
//! was and writes as it always did; what it wrote is handed up as an open folder, which outlives the unit's mounts.

use std::ffi::CString;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, XattrFlags, chmodat, fstat, mkdirat, openat, removexattr, setxattr, unlinkat,
};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::root;
use crate::error::{At as _, LaunchError, Stage};
use crate::spec::{LaunchSpec, Layer};

/// Where the memory of a layer is mounted while its overlay is made.
const PLACE: &str = "layer";
/// Without a limit of its own a layer holds so many files: each takes a kilobyte of the kernel's memory.
const INODES: u64 = 262_144;
/// Without a limit of its own, where the unit's memory has none either.
const BYTES: u64 = 1 << 30;
/// Folders that the overlay itself makes in its memory.
const OWN_INODES: u64 = 5;
/// The least that the kernel takes as a size; zero would mean no limit.
const PAGE: u64 = 4096;

/// The layers of one unit under way.
pub(super) struct Stack<'a> {
    spec: &'a LaunchSpec,
    made: Vec<Option<OwnedFd>>,
}

impl<'a> Stack<'a> {
    /// `laid`: the folders of all layers, where they were made outside.
    pub(super) fn of(spec: &'a LaunchSpec, laid: Vec<OwnedFd>) -> Self {
        let laid = laid.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
        Self { spec, made: laid.take(spec.layers.len()).collect() }
    }

    /// Covers what has just been mounted at `at`, if it is to have a layer. `place` opens what is there.
    pub(super) fn cover(
        &mut self,
        at: &Path,
        place: impl Fn() -> Result<OwnedFd, LaunchError>,
    ) -> Result<(), LaunchError> {
        let wanted = self.spec.layers.iter().zip(&mut self.made);
        for (layer, made) in wanted.filter(|(layer, made)| layer.at == at && made.is_none()) {
            *made = Some(cover(layer, self.spec.limits.data, &place)?);
        }
        Ok(())
    }

    /// The folders with the changes, in the order of the spec.
    pub(super) fn finish(self) -> Result<Vec<OwnedFd>, LaunchError> {
        let all: Option<Vec<_>> = self.made.into_iter().collect();
        all.ok_or_else(belongs_to_none)
    }
}

pub(super) fn belongs_to_none() -> LaunchError {
    LaunchError::new(Stage::Spec, "A layer of the unit belongs to none of its views.")
}

/// What a kernel lacks that can bound nothing.
pub(super) const TOO_OLD: &str =
    "tmpfs has no user attributes in this kernel (Linux 6.6 has, and where Creel is root it needs none)";

/// The whole sentence, without its end.
pub(super) fn failed(layer: &Layer, what: &str) -> String {
    format!(
        "The bytes and files of {} cannot be bounded (sandbox.disk, sandbox.inodes): {what}. Take these keys out, or use a file \
         system with project quota",
        layer.at.display()
    )
}

/// The mount options of a layer's memory, with room for so many more files than an inner layer has.
pub(super) fn size(layer: &Layer, memory: Option<u64>, more: u64) -> String {
    let bytes = layer.bytes.unwrap_or(BYTES).min(memory.unwrap_or(u64::MAX)).max(PAGE);
    let inodes = layer.inodes.unwrap_or(INODES).saturating_add(OWN_INODES).saturating_add(more);
    format!("mode=700,size={bytes},nr_inodes={inodes}")
}

/// Whether a folder of tmpfs can have attributes of users: into one it is written which folder replaces one below.
pub(super) fn has_user_attributes(folder: &str) -> bool {
    setxattr(folder, "user.creel", b"", XattrFlags::empty())
        .and_then(|()| removexattr(folder, "user.creel"))
        .is_ok()
}

fn cover(
    layer: &Layer,
    memory: Option<u64>,
    place: impl Fn() -> Result<OwnedFd, LaunchError>,
) -> Result<OwnedFd, LaunchError> {
    let shown = layer.at.display();
    let failed = |what: &str| failed(layer, what);
    root::make_dir(PLACE)?;
    root::fresh(PLACE, "tmpfs", &size(layer, memory, 0))?;
    // The folder as it is now, which the overlay goes on top of.
    let below = place()?;
    let mode = fstat(&below)
        .map(|stat| Mode::from_raw_mode(stat.st_mode & 0o777))
        .at(Stage::View, || format!("The view {shown} cannot be examined"))?;
    let (upper, work) = ("layer/upper", "layer/work");
    for (path, mode) in [(upper, mode), (work, Mode::RWXU)] {
        mkdirat(CWD, path, Mode::RWXU)
            .and_then(|()| chmodat(CWD, path, mode, AtFlags::empty()))
            .at(Stage::Root, || failed("its memory cannot be prepared"))?;
    }
    if !has_user_attributes(upper) {
        return Err(LaunchError::new(Stage::Root, format!("{}.", failed(TOO_OLD))));
    }
    let held = format!("proc/self/fd/{}", below.as_raw_fd());
    let options = format!("lowerdir={held},upperdir={upper},workdir={work},userxattr");
    let options =
        CString::new(options).map_err(|_| LaunchError::new(Stage::Root, "A mount option holds a NUL."))?;
    mount("overlay", held.as_str(), "overlay", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())
        .at(Stage::Root, || failed("no overlay can be mounted on it"))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(CWD, upper, flags, Mode::empty())
        .at(Stage::Root, || failed("the memory of its changes cannot be opened"))?;
    // The overlay and the open folder hold what they need.
    unmount(PLACE, UnmountFlags::DETACH)
        .and_then(|()| unlinkat(CWD, PLACE, AtFlags::REMOVEDIR))
        .at(Stage::Root, || failed("the memory of its changes cannot be hidden"))?;
    Ok(folder)
}
