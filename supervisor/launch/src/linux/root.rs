//! The private root of a unit: an allow-list on a small tmpfs, never the host's root with parts taken away.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{CWD, Dev, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat, openat2, symlinkat};
use rustix::mount::{
    MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
    mount_remount, move_mount, open_tree, unmount,
};

use super::layer;
use super::sys::{self, MountChange};
use super::views::{OpenView, Tree};
use crate::error::{At as _, LaunchError, Stage};
use crate::profile::{Proc, RoleProfile};
use crate::spec::{Access, Ids, LaunchSpec};

/// Where the new root stands until it becomes the root; what it covers on the host's side is of no further use.
const SCAFFOLD: [&str; 4] = ["/tmp", "/mnt", "/var", "/run"];

const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Parts of `/proc` that tell about the host (empty for a reader) ...
const COVERED: [&str; 14] = [
    "kcore",
    "keys",
    "key-users",
    "kallsyms",
    "kmsg",
    "kpagecount",
    "kpageflags",
    "kpagecgroup",
    "modules",
    "cmdline",
    "sched_debug",
    "timer_list",
    "sysrq-trigger",
    "config.gz",
];

/// ... or administer it (read-only; writing is refused by ownership already).
const FROZEN: [&str; 4] = ["sys", "bus", "irq", "fs"];

/// A folder of the host that may be covered.
pub(super) fn scaffold() -> Result<&'static str, LaunchError> {
    SCAFFOLD.into_iter().find(|p| Path::new(p).is_dir()).ok_or_else(|| {
        LaunchError::new(
            Stage::Root,
            format!("The host has none of the folders {SCAFFOLD:?} to build a root on."),
        )
    })
}

/// Builds the root around the given views and enters it. `ids` are the unit's, as it sees itself. `laid`: the folders of layers
/// that the views have already. Returns those of the spec's layers.
pub(crate) fn enter(
    profile: &RoleProfile,
    spec: &LaunchSpec,
    ids: Ids,
    views: &[OpenView],
    laid: Vec<OwnedFd>,
) -> Result<Vec<OwnedFd>, LaunchError> {
    let tmp_bytes = spec.tmp_bytes;
    let scaffold = scaffold()?;
    // Opened before the scaffold may cover one of them.
    let system =
        profile.system.iter().chain(&profile.etc).map(|p| host_entry(p)).collect::<Result<Vec<_>, _>>()?;
    fresh(scaffold, "tmpfs", "mode=755,size=4m,nr_inodes=4096")?;
    rustix::process::chdir(scaffold).at(Stage::Root, || "The new root cannot be entered")?;
    let root = openat(CWD, ".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .at(Stage::Root, || "The new root cannot be opened")?;
    for dir in ["proc", "dev", "tmp", "etc"] {
        make_dir(dir)?;
    }
    for entry in system.into_iter().flatten() {
        place_system(&root, entry)?;
    }
    accounts(ids)?;
    fresh("tmp", "tmpfs", &format!("mode=1777,size={tmp_bytes},nr_inodes=65536"))?;
    devices(profile)?;
    proc_folder(profile.proc)?;
    let own = [device_of(&root)?, device_of(&open_path("tmp")?)?];
    let mut layers = layer::Stack::of(spec, laid);
    for view in views {
        let place = || spot(root.as_fd(), &view.at, view.is_dir, &own);
        let target = place()?;
        match &view.tree {
            Tree::Detached(tree) => attach(tree, &target),
            Tree::Again(access) => over_itself(&target, *access),
        }
        .at(Stage::View, || format!("Nothing can be mounted at {}", view.at.display()))?;
        layers.cover(&view.at, place)?;
    }
    swap(&root)?;
    layers.finish()
}

fn over_itself(target: &OwnedFd, access: Access) -> rustix::io::Result<()> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = open_tree(target, "", flags)?;
    let read_only = if access == Access::Ro { libc::MOUNT_ATTR_RDONLY } else { 0 };
    let set = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | read_only;
    let change = MountChange { set, private: true, ..MountChange::default() };
    sys::set_mount(tree.as_fd(), &change)
        .map_err(|error| rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO))?;
    attach(&tree, target)
}

/// Something of the host's system folders, as it will appear.
enum HostEntry {
    Link { at: String, to: String },
    Tree { at: String, tree: OwnedFd, is_dir: bool },
}

