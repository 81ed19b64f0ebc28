use std::io::Read;
use std::os::unix::fs::symlink;

use super::*;

struct Place {
    home: tempfile::TempDir,
    workspace: Workspace,
}

fn place() -> Place {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("ws");
    std::fs::create_dir_all(root.join("sub")).unwrap();
    std::fs::write(root.join("a.txt"), "inside").unwrap();
    std::fs::write(home.path().join("secret"), "outside").unwrap();
    let workspace = Workspace::open(root.to_str().unwrap()).unwrap();
    Place { home, workspace }
}

impl Place {
    fn root(&self) -> PathBuf {
        self.home.path().join("ws")
    }

    fn text(&self, path: &str) -> Result<String, WorkspaceError> {
        let (mut file, _) = self.workspace.read(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        Ok(text)
    }
}

#[test]
fn paths_that_stay_inside_are_read() {
    let place = place();
    symlink("a.txt", place.root().join("link")).unwrap();
    let absolute = place.root().join("a.txt");
    for path in ["a.txt", "./a.txt", "sub/../a.txt", "sub/./../a.txt", "link", absolute.to_str().unwrap()] {
        assert_eq!(place.text(path).unwrap(), "inside", "{path}");
    }
}

#[test]
fn no_way_leads_out() {
    let place = place();
    let root = place.root();
    symlink("/etc", root.join("etc")).unwrap();
    symlink("../secret", root.join("up")).unwrap();
    symlink("sub/../../secret", root.join("sideways")).unwrap();
    symlink("/proc/self/root", root.join("magic")).unwrap();
    symlink(place.home.path().join("secret"), root.join("absolute")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    let sibling = format!("{}-other/x", root.display());
    for path in [
        "../secret",
        "sub/../../secret",
        "/etc/passwd",
        "etc/passwd",
        "up",
        "sideways",
        "magic/etc/passwd",
        "absolute",
        "~/x",
        "",
        "loop",
        "/proc/self/root/etc/passwd",
        "/proc/self/cwd",
        "..",
        &sibling,
        "a\0b",
    ] {
        let error = place.text(path).unwrap_err();
        assert!(matches!(error, WorkspaceError::Outside { .. }), "{path:?}: {error}");
        let error = place.workspace.write(&format!("{path}/x"), b"x");
        assert!(error.is_err() || path.is_empty(), "{path:?} was written to");
    }
    assert_eq!(std::fs::read_to_string(place.home.path().join("secret")).unwrap(), "outside");
    assert!(!place.home.path().join("x").exists());
}

#[test]
fn a_write_never_goes_through_a_link() {
    let place = place();
    symlink("../secret", place.root().join("up")).unwrap();
    symlink("..", place.root().join("parent")).unwrap();
    for path in ["up", "parent/secret", "../secret", "parent/new", "sub/../../new"] {
        place.workspace.write(path, b"overwritten").unwrap_err();
    }
    assert_eq!(std::fs::read_to_string(place.home.path().join("secret")).unwrap(), "outside");
    assert!(!place.home.path().join("new").exists());
}

#[test]
fn a_hard_link_is_broken_by_writing_so_that_its_other_name_keeps_the_old_text() {
    let place = place();
    std::fs::hard_link(place.home.path().join("secret"), place.root().join("hard")).unwrap();
    place.workspace.write("hard", b"new").unwrap();
    assert_eq!(place.text("hard").unwrap(), "new");
    assert_eq!(std::fs::read_to_string(place.home.path().join("secret")).unwrap(), "outside");
}

#[test]
fn what_is_no_file_is_named_and_never_waited_for() {
    let place = place();
    let fifo = place.root().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.root().join("socket")).unwrap();
    let seen: Vec<String> = ["fifo", "socket", "sub", "missing", "."]
        .iter()
        .flat_map(|path| {
            let read = place.text(path).unwrap_err().to_string();
            let written = place.workspace.write(path, b"").err().map(|error| error.to_string());
            [read, written.unwrap_or_else(|| "written".to_owned())]
        })
        .collect();
    insta::assert_snapshot!(seen.join("\n"));
}

#[test]
fn writing_makes_folders_keeps_the_mode_and_leaves_nothing_behind() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    place.workspace.write("deep/er/file.md", b"text").unwrap();
    assert_eq!(place.text("deep/er/file.md").unwrap(), "text");
    let script = place.root().join("run.sh");
    std::fs::write(&script, "#!/bin/sh").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    place.workspace.write("run.sh", b"#!/bin/sh\ntrue").unwrap();
    assert_eq!(script.metadata().unwrap().permissions().mode() & 0o777, 0o755);
    let names = std::fs::read_dir(place.root()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().ends_with(".tmp")));
    let error = place.workspace.write("big", &vec![0; MAX_FILE as usize + 1]).unwrap_err();
    assert!(matches!(error, WorkspaceError::TooBig { .. }));
}

#[test]
fn without_openat2_the_walk_takes_no_link_and_no_way_up() {
    let place = place();
    symlink("a.txt", place.root().join("link")).unwrap();
    symlink("sub", place.root().join("folder")).unwrap();
    std::fs::write(place.root().join("sub/b"), "").unwrap();
    let walk = |path: &str| step_by_step(&place.workspace.root, Path::new(path), OFlags::RDONLY);
    walk("a.txt").unwrap();
    walk("sub/b").unwrap();
    for path in ["link", "folder/b", "../secret", "sub/../a.txt", "/etc/passwd"] {
        assert!(walk(path).is_err(), "{path}");
    }
}

#[test]
fn what_the_host_obeys_is_not_written_by_any_way() {
    let place = place();
    std::fs::create_dir(place.root().join(".vscode")).unwrap();
    symlink(".vscode", place.root().join("link")).unwrap();
    for path in [
        ".envrc",
        "sub/.envrc",
        ".git/hooks/x",
        "sub/.git/config",
        ".vscode/tasks.json",
        "link/tasks.json",
        "sub/../.vscode/tasks.json",
        ".claude/settings.json",
    ] {
        let refused = place.workspace.write(path, b"x").unwrap_err();
        assert!(matches!(refused, WorkspaceError::Protected { .. }), "{path}: {refused}");
    }
    for path in ["AGENTS.md", "MEMORY.md", "sub/.vscode/x", ".gitignore"] {
        place.workspace.write(path, b"x").unwrap();
    }
}

#[test]
fn a_refusal_is_noted_and_a_mistake_is_not() {
    let place = place();
    let root = place.root();
    symlink("../secret", root.join("up")).unwrap();
    let noted = |path: &str, write: bool| {
        let done = match write {
            true => place.workspace.write(path, b"x"),
            false => place.workspace.read(path).map(drop),
        };
        assert_eq!(done.is_ok(), path == "a.txt", "{path}");
        place.workspace.refused()
    };
    let refusals = [("up", Refusal::Outside), ("/proc/self/mem", Refusal::Outside)];
    for (path, why) in refusals {
        assert_eq!(noted(path, false), Some(why), "{path}");
    }
    assert_eq!(noted(".git/hooks/pre-commit", true), Some(Refusal::Protected));
    assert_eq!(noted("up", true), Some(Refusal::NotAFile));
    for (path, write) in [("a.txt", false), ("missing", false), ("sub", false), ("sub", true)] {
        assert_eq!(noted(path, write), None, "{path}");
    }
}
