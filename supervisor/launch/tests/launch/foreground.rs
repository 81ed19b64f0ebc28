//! `creel sandbox exec`.

use std::process::{Command, Output};

use crate::bench::folder;

fn exec(level: &str, access: &str, workspace: &str, wall_ms: &str, command: &[&str]) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args([crate::trial::ARG, "foreground", level, access, workspace, wall_ms])
        .args(command)
        .env("OPENAI_API_KEY", "secret")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn output_and_exit_code_are_the_commands() {
    let (_keep, dir) = folder();
    let ws = dir.to_str().unwrap();
    let out = exec("L2", "rw", ws, "10000", &["sh", "-c", "pwd; echo oops >&2; echo x > made; exit 5"]);
    assert_eq!(out.status.code(), Some(5));
    assert_eq!((text(&out.stdout), text(&out.stderr)), (format!("{ws}\n"), "oops\n".into()));
    assert!(dir.join("made").exists());
    assert_eq!(exec("L2", "ro", ws, "10000", &["sh", "-c", "kill -15 $$"]).status.code(), Some(143));
}

#[test]
fn without_access_the_workspace_is_not_there() {
    let (_keep, dir) = folder();
    for level in ["L2", "L1"] {
        let out = exec(
            level,
            "none",
            dir.to_str().unwrap(),
            "10000",
            &["sh", "-c", "pwd; ls $0; env", dir.to_str().unwrap()],
        );
        let shown = text(&out.stdout);
        assert!(shown.starts_with("/tmp\n") && !shown.contains("secret"), "{shown}");
        assert!(!text(&out.stderr).is_empty());
    }
}

#[test]
fn the_wall_clock_ends_a_command_that_ignores_signals() {
    let (_keep, dir) = folder();
    for level in ["L2", "L1"] {
        let script = "trap '' TERM INT HUP; setsid sleep 1000 & sleep 1000";
        let out = exec(level, "none", dir.to_str().unwrap(), "300", &["sh", "-c", script]);
        assert_eq!(out.status.code(), Some(124));
        assert!(text(&out.stderr).contains("ended after"));
    }
}

#[test]
fn output_over_the_cap_is_counted() {
    let (_keep, dir) = folder();
    let out = exec("L2", "none", dir.to_str().unwrap(), "20000", &["head", "-c", "3000000", "/dev/zero"]);
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(out.stdout.len(), 1 << 20);
    assert!(text(&out.stderr).contains(&format!("{} more bytes of stdout", 3_000_000 - (1 << 20))));
}

#[test]
fn a_launch_that_fails_is_125_with_a_sentence() {
    let (_keep, dir) = folder();
    let missing = exec("L2", "rw", "/no/such/workspace", "1000", &["true"]);
    assert_eq!(missing.status.code(), Some(125));
    assert!(text(&missing.stderr).contains("/no/such/workspace"));
    let command = exec("L2", "rw", dir.to_str().unwrap(), "1000", &["no-such-command"]);
    assert_eq!(command.status.code(), Some(125));
    assert!(text(&command.stderr).contains("no-such-command"));
}
