//! What a unit is, sees and may do.

use std::os::unix::fs::MetadataExt as _;

use creel_launch::{Access, Exit, Ids, Level, Role, View};

use crate::bench::{at, folder, is_root, launch, run, shell, worker};

#[test]
fn a_tool_is_nobody_with_no_privileges_and_the_report_says_so() {
    let running = launch(&shell("id -u; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status")).unwrap();
    let isolation = running.unit.isolation.clone();
    let (exit, text) = running.finish();
    assert_eq!(exit, Exit::Code(0));
    let uid: u32 = text.lines().next().unwrap().parse().unwrap();
    assert_ne!(uid, 0);
    assert_eq!((isolation.uid, isolation.level), (uid, Level::L2));
    assert!(isolation.no_new_privs && isolation.caps_empty && isolation.landlock_abi > 0);
    assert_eq!(isolation.namespaces, ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"]);
    assert!(text.contains("NoNewPrivs:\t1") && text.contains("Seccomp:\t2"), "{text}");
    for set in text.lines().filter(|l| l.starts_with("Cap")) {
        assert!(set.ends_with("\t0000000000000000"), "{set}");
    }
    if is_root() {
        assert_eq!(uid, Ids::for_units().uid);
    }
}

#[test]
fn nothing_above_stderr_is_inherited() {
    // An open descriptor without close-on-exec, as a careless library might leave it.
    let leak = std::fs::File::open("/").unwrap();
    // SAFETY: takes no pointers and acts on a descriptor we own.
    unsafe { libc::fcntl(std::os::fd::AsRawFd::as_raw_fd(&leak), libc::F_SETFD, 0) };
    for level in [Level::L2, Level::L1] {
        let (exit, text) = run(&at(level, worker(Role::Channel, "descriptors")));
        assert_eq!((exit, text.as_str()), (Exit::Code(0), "open []\n"));
    }
}

#[test]
fn what_is_not_shown_is_not_there() {
    let (_keep, dir) = folder();
    std::fs::write(dir.join("secret"), "s").unwrap();
    let path = dir.join("secret").display().to_string();
    let (exit, text) =
        run(&shell(&format!("cat {path} /etc/shadow; ls /root /home; touch /usr/x /x; echo end")));
    assert_eq!(exit, Exit::Code(0));
    assert!(text.ends_with("end\n"));
    assert_eq!(text.matches("No such file or directory").count(), 4, "{text}");
    assert_eq!(
        text.matches("Read-only file system").count() + text.matches("Permission denied").count(),
        2,
        "{text}"
    );
}

#[test]
fn the_environment_is_the_specs_alone() {
    let mut spec = shell("env | grep -v -E '^(PWD|SHLVL|_)='");
    spec.env.insert("GREETING".into(), "hello".into());
    assert_eq!(run(&spec).1, "GREETING=hello\n");
}

#[test]
fn a_writable_view_writes_as_its_owner() {
    let (_keep, dir) = folder();
    let mut spec = shell("echo text > made && cat made");
    spec.fs.push(View::rw(&dir));
    spec.cwd.clone_from(&dir);
    assert_eq!(run(&spec), (Exit::Code(0), "text\n".into()));
    let (made, top) = (std::fs::metadata(dir.join("made")).unwrap(), std::fs::metadata(&dir).unwrap());
    assert_eq!((made.uid(), made.gid()), (top.uid(), top.gid()));
}

#[test]
fn a_read_only_view_stays_as_it_is() {
    let (_keep, dir) = folder();
    std::fs::write(dir.join("a"), "1").unwrap();
    let mut spec = shell("cat a; echo 2 > a; rm a; chmod 777 a; echo; cat a");
    spec.fs.push(View::ro(&dir));
    spec.cwd.clone_from(&dir);
    let (_, text) = run(&spec);
    assert!(text.starts_with('1') && text.ends_with("\n1"), "{text}");
}

#[test]
fn git_of_a_writable_view_is_read_only_and_cannot_be_moved_away() {
    let (_keep, dir) = folder();
    std::fs::create_dir_all(dir.join(".git/hooks")).unwrap();
    std::fs::write(dir.join(".git/config"), "[core]\n").unwrap();
    let mut spec = shell(
        "echo x >> .git/config; echo x > .git/hooks/pre-commit; mv .git gone; rm -rf .git; echo x > commondir; ls -a",
    );
    spec.fs.push(View::rw(&dir));
    spec.cwd.clone_from(&dir);
    run(&spec);
    assert_eq!(std::fs::read_to_string(dir.join(".git/config")).unwrap(), "[core]\n");
    assert!(!dir.join(".git/hooks/pre-commit").exists() && !dir.join("gone").exists());
    assert!(dir.join("commondir").exists());
}

#[test]
fn a_command_can_commit_but_not_change_what_the_hosts_git_executes() {
    let (_keep, dir) = folder();
    let git = std::process::Command::new("git").args(["init", "-q"]).current_dir(&dir).output();
    assert!(git.is_ok_and(|out| out.status.success()), "this test needs git");
    std::fs::write(dir.join("AGENTS.md"), "be good").unwrap();
    let before = std::fs::read_to_string(dir.join(".git/config")).unwrap();
    let mut spec = shell(
        "echo x > a; git add a && git -c user.name=a -c user.email=a@b commit -qm one && git log --format=%s; \
         echo x >> .git/config; git config core.fsmonitor x; echo x > .git/hooks/pre-commit; mv .git gone; \
         mv .git/hooks .git/h; rm -rf .git/hooks .git/config; echo bad > AGENTS.md; mv AGENTS.md x; true",
    );
    spec.protect_git = false;
    spec.protect =
        [".git/hooks", ".git/config", ".git/config.worktree", "AGENTS.md"].map(String::from).into();
    spec.env = [("PATH", "/usr/bin:/bin"), ("HOME", "/tmp")].map(|(k, v)| (k.into(), v.into())).into();
    spec.fs.push(View::rw(&dir));
    spec.cwd.clone_from(&dir);
    let (_, text) = run(&spec);
    assert!(text.starts_with("one\n"), "{text}");
    assert_eq!(std::fs::read_to_string(dir.join(".git/config")).unwrap(), before, "{text}");
    assert_eq!(std::fs::read_to_string(dir.join("AGENTS.md")).unwrap(), "be good", "{text}");
    assert!(dir.join(".git/hooks").is_dir() && !dir.join(".git/hooks/pre-commit").exists(), "{text}");
    assert!(!dir.join("gone").exists() && !dir.join("x").exists(), "{text}");
}

#[test]
fn a_git_that_is_a_link_opens_nothing_of_the_host() {
    let (_outside, secret) = folder();
    std::fs::write(secret.join("key"), "k").unwrap();
    let (_keep, dir) = folder();
    std::os::unix::fs::symlink(&secret, dir.join(".git")).unwrap();
    let mut spec = shell("cat .git/key");
    spec.fs.push(View::rw(&dir));
    spec.cwd.clone_from(&dir);
    let running = launch(&spec).unwrap();
    assert!(running.unit.isolation.gaps.iter().any(|g| g.contains("not protected")));
    let (exit, text) = running.finish();
    assert_ne!(exit, Exit::Code(0), "{text}");
}

#[test]
fn no_pipe_or_socket_takes_the_place_of_a_file_in_a_view() {
    let (_keep, dir) = folder();
    let mut spec = shell("mkfifo notes.md; mkfifo /tmp/fine && echo fine");
    // Not below /tmp, where pipes are fine.
    spec.fs.push(View { path: dir.clone(), at: "/shown".into(), access: Access::Rw });
    spec.cwd = "/shown".into();
    let (_, text) = run(&spec);
    assert!(text.contains("notes.md") && text.ends_with("fine\n"), "{text}");
    assert!(!dir.join("notes.md").exists());
}

#[test]
fn a_worker_is_process_1_and_cannot_start_processes() {
    let (exit, text) = run(&worker(Role::Agent, "worker"));
    assert_eq!(exit, Exit::Code(0), "{text}");
    assert_eq!(text, "pid 1 fork -1 exec 13 openat2 0 outlive -1 threads true\n");
    // Other roles need no openat2.
    let (_, text) = run(&worker(Role::Channel, "worker"));
    assert_eq!(text, "pid 1 fork -1 exec 13 openat2 -1 outlive -1 threads true\n");
}

#[test]
fn a_sealed_worker_can_neither_fork_nor_execute() {
    for (level, role) in [(Level::L2, Role::Agent), (Level::L2, Role::Gateway), (Level::L1, Role::Channel)] {
        let (exit, text) = run(&at(level, worker(role, "seal")));
        assert_eq!(exit, Exit::Code(0), "{text}");
        assert!(text.starts_with("sealed:"), "{text}");
    }
}

#[test]
fn a_worker_that_panics_says_so_in_one_line_and_exits_101() {
    // As process 1 it could not die of SIGABRT.
    let (exit, text) = run(&worker(Role::Channel, "panic"));
    assert_eq!(exit, Exit::Code(101));
    assert!(text.lines().count() == 1 && text.contains("a broken invariant"), "{text}");
}

#[test]
fn level_1_confines_without_namespaces() {
    let (_keep, dir) = folder();
    std::fs::write(dir.join("secret"), "s").unwrap();
    let running = launch(&at(
        Level::L1,
        shell(&format!("cat {0}/secret; touch {0}/x; echo t > $TMPDIR/t; cat $TMPDIR/t", dir.display())),
    ));
    let running = running.unwrap();
    assert!(running.unit.isolation.namespaces.is_empty() && !running.unit.isolation.gaps.is_empty());
    let (exit, text) = running.finish();
    assert_eq!(exit, Exit::Code(0));
    assert_eq!(text.matches("Permission denied").count(), 2, "{text}");
    assert!(text.ends_with("t\n"));
}
