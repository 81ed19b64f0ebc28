//! What is taken away, what stays, and what nobody may be held up by.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use super::*;

struct Home {
    _keep: tempfile::TempDir,
    workspace: PathBuf,
    quarantine: PathBuf,
}

fn home() -> Home {
    let keep = tempfile::tempdir().unwrap();
    let (workspace, quarantine) = (keep.path().join("ws"), keep.path().join("quarantine"));
    fs::create_dir(&workspace).unwrap();
    Home { _keep: keep, workspace, quarantine }
}

impl Home {
    fn write(&self, path: &str, text: &str) {
        let path = self.workspace.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn sh(&self, script: &str) {
        let done = Command::new("sh").args(["-ec", script]).current_dir(&self.workspace).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    /// What is found after `run`, which begins now.
    fn after(&self, run: impl FnOnce()) -> Findings {
        // The file system's clock must go on from what was made before.
        let old = fs::metadata(&self.workspace).unwrap().modified().unwrap();
        loop {
            fs::write(self.quarantine.with_extension("tick"), "").unwrap();
            let now = fs::metadata(self.quarantine.with_extension("tick")).unwrap().modified().unwrap();
            if now > old + std::time::Duration::from_millis(20) {
                break;
            }
            std::thread::yield_now();
        }
        let look = Look::from_now(&self.workspace, self.quarantine.clone(), "main", "t1:2");
        run();
        look.look(true)
    }

    fn has(&self, path: &str) -> bool {
        self.workspace.join(path).symlink_metadata().is_ok()
    }
}

#[test]
fn what_the_host_obeys_is_moved_and_what_was_there_before_stays() {
    let home = home();
    home.write("old/.envrc", "mine");
    home.write(".claude/settings.json", "mine");
    home.write("MEMORY.md", "mine");
    let found = home.after(|| {
        home.write(".envrc", "x");
        home.write("deep/er/.envrc", "x");
        home.write(".openclaw/hooks.json", "x");
        home.write("SOUL.md", "x");
        home.write("docs/SOUL.md", "only a file");
        home.write("src/main.rs", "");
        std::os::unix::fs::symlink("/etc", home.workspace.join(".vscode")).unwrap();
    });
    let mut moved = found.moved.clone();
    moved.sort();
    assert_eq!(moved, [".envrc", ".openclaw", ".vscode", "SOUL.md", "deep/er/.envrc"]);
    assert!(found.left.is_empty() && !found.incomplete, "{found:?}");
    for stays in ["old/.envrc", ".claude/settings.json", "MEMORY.md", "docs/SOUL.md", "src/main.rs"] {
        assert!(home.has(stays), "{stays}");
    }
    for gone in [".envrc", "deep/er/.envrc", ".openclaw", "SOUL.md", ".vscode"] {
        assert!(!home.has(gone), "{gone}");
    }
    assert!(
        found.told().contains(".openclaw") && found.told().contains("quarantine list"),
        "{}",
        found.told()
    );
    let second = home.after(|| ());
    assert!(second.is_empty(), "{second:?}");
}

#[test]
fn a_fresh_repository_stays_usable_and_loses_only_what_executes() {
    let home = home();
    let found = home.after(|| {
        home.sh("git init -q plain; cd plain; git remote add origin https://example.org/x.git");
        home.sh("git init -q evil; cd evil; echo x > .git/hooks/pre-commit; git config core.fsmonitor ./x");
        home.sh("git init -q --bare b; git -C b config core.hooksPath /x; echo x > b/hooks/post-update");
        home.sh("mkdir c; echo ../x > c/commondir; echo ref: x > c/HEAD; git init -q .; ln -s ../../x .git/hooks/update");
    });
    let mut moved = found.moved.clone();
    moved.sort();
    assert_eq!(
        moved,
        [
            ".git/hooks/update",
            "b/config",
            "b/hooks/post-update",
            "c/commondir",
            "evil/.git/config",
            "evil/.git/hooks/pre-commit"
        ]
    );
    home.sh("git -C plain remote get-url origin; git -C plain status");
}

#[test]
fn a_repository_of_the_operators_keeps_its_hooks_when_an_agent_commits_in_it() {
    let home = home();
    home.sh("git init -q mine; cd mine; echo true > .git/hooks/pre-commit; git config alias.x '!true'");
    let found = home.after(|| {
        home.sh("cd mine; git switch -q -c other; echo 1 > a; git add a; git -c user.name=a -c user.email=b commit -qm x");
    });
    assert!(found.is_empty(), "{found:?}");
    // Made of parts that were harmless each in its own run.
    let formed = self::home();
    formed.write("d/config", "[core]\nfsmonitor = x\n");
    formed.write("d/hooks/pre-commit", "x");
    let found = formed.after(|| formed.sh("mkdir d/refs d/objects; echo 'ref: refs/heads/x' > d/HEAD"));
    assert_eq!(found.moved, ["d/config", "d/hooks/pre-commit"]);
    let moved = self::home();
    moved.write("h/pre-commit", "x");
    moved.sh("git init -q r; rm -r r/.git/hooks");
    let found = moved.after(|| moved.sh("mv h r/.git/hooks"));
    assert_eq!(found.moved, ["r/.git/hooks/pre-commit"]);
}

#[test]
fn fifos_and_sockets_are_removed_unless_another_run_may_use_them() {
    let home = home();
    home.sh("mkfifo old.md");
    let found = home.after(|| {
        home.sh("mkdir -p sub .git; mkfifo sub/l11.md .git/index .git/config; mkfifo .envrc");
        let _socket = std::os::unix::net::UnixListener::bind(home.workspace.join("s")).unwrap();
    });
    let mut removed = found.removed.clone();
    removed.sort();
    assert_eq!(removed, ["the FIFO .git/index", "the FIFO sub/l11.md", "the socket s"]);
    let mut moved = found.moved.clone();
    moved.sort();
    assert_eq!(moved, [".envrc", ".git/config"]);
    assert!(fs::symlink_metadata(home.workspace.join("old.md")).unwrap().file_type().is_fifo());

    let look = Look::from_now(&home.workspace, home.quarantine.clone(), "main", "other");
    home.sh("mkfifo used");
    let found = look.look(false);
    assert!(home.has("used") && found.left.len() == 1, "{found:?}");
}

#[test]
fn no_link_leads_out_and_no_number_of_files_hides_the_top() {
    let home = home();
    let outside = tempfile::tempdir().unwrap();
    let found = home.after(|| {
        fs::write(outside.path().join(".envrc"), "not ours").unwrap();
        std::os::unix::fs::symlink(outside.path(), home.workspace.join("link")).unwrap();
        std::os::unix::fs::symlink(outside.path(), home.workspace.join(".git")).unwrap();
        for n in 0..3 {
            let dir = home.workspace.join(format!("a{n}"));
            fs::create_dir(&dir).unwrap();
            for m in 0..900 {
                fs::write(dir.join(format!("{m}")), "").unwrap();
            }
        }
        home.write(".mcp.json", "x");
    });
    assert!(found.incomplete && found.told().contains("more in what it may write"), "{found:?}");
    assert_eq!(found.moved, [".mcp.json", ".git"]);
    assert!(outside.path().join(".envrc").exists());
}

#[test]
fn the_operator_brings_a_thing_back_or_drops_it() {
    let home = home();
    home.after(|| {
        home.write(".envrc", "x");
        home.write(".vscode/tasks.json", "y");
    });
    let mut all = list(&home.quarantine);
    let (folder, quarantined) = all.first_mut().unwrap();
    assert_eq!(
        (quarantined.agent.as_str(), quarantined.run.as_str(), quarantined.items.len()),
        ("main", "t1:2", 2)
    );
    let mode = fs::metadata(&home.quarantine).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    home.write(".envrc", "somebody else's");
    restore(folder, quarantined, Path::new(".envrc")).unwrap_err();
    restore(folder, quarantined, Path::new(".vscode")).unwrap();
    assert_eq!(fs::read_to_string(home.workspace.join(".vscode/tasks.json")).unwrap(), "y");
    drop_run(folder).unwrap();
    assert!(list(&home.quarantine).is_empty());
}

#[test]
fn each_folder_of_a_run_has_its_own_list_and_is_named() {
    let home = home();
    let bound = home.workspace.with_file_name("bound");
    fs::create_dir(&bound).unwrap();
    fs::write(bound.join("kept"), "").unwrap();
    let look = |bind, folder: &Path| Look {
        bind,
        ..Look::from_now(folder, home.quarantine.clone(), "main", "t1:2")
    };
    let looks = vec![(look(false, &home.workspace), true), (look(true, &bound), true)];
    for folder in [&home.workspace, &bound] {
        fs::write(folder.join(".envrc"), folder.display().to_string()).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let found = runtime.block_on(look_aside(looks.clone())).unwrap();
    assert_eq!(found.moved, [".envrc".to_owned(), format!(".envrc (in {})", bound.display())]);
    // The same run once more, as after an upgrade: nothing is written over.
    fs::write(bound.join(".envrc"), "again").unwrap();
    assert_eq!(runtime.block_on(look_aside(looks)).unwrap().moved.len(), 1);
    let mut lists = list(&home.quarantine);
    lists.sort_by_key(|(_, list)| list.items.len());
    let [(_, first), (folder, second)] = &mut lists[..] else { panic!("{lists:?}") };
    assert_eq!((&first.workspace, &second.workspace), (&home.workspace, &bound));
    restore(folder, second, Path::new(".envrc")).unwrap();
    assert_eq!(fs::read_to_string(bound.join(".envrc")).unwrap(), bound.display().to_string());
    assert!(bound.join("kept").exists() && !home.has(".envrc"));
}
