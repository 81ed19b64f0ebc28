//! Layers that root makes, outside of the unit's user namespace. Before Linux 6.6 tmpfs has no attributes of users, so that an
//! overlay made inside cannot note which folder stands in the place of one below; root's notes it where only root may write.

use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};

use nix::sched::{CloneFlags, unshare};
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, Uid, XattrFlags, chmodat, chownat, fstat, mkdirat, openat, setxattr,
};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_change,
    move_mount, open_tree, unmount,
};

use super::sys::{self, MountChange};
use super::views::{OpenView, OpenViews, Tree};
use super::{layer, root};
use crate::error::{At as _, LaunchError, Stage};
use crate::spec::{Ids, LaunchSpec, Layer};

/// Folders beside those of an inner layer: what is below, and the whole.
const MORE_INODES: u64 = 2;

/// Puts an overlay in the place of each view that is to have a layer, where the unit could not make one itself. Returns the
/// folders with the changes in the order of the spec; none where nothing had to be done. Gives this process mounts of its own.
pub(super) fn lay(spec: &LaunchSpec, ids: Ids, opened: &mut OpenViews) -> Result<Vec<OwnedFd>, LaunchError> {
    if spec.layers.is_empty() {
        return Ok(Vec::new());
    }
    unshare(CloneFlags::CLONE_NEWNS).at(Stage::Root, || "The launcher gets no mounts of its own")?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).at(Stage::Root, || "The launcher's mounts cannot be made its own")?;
    let place = root::scaffold()?;
    root::fresh(place, "tmpfs", "mode=700,size=4096")?;
    let inside_can = layer::has_user_attributes(place);
    unmount(place, UnmountFlags::DETACH).at(Stage::Root, || "A mount of the launcher's cannot be undone")?;
    if inside_can {
        return Ok(Vec::new());
    }
    let all = spec.layers.iter().map(|layer| {
        let view = opened.views.iter_mut().find(|view| view.at == layer.at);
        let view = view.ok_or_else(layer::belongs_to_none)?;
        let made = cover(layer, spec.limits.data, ids, view, place)?;
        unmount(place, UnmountFlags::DETACH)
            .at(Stage::Root, || "The memory of a layer's changes cannot be hidden")?;
        Ok(made)
    });
    all.collect()
}

fn cover(
    layer: &Layer,
    memory: Option<u64>,
    ids: Ids,
    view: &mut OpenView,
    place: &str,
) -> Result<OwnedFd, LaunchError> {
    let failed = |what: &str| layer::failed(layer, what);
    root::fresh(place, "tmpfs", &layer::size(layer, memory, MORE_INODES))?;
    let [below, upper, work, whole] =
        ["below", "upper", "work", "whole"].map(|name| format!("{place}/{name}"));
    for path in [&below, &upper, &work, &whole] {
        mkdirat(CWD, path, Mode::RWXU).at(Stage::Root, || failed("its memory cannot be prepared"))?;
    }
    let Tree::Detached(tree) = &view.tree else { return Err(layer::belongs_to_none()) };
    move_mount(tree, "", CWD, &below, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .at(Stage::View, || failed("it cannot be put below an overlay"))?;
    let stat = fstat(tree).at(Stage::View, || failed("it cannot be examined"))?;
    chmodat(CWD, &upper, Mode::from_raw_mode(stat.st_mode & 0o777), AtFlags::empty())
        .and_then(|()| {
            let (uid, gid) = (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid));
            chownat(CWD, &upper, Some(uid), Some(gid), AtFlags::empty())
        })
        .at(Stage::Root, || failed("its memory cannot be given to the unit"))?;
    // Who is root in a container only may write no such attribute.
    setxattr(&work, "trusted.creel", b"", XattrFlags::empty()).at(Stage::Root, || failed(layer::TOO_OLD))?;
    let options = format!(
        "lowerdir={below},upperdir={upper},workdir={work},redirect_dir=nofollow,metacopy=off,index=off,xino=off"
    );
    let options =
        CString::new(options).map_err(|_| LaunchError::new(Stage::Root, "A mount option holds a NUL."))?;
    mount("overlay", &whole, "overlay", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())
        .at(Stage::Root, || failed("no overlay can be mounted on it"))?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, &whole, flags).at(Stage::Root, || failed("its overlay cannot be opened"))?;
    let set = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    sys::set_mount(tree.as_fd(), &MountChange { set, private: true, ..MountChange::default() })
        .at(Stage::Root, || failed("its overlay cannot be made nosuid, nodev and private"))?;
    view.tree = Tree::Detached(tree);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(CWD, &upper, flags, Mode::empty())
        .at(Stage::Root, || failed("the memory of its changes cannot be opened"))
}
