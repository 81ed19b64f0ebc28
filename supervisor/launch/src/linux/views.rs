//! Files and folders of the host as detached mounts, ready to be put into the unit's root.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, statat};
use rustix::mount::{OpenTreeFlags, open_tree};

use super::sys::{self, MountChange};
use crate::error::{At as _, LaunchError, Stage};
use crate::spec::{Access, Ids, LaunchSpec, View};

/// A mount to be made and the place it belongs to.
pub(crate) struct OpenView {
    pub(crate) tree: Tree,
    pub(crate) at: PathBuf,
    pub(crate) is_dir: bool,
}

/// What is mounted.
pub(crate) enum Tree {
    /// A detached mount.
    Detached(OwnedFd),
    /// What is there already, over itself: below a layer the host's own folder would be a way around it.
    Again(Access),
}

/// All views of a spec, outer ones first, and what could not be done about them.
#[derive(Default)]
pub(crate) struct OpenViews {
    pub(crate) views: Vec<OpenView>,
    pub(crate) gaps: Vec<String>,
}

/// Opens every view. A root supervisor passes the unit's `ids`: what belongs to somebody else is mapped so that the unit
/// acts as the owner of the view's top.
pub(crate) fn open_all(
    spec: &LaunchSpec,
    own_program: Option<&Path>,
    ids: Option<Ids>,
) -> Result<OpenViews, LaunchError> {
    let mut wanted = spec.fs.clone();
    if let Some(program) = own_program {
        wanted.push(View::ro(program));
    }
    wanted.sort_by_key(|v| v.at.components().count());
    let mut all = OpenViews::default();
    let mut maps = Maps::default();
    for view in &wanted {
        open_one(view, spec, ids, &mut maps, &mut all)?;
    }
    Ok(all)
}

fn open_one(
    view: &View,
    spec: &LaunchSpec,
    ids: Option<Ids>,
    maps: &mut Maps,
    all: &mut OpenViews,
) -> Result<(), LaunchError> {
    let top =
        openat(CWD, &view.path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).at(Stage::View, || {
            format!(
                "The view {} cannot be opened; create it or take it out of the unit's `fs`",
                view.path.display()
            )
        })?;
    let stat =
        fstat(&top).at(Stage::View, || format!("The view {} cannot be examined", view.path.display()))?;
    let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let layered = spec.layers.iter().any(|layer| layer.at == view.at);
    let map = Wanted { view, ids, stat: &stat, layered };
    let tree = detach(top.as_fd(), "", view.access, &map, maps, &mut all.gaps)?;
    all.views.push(OpenView { tree: Tree::Detached(tree), at: view.at.clone(), is_dir });
    if is_dir && view.access == Access::Rw {
        if spec.protect_git {
            protect_git(view, top.as_fd(), &map, maps, all)?;
        }
        // Nobody outside obeys what is in the home of a sandbox.
        let home = spec.env.get("HOME").is_some_and(|home| Path::new(home) == view.at);
        let paths = if home { &[][..] } else { &spec.protect };
        protect(paths, top.as_fd(), &map, maps, all)?;
    }
    Ok(())
}

struct Wanted<'a> {
    view: &'a View,
    ids: Option<Ids>,
    stat: &'a Stat,
    /// Whether its changes are kept apart.
    layered: bool,
}

/// Puts a read-only mount of `.git` over itself: hooks and configuration in it are run by the host's git.
fn protect_git(
    view: &View,
    top: BorrowedFd<'_>,
    map: &Wanted<'_>,
    maps: &mut Maps,
    all: &mut OpenViews,
) -> Result<(), LaunchError> {
    // Never through a link: an earlier run may have put one there to have some other folder of the host mounted.
    let kind = statat(top, ".git", AtFlags::SYMLINK_NOFOLLOW).map(|s| FileType::from_raw_mode(s.st_mode));
    let is_dir = match kind {
        Ok(FileType::Directory) => true,
        Ok(FileType::RegularFile) => false,
        Ok(_) => {
            all.gaps.push(format!("{}/.git is no folder or file: it is not protected", view.path.display()));
            return Ok(());
        }
        Err(_) => {
            all.gaps.push(format!("{} has no .git yet: the unit may create one", view.path.display()));
            return Ok(());
        }
    };
    let tree = over_itself(top, ".git", Access::Ro, map, maps, &mut all.gaps)?;
    all.views.push(OpenView { tree, at: view.at.join(".git"), is_dir });
    Ok(())
}

/// Puts a read-only mount of each of these over itself. The folders above get mounts of their own, which nobody inside can
/// rename.
fn protect(
    paths: &[String],
    top: BorrowedFd<'_>,
    map: &Wanted<'_>,
    maps: &mut Maps,
    all: &mut OpenViews,
) -> Result<(), LaunchError> {
    let mut held: Vec<&Path> = Vec::new();
    for path in paths {
        let path = Path::new(path);
        let Some((entry, is_dir)) = below(top, path) else { continue };
        let above = path.parent().into_iter().flat_map(Path::ancestors);
        let mut above: Vec<&Path> = above.filter(|p| !p.as_os_str().is_empty()).collect();
        above.reverse();
        let mut wanted = Vec::new();
        for folder in above {
            if !held.contains(&folder) {
                held.push(folder);
                let Some((entry, is_dir)) = below(top, folder) else { continue };
                wanted.push((folder, entry, is_dir, Access::Rw));
            }
        }
        wanted.push((path, entry, is_dir, Access::Ro));
        for (path, entry, is_dir, access) in wanted {
            let tree = over_itself(entry.as_fd(), "", access, map, maps, &mut all.gaps)?;
            all.views.push(OpenView { tree, at: map.view.at.join(path), is_dir });
        }
    }
    Ok(())
}