fn host_entry(path: &str) -> Result<Option<HostEntry>, LaunchError> {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return Ok(None) };
    if meta.is_symlink() {
        let to = std::fs::read_link(path).at(Stage::Root, || format!("The link {path} cannot be read"))?;
        // A link into the system folders stays a link (zone names are read from it); any other is replaced by its target.
        let into_usr = to.starts_with("/usr") || to.starts_with("usr");
        if let (true, Some(to)) = (into_usr, to.to_str()) {
            return Ok(Some(HostEntry::Link { at: path.to_owned(), to: to.to_owned() }));
        }
    }
    let Ok(meta) = std::fs::metadata(path) else { return Ok(None) };
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, path, flags)
        .at(Stage::Root, || format!("The system folder {path} cannot be mounted"))?;
    let change = MountChange {
        set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        private: true,
        idmap: None,
        recursive: true,
    };
    sys::set_mount(tree.as_fd(), &change).at(Stage::Root, || format!("{path} cannot be made read-only"))?;
    Ok(Some(HostEntry::Tree { at: path.to_owned(), tree, is_dir: meta.is_dir() }))
}

fn place_system(root: &OwnedFd, entry: HostEntry) -> Result<(), LaunchError> {
    match entry {
        HostEntry::Link { at, to } => symlinkat(&to, root, at.trim_start_matches('/'))
            .at(Stage::Root, || format!("The link {at} cannot be made in the new root")),
        HostEntry::Tree { at, tree, is_dir } => {
            let own = [device_of(root)?];
            let target = spot(root.as_fd(), Path::new(&at), is_dir, &own)?;
            attach(&tree, &target).at(Stage::Root, || format!("{at} cannot be mounted in the new root"))
        }
    }
}

pub(super) fn attach(tree: &OwnedFd, target: &OwnedFd) -> rustix::io::Result<()> {
    move_mount(
        tree,
        "",
        target,
        "",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH,
    )
}

/// Opens the mount point `at` below the new root, making what is missing, but only on our own tmpfs: nothing is ever
/// created in a folder of the host. Never goes through a link: views of the host may hold hostile ones.
fn spot(root: BorrowedFd<'_>, at: &Path, is_dir: bool, own: &[Dev]) -> Result<OwnedFd, LaunchError> {
    let refuse = |why: &str| {
        LaunchError::new(
            Stage::View,
            format!("The place {} inside the unit cannot be used: {why}. Choose another `at`.", at.display()),
        )
    };
    let mut names = Vec::new();
    for component in at.components() {
        match component {
            Component::RootDir => {}
            Component::Normal(name) => names.push(name),
            _ => return Err(refuse("it must be absolute and without \"..\"")),
        }
    }
    let Some(last) = names.len().checked_sub(1) else { return Err(refuse("it is the root itself")) };
    let step = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let mut here = openat(root, ".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .at(Stage::View, || "The new root cannot be opened")?;
    for (i, name) in names.iter().enumerate() {
        let as_dir = i < last || is_dir;
        let mut flags = OFlags::PATH | OFlags::CLOEXEC;
        flags.set(OFlags::DIRECTORY, as_dir);
        let opened = match openat2(&here, *name, flags, Mode::empty(), step) {
            Err(rustix::io::Errno::NOENT) => {
                if !own.contains(&device_of(&here)?) {
                    return Err(refuse(&format!(
                        "{:?} does not exist in the folder of the host it lies in",
                        name
                    )));
                }
                make_at(&here, Path::new(name), as_dir)?;
                openat2(&here, *name, flags, Mode::empty(), step)
            }
            other => other,
        };
        here = opened
            .at(Stage::View, || format!("The place {} inside the unit cannot be used", at.display()))?;
    }
    Ok(here)
}

fn make_at(dir: &OwnedFd, name: &Path, as_dir: bool) -> Result<(), LaunchError> {
    let made = if as_dir {
        mkdirat(dir, name, Mode::from_raw_mode(0o755))
    } else {
        openat(
            dir,
            name,
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC,
            Mode::from_raw_mode(0o444),
        )
        .map(drop)
    };
    made.at(Stage::Root, || format!("{} cannot be made in the new root", name.display()))
}

fn accounts(ids: Ids) -> Result<(), LaunchError> {
    let Ids { uid, gid } = ids;
    let texts = [
        (
            "etc/passwd",
            format!("creel:x:{uid}:{gid}:creel:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
        ),
        ("etc/group", format!("creel:x:{gid}:\nnogroup:x:65534:\n")),
        ("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n".to_owned()),
        ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n".to_owned()),
    ];
    for (path, text) in texts {
        // Where the role mounts the host's file, that one stands.
        if !Path::new(path).exists() {
            std::fs::write(path, text)
                .at(Stage::Root, || format!("/{path} cannot be written in the new root"))?;
        }
    }
    Ok(())
}

fn devices(profile: &RoleProfile) -> Result<(), LaunchError> {
    // A name for the terminal that the unit was given, if it was given one.
    let terminal = rustix::termios::isatty(rustix::stdio::stdin()).then_some("tty");
    for name in DEVICES.into_iter().chain(terminal) {
        let at = format!("dev/{name}");
        std::fs::write(&at, "")
            .and_then(|()| mount_bind(format!("/dev/{name}"), &at).map_err(io::Error::from))
            .at(Stage::Root, || format!("The device /{at} cannot be given to the unit"))?;
    }
    for (name, to) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlinkat(to, CWD, format!("dev/{name}"))
            .at(Stage::Root, || format!("/dev/{name} cannot be made"))?;
    }
    if profile.terminal {
        make_dir("dev/pts")?;
        fresh("dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620")?;
        symlinkat("pts/ptmx", CWD, "dev/ptmx").at(Stage::Root, || "/dev/ptmx cannot be made")?;
    }
    if profile.shm_bytes > 0 {
        make_dir("dev/shm")?;
        fresh("dev/shm", "tmpfs", &format!("mode=1777,size={},nr_inodes=4096", profile.shm_bytes))?;
    }
    Ok(())
}

fn proc_folder(form: Proc) -> Result<(), LaunchError> {
    if form == Proc::Own {
        return fresh("proc", "proc", "hidepid=2,subset=pid");
    }
    fresh("proc", "proc", "hidepid=2")?;
    for name in COVERED {
        match mount_bind("/dev/null", format!("proc/{name}")) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(e) => {
                return Err(LaunchError::io(
                    Stage::Root,
                    &e.into(),
                    format!("/proc/{name} cannot be covered"),
                ));
            }
        }
    }
    let frozen =
        MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    for name in FROZEN {
        let at = format!("proc/{name}");
        match mount_bind_recursive(&at, &at).and_then(|()| mount_remount(&at, frozen, "")) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(e) => {
                return Err(LaunchError::io(
                    Stage::Root,
                    &e.into(),
                    format!("/{at} cannot be made read-only"),
                ));
            }
        }
    }
    Ok(())
}

