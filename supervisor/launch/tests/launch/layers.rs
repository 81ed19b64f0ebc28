//! A writable view with a layer: what is written goes into memory of a bounded size, and nothing else changes for the unit.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use creel_launch::{Exit, LaunchSpec, Layer, View};

use crate::bench::{folder, is_root, launch, shell};

fn layered(dir: &Path, script: &str) -> LaunchSpec {
    let mut spec = shell(script);
    spec.fs.push(View::rw(dir));
    spec.cwd = dir.to_owned();
    spec.protect = [".git/hooks", ".git/config", "notes.md"].map(str::to_owned).to_vec();
    spec.protect_git = false;
    spec.layers.push(Layer { at: dir.to_owned(), bytes: Some(1 << 20), inodes: Some(20) });
    spec
}

/// Runs to the end; what it printed, and its layer.
fn changes(spec: &LaunchSpec) -> (String, PathBuf, OwnedFd) {
    let running = launch(spec).unwrap();
    let pid = running.unit.pid;
    let fd = running.unit.layers[0].try_clone().unwrap();
    let (exit, text) = running.finish();
    assert_eq!(exit, Exit::Code(0), "{text} of {pid}");
    (text, PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd())), fd)
}

#[test]
fn what_is_written_stays_in_the_layer_and_names_stay_protected() {
    let (_keep, dir) = folder();
    std::fs::create_dir_all(dir.join(".git/hooks")).unwrap();
    for (name, text) in [("old", "1\n"), ("gone", "2"), (".git/config", "3"), ("notes.md", "4")] {
        std::fs::write(dir.join(name), text).unwrap();
    }
    std::fs::create_dir_all(dir.join("sub/below")).unwrap();
    if is_root() {
        // The folder of somebody else, shown to the unit as if it were that one.
        for path in ["", "old", "gone", "sub", "sub/below", ".git", ".git/hooks", ".git/config", "notes.md"] {
            chown(dir.join(path), Some(12_345), Some(12_345)).unwrap();
        }
    }
    let script = "echo more >> old && rm gone && echo n > new && mkdir -p a/b && mv new a/b/ && rm -r sub && mkdir sub
        echo h > .git/hooks/x; echo c > .git/config; echo n > notes.md; mv .git moved; rm -rf .git; echo ok > .git/other; cat old a/b/new; ls sub";
    let (text, layer, _held) = changes(&layered(&dir, script));
    assert!(text.contains("1\nmore\nn\n"), "{text}");
    assert_eq!(text.matches("Read-only file system").count(), 3, "{text}");
    for (name, still) in [("old", "1\n"), ("gone", "2"), (".git/config", "3"), ("notes.md", "4")] {
        assert_eq!(std::fs::read_to_string(dir.join(name)).unwrap(), still, "{name} {text}");
    }
    assert!(dir.join("sub/below").exists() && !dir.join("a").exists() && !dir.join(".git/other").exists());
    assert_eq!(std::fs::read_to_string(layer.join("old")).unwrap(), "1\nmore\n");
    assert_eq!(std::fs::read_to_string(layer.join("a/b/new")).unwrap(), "n\n");
    assert_eq!(std::fs::read_to_string(layer.join(".git/other")).unwrap(), "ok\n");
    let gone = layer.join("gone").symlink_metadata().unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert!(layer.join("sub").is_dir() && !layer.join(".git/hooks/x").exists());
}

#[test]
fn bytes_and_files_are_bounded() {
    let (_keep, dir) = folder();
    let script = "i=0; while [ $i -lt 40 ] && touch f$i; do i=$((i+1)); done; echo $i; rm f*
        head -c 3000000 /dev/zero > big; ls -l big | cut -d' ' -f5";
    let (text, ..) = changes(&layered(&dir, script));
    let full = text.matches("No space left on device").count();
    assert_eq!(full, 2, "{text}");
    let made = text.lines().find_map(|line| line.parse::<u64>().ok());
    assert!(made.is_some_and(|made| (15..=20).contains(&made)), "{text}");
    let kept: u64 = text.lines().last().unwrap().parse().unwrap();
    assert!(kept <= 1 << 20, "{text}");
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
}

#[test]
fn the_unit_finds_its_folder_as_it_was_and_no_trace_of_the_layer() {
    let (_keep, dir) = folder();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o750)).unwrap();
    let (text, ..) = changes(&layered(&dir, "stat -c %a . ; ls -d /layer; ls -a"));
    assert!(text.starts_with("750\n") && text.contains("/layer") && text.ends_with(".\n..\n"), "{text}");
}

#[test]
fn a_layer_of_no_view_is_refused() {
    let (_keep, dir) = folder();
    let mut spec = layered(&dir, "true");
    spec.layers[0].at = "/elsewhere".into();
    assert!(launch(&spec).err().unwrap().sentence.contains("none of its views"));
}
