//! Commits of layers as hostile commands could leave them. What only the kernel makes of an overlay (marks of deletion) is made
//! by hand where that may be done; the whole way is shown by `tests/up/disk.rs`.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, XattrFlags, mkdirat, mkfifoat, openat, setxattr, utimensat};
use tempfile::TempDir;

use super::*;

/// A layer, the folder it belongs to, and something outside that nobody may touch.
struct Ground {
    _keep: TempDir,
    layer: PathBuf,
    folder: PathBuf,
    outside: PathBuf,
}

fn bound(bytes: Option<u64>, inodes: Option<u64>) -> Bound {
    Bound { folder: "/w".into(), at: "/w".into(), bytes, inodes, by_quota: false, why_not: None }
}

fn ground() -> Ground {
    let keep = tempfile::tempdir().unwrap();
    let [layer, folder, outside] = ["layer", "folder", "outside"].map(|name| keep.path().join(name));
    for dir in [&layer, &folder, &outside] {
        fs::create_dir(dir).unwrap();
    }
    fs::write(outside.join("secret"), "untouched").unwrap();
    Ground { _keep: keep, layer, folder, outside }
}

impl Ground {
    fn commit(&self, most: Option<u64>) -> Committed {
        let layer = openat(CWD, &self.layer, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        // A folder that its owner is locked out of cannot be measured by an ordinary user; its commit must do all the same.
        let held = measure(&self.folder).unwrap_or_default();
        let done = commit(&layer, &self.folder, most, held.inodes);
        assert_eq!(fs::read_to_string(self.outside.join("secret")).unwrap(), "untouched");
        assert_eq!(fs::read_dir(&self.outside).unwrap().count(), 1);
        assert!(self.temps(&self.folder).is_empty());
        done
    }

    /// Names of ours that were left behind.
    fn temps(&self, dir: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let ours = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(".creel-");
        entries.filter(ours).collect()
    }

    fn write(&self, name: &str, text: &str) {
        write(&self.layer.join(name), text);
    }

    fn before(&self, name: &str, text: &str) {
        write(&self.folder.join(name), text);
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_else(|error| error.to_string())
    }

    fn has(&self, name: &str) -> bool {
        self.folder.join(name).symlink_metadata().is_ok()
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn files_folders_and_links_come_over_as_they_are() {
    let ground = ground();
    ground.before("old", "1");
    ground.before("kept", "k");
    ground.write("old", "2");
    ground.write("a/b/c", "deep");
    chmod(&ground.layer.join("a/b/c"), 0o755);
    let long_ago = rustix::fs::Timespec { tv_sec: 1_000_000_000, tv_nsec: 7 };
    let times = rustix::fs::Timestamps { last_access: long_ago, last_modification: long_ago };
    utimensat(CWD, ground.layer.join("old"), &times, AtFlags::empty()).unwrap();
    symlink("../outside/secret", ground.layer.join("out")).unwrap();
    let inode = fs::metadata(ground.folder.join("kept")).unwrap().ino();
    assert_eq!(ground.commit(None), Committed::default());
    assert_eq!((ground.read("old"), ground.read("a/b/c")), ("2".into(), "deep".into()));
    let of = |name: &str| ground.folder.join(name).symlink_metadata().unwrap();
    assert_eq!((of("a/b/c").mode() & 0o7777, of("old").mtime()), (0o755, 1_000_000_000));
    assert_eq!(fs::read_link(ground.folder.join("out")).unwrap(), Path::new("../outside/secret"));
    assert_eq!(of("kept").ino(), inode);
    // Once more is the same.
    assert_eq!(ground.commit(None), Committed::default());
    assert_eq!(measure(&ground.folder).unwrap().inodes, 6);
}

#[test]
fn no_link_in_the_folder_leads_a_commit_out() {
    let ground = ground();
    // The agent put links where the command had folders and files.
    symlink(&ground.outside, ground.folder.join("dir")).unwrap();
    symlink(ground.outside.join("secret"), ground.folder.join("file")).unwrap();
    symlink("nowhere", ground.folder.join("link")).unwrap();
    ground.write("dir/secret", "stolen");
    ground.write("dir/new", "planted");
    ground.write("file", "overwritten");
    symlink("x", ground.layer.join("link")).unwrap();
    assert_eq!(ground.commit(None), Committed::default());
    assert_eq!((ground.read("dir/secret"), ground.read("file")), ("stolen".into(), "overwritten".into()));
    assert!(ground.folder.join("dir").symlink_metadata().unwrap().is_dir());
    assert!(ground.folder.join("file").symlink_metadata().unwrap().is_file());
}

#[test]
fn a_folder_that_becomes_a_link_while_it_is_written_leads_nowhere() {
    let ground = ground();
    for n in 0..60 {
        ground.write(&format!("d/{n}"), "planted");
    }
    let (dir, aside) = (ground.folder.join("d"), ground.folder.join("aside"));
    fs::create_dir(&dir).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = fs::rename(&dir, &aside);
                let _ = symlink(&ground.outside, &dir);
                let _ = fs::remove_file(&dir);
                let _ = fs::rename(&aside, &dir);
            }
        });
        for _ in 0..4 {
            let layer =
                openat(CWD, &ground.layer, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
            let _whatever = commit(&layer, &ground.folder, None, 0);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(fs::read_dir(&ground.outside).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(ground.outside.join("secret")).unwrap(), "untouched");
}

#[test]
fn what_is_of_another_kind_makes_way() {
    let ground = ground();
    ground.before("was-folder/deep/x", "1");
    ground.before("was-file", "1");
    ground.write("was-folder", "file now");
    ground.write("was-file/x", "folder now");
    assert_eq!(ground.commit(None), Committed::default());
    assert_eq!(
        (ground.read("was-folder"), ground.read("was-file/x")),
        ("file now".into(), "folder now".into())
    );
}

#[test]
fn a_fifo_does_not_come_over_and_nobody_waits_for_it() {
    let ground = ground();
    ground.before("pipe", "a file before");
    mkfifoat(CWD, ground.layer.join("pipe"), Mode::RUSR).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(ground.layer.join("s")).unwrap();
    let done = ground.commit(None);
    let mut special = done.special.clone();
    special.sort();
    assert_eq!(special, ["the FIFO pipe", "the socket s"]);
    assert!(!ground.has("pipe") && !ground.has("s"));
}

#[test]
fn names_of_one_file_share_it_and_holes_stay_holes() {
    let ground = ground();
    ground.write("one", &"x".repeat(1 << 20));
    for n in 0..50 {
        fs::create_dir_all(ground.layer.join("more")).unwrap();
        fs::hard_link(ground.layer.join("one"), ground.layer.join(format!("more/{n}"))).unwrap();
    }
    let hole = File::create(ground.layer.join("hole")).unwrap();
    hole.write_all_at(b"end", (100 << 30) - 3).unwrap();
    assert_eq!(ground.commit(None), Committed::default());
    let held = measure(&ground.folder).unwrap();
    assert_eq!(held.inodes, 53);
    assert!(held.bytes < 3 << 20, "{held:?}");
    let of = |name: &str| fs::metadata(ground.folder.join(name)).unwrap();
    assert_eq!((of("one").ino(), of("one").nlink()), (of("more/7").ino(), 51));
    assert_eq!(of("hole").len(), 100 << 30);
    let mut end = [0; 3];
    File::open(ground.folder.join("hole")).unwrap().read_exact_at(&mut end, (100 << 30) - 3).unwrap();
    assert_eq!(&end, b"end");
}

#[test]
fn a_hard_link_in_the_folder_is_not_written_through() {
    let ground = ground();
    fs::hard_link(ground.outside.join("secret"), ground.folder.join("same")).unwrap();
    ground.write("same", "changed");
    assert_eq!(ground.commit(None), Committed::default());
    assert_eq!(ground.read("same"), "changed");
}

#[test]
fn nobody_gets_a_setuid_bit_or_is_locked_out() {
    let ground = ground();
    ground.write("closed/inner/file", "f");
    ground.write("dark", "d");
    for (name, mode) in
        [("dark", 0o4000), ("closed/inner/file", 0o6755), ("closed/inner", 0o000), ("closed", 0o1000)]
    {
        chmod(&ground.layer.join(name), mode);
    }
    chmod(&ground.layer, 0o700);
    assert_eq!(ground.commit(None), Committed::default());
    let mode = |name: &str| fs::symlink_metadata(ground.folder.join(name)).unwrap().mode() & 0o7777;
    assert_eq!(
        [mode("closed"), mode("closed/inner"), mode("closed/inner/file"), mode("dark")],
        [0o700, 0o700, 0o755, 0]
    );
    // A folder that was closed before opens, too.
    chmod(&ground.folder.join("closed"), 0o000);
    chmod(&ground.layer.join("closed"), 0o755);
    ground.write("closed/more", "m");
    assert_eq!(ground.commit(None), Committed::default());
    assert_eq!((ground.read("closed/more"), mode("closed")), ("m".into(), 0o755));
}

#[test]
fn long_names_come_over_and_what_is_too_deep_is_told() {
    let ground = ground();
    ground.write(&"n".repeat(255), "long");
    ground.write("new\nline\u{1b}[2J", "odd");
    let mut here = openat(CWD, &ground.layer, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..150 {
        mkdirat(&here, "d", Mode::RWXU).unwrap();
        here = openat(&here, "d", OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let done = ground.commit(None);
    assert_eq!(ground.read(&"n".repeat(255)), "long");
    assert!(ground.has("new\nline\u{1b}[2J"));
    assert!(done.failed.len() == 1 && done.failed[0].contains("64 folders deep"), "{done:?}");
    let bound = bound(None, None);
    let told = told(&bound, &done).unwrap();
    assert!(told.starts_with("Not everything") && !told.contains('\n'), "{told}");
}

#[test]
fn there_are_never_more_files_than_allowed() {
    let ground = ground();
    ground.before("a", "1");
    ground.before("b", "2");
    for n in 0..20 {
        ground.write(&format!("many/{n}"), "x");
    }
    ground.write("a", "new");
    let done = ground.commit(Some(10));
    assert_eq!(measure(&ground.folder).unwrap().inodes, 10);
    assert_eq!((done.over, ground.read("a").as_str(), ground.read("b").as_str()), (13, "new", "2"));
    let bound = bound(None, Some(10));
    insta::assert_snapshot!(told(&bound, &done).unwrap());
}

#[test]
fn a_folder_that_stands_for_itself_hides_what_was_below() {
    let ground = ground();
    ground.before("d/old", "1");
    ground.before("d/sub/old", "1");
    ground.write("d/new", "2");
    if let Err(error) = setxattr(ground.layer.join("d"), "user.overlay.opaque", b"y", XattrFlags::empty()) {
        eprintln!("NOT MEASURED HERE: the file system of temporary files has no user attributes: {error}");
        return;
    }
    assert_eq!(ground.commit(None), Committed::default());
    assert!(ground.has("d/new") && !ground.has("d/old") && !ground.has("d/sub"));
}

#[test]
fn a_mark_deletes_what_is_below_and_a_device_does_not() {
    let ground = ground();
    ground.before("gone/deep/er", "1");
    ground.before("also", "1");
    let mark = |name: &str| {
        let kind = rustix::fs::FileType::CharacterDevice;
        rustix::fs::mknodat(CWD, ground.layer.join(name), kind, Mode::empty(), 0)
    };
    if let Err(error) = mark("gone").and_then(|()| mark("also")).and_then(|()| mark("never-there")) {
        eprintln!("NOT MEASURED HERE: marks of deletion cannot be made by this user: {error}");
        return;
    }
    assert_eq!(ground.commit(None), Committed::default());
    assert!(!ground.has("gone") && !ground.has("also") && !ground.has("never-there"));
}

#[test]
fn a_folder_that_is_gone_is_told() {
    let ground = ground();
    fs::remove_dir(&ground.folder).unwrap();
    let layer = openat(CWD, &ground.layer, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let done = commit(&layer, &ground.folder, None, 0);
    assert!(done.failed[0].contains("folder"), "{done:?}");
}

#[test]
fn a_layer_has_the_room_that_is_left() {
    let layer = |bytes, inodes, held| {
        let bound = bound(bytes, inodes);
        let layer = Measured { bound, held }.layer();
        (layer.bytes, layer.inodes)
    };
    let held = Held { bytes: 60, inodes: 7 };
    assert_eq!(layer(Some(100), Some(10), held), (Some(40), Some(3 + 7)));
    assert_eq!(layer(Some(50), None, held), (Some(0), None));
}