/// The folder or file at a path that no link leads to. A link can be replaced, which shows after the run.
fn below(top: BorrowedFd<'_>, path: &Path) -> Option<(OwnedFd, bool)> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let entry = openat2(top, path, flags, Mode::empty(), resolve).ok()?;
    match FileType::from_raw_mode(fstat(&entry).ok()?.st_mode) {
        FileType::Directory => Some((entry, true)),
        FileType::RegularFile => Some((entry, false)),
        _ => None,
    }
}

/// A part of a view, to be mounted over itself.
fn over_itself(
    top: BorrowedFd<'_>,
    below: &str,
    access: Access,
    map: &Wanted<'_>,
    maps: &mut Maps,
    gaps: &mut Vec<String>,
) -> Result<Tree, LaunchError> {
    if map.layered {
        return Ok(Tree::Again(access));
    }
    detach(top, below, access, map, maps, gaps).map(Tree::Detached)
}

fn detach(
    top: BorrowedFd<'_>,
    below: &str,
    access: Access,
    map: &Wanted<'_>,
    maps: &mut Maps,
    gaps: &mut Vec<String>,
) -> Result<OwnedFd, LaunchError> {
    let shown = map.view.path.join(below);
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    flags.set(OpenTreeFlags::AT_EMPTY_PATH, below.is_empty());
    let tree = open_tree(top, below, flags).at(Stage::View, || {
        format!("The view {} cannot be taken out of the host's mounts", shown.display())
    })?;
    if let Some(ids) = map.ids {
        let mapped = idmap(&tree, map.stat, ids, maps);
        match (mapped, access) {
            (Ok(()), _) => {}
            // Read-only needs no owner: what "others" may read stays readable.
            (Err(_), Access::Ro) => {
                gaps.push(format!(
                    "{}: the file system maps no ids, only world-readable files open",
                    shown.display()
                ));
            }
            (Err(e), Access::Rw) => {
                return Err(LaunchError::io(
                    Stage::View,
                    &e,
                    format!(
                        "The writable view {} belongs to uid {} and cannot be mapped to the unit's uid {}: its file system \
                         supports no id-mapped mounts; chown it to {}:{} or move it to ext4, xfs, btrfs or tmpfs",
                        shown.display(),
                        map.stat.st_uid,
                        ids.uid,
                        ids.uid,
                        ids.gid
                    ),
                ));
            }
        }
    }
    let read_only = if access == Access::Ro { libc::MOUNT_ATTR_RDONLY } else { 0 };
    let change = MountChange {
        set: libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | read_only,
        private: true,
        idmap: None,
        recursive: true,
    };
    sys::set_mount(tree.as_fd(), &change).at(Stage::View, || {
        format!("The view {} cannot be made nosuid, nodev and private", shown.display())
    })?;
    Ok(tree)
}

/// User namespaces whose only use is the mapping of a mount, one per owner.
#[derive(Default)]
struct Maps {
    known: Vec<(u32, u32, OwnedFd)>,
}

fn idmap(tree: &OwnedFd, stat: &Stat, ids: Ids, maps: &mut Maps) -> std::io::Result<()> {
    if stat.st_uid == ids.uid && stat.st_gid == ids.gid {
        return Ok(());
    }
    let namespace = maps.get(stat.st_uid, stat.st_gid, ids)?;
    let change = MountChange { set: 0, private: false, idmap: Some(namespace), recursive: true };
    sys::set_mount(tree.as_fd(), &change)
}

impl Maps {
    fn get(&mut self, uid: u32, gid: u32, ids: Ids) -> std::io::Result<BorrowedFd<'_>> {
        let found = self.known.iter().position(|(u, g, _)| (*u, *g) == (uid, gid));
        let index = match found {
            Some(index) => index,
            None => {
                self.known.push((uid, gid, mapping(uid, gid, ids)?));
                self.known.len() - 1
            }
        };
        let (_, _, namespace) = self.known.get(index).ok_or(std::io::ErrorKind::NotFound)?;
        Ok(namespace.as_fd())
    }
}

/// Makes a user namespace in which `uid` and `gid` on disk are the unit's ids, and keeps only its descriptor.
fn mapping(uid: u32, gid: u32, ids: Ids) -> std::io::Result<OwnedFd> {
    let (hold, release) = std::io::pipe()?;
    let child = sys::hold_namespace(hold.as_raw_fd(), release.as_raw_fd())?;
    drop(hold);
    let made = write_map(child, "uid_map", uid, ids.uid)
        .and_then(|()| write_map(child, "gid_map", gid, ids.gid))
        .and_then(|()| File::open(format!("/proc/{child}/ns/user")));
    drop(release);
    nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(child), None)?;
    made.map(OwnedFd::from)
}

/// Writes a one-line id map of the process `pid`.
pub(crate) fn write_map(pid: i32, map: &str, inside: u32, outside: u32) -> std::io::Result<()> {
    let mut file = File::options().write(true).open(format!("/proc/{pid}/{map}"))?;
    file.write_all(format!("{inside} {outside} 1\n").as_bytes())
}