/// Makes the scaffold the root, lets the old one go, and freezes the new one.
fn swap(root: &OwnedFd) -> Result<(), LaunchError> {
    // Both on the same spot: the old root then lies over the new one and is taken off.
    rustix::process::pivot_root(".", ".").at(Stage::Root, || "The root cannot be changed")?;
    unmount(".", UnmountFlags::DETACH).at(Stage::Root, || "The host's root cannot be let go")?;
    rustix::process::chdir("/").at(Stage::Root, || "The new root cannot be entered")?;
    let change = MountChange {
        set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        ..MountChange::default()
    };
    sys::set_mount(root.as_fd(), &change).at(Stage::Root, || "The new root cannot be made read-only")
}

pub(super) fn fresh(at: &str, kind: &str, options: &str) -> Result<(), LaunchError> {
    let mut flags = MountFlags::NOSUID;
    flags.set(MountFlags::NODEV, kind != "devpts");
    flags.set(MountFlags::NOEXEC, kind != "tmpfs");
    let options =
        CString::new(options).map_err(|_| LaunchError::new(Stage::Root, "A mount option holds a NUL."))?;
    mount(kind, at, kind, flags, options.as_c_str()).at(Stage::Root, || {
        let why = if kind == "proc" {
            "; where a container runtime masks /proc, run it with an unmasked one or use level L1"
        } else {
            ""
        };
        format!("A fresh {kind} cannot be mounted at {at}{why}")
    })
}

pub(super) fn make_dir(path: &str) -> Result<(), LaunchError> {
    mkdirat(CWD, path, Mode::from_raw_mode(0o755))
        .at(Stage::Root, || format!("/{path} cannot be made in the new root"))
}

fn open_path(path: &str) -> Result<OwnedFd, LaunchError> {
    openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .at(Stage::Root, || format!("/{path} cannot be opened in the new root"))
}

fn device_of(fd: &OwnedFd) -> Result<Dev, LaunchError> {
    fstat(fd).map(|s| s.st_dev).at(Stage::Root, || "A folder of the new root cannot be examined")
}
