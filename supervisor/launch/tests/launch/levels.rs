//! The measurement that decides the level.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use creel_launch::{Level, probe_levels};

use crate::bench::{folder, is_root};

#[test]
fn this_host_gives_level_2_and_every_attempt_is_denied() {
    let measured = probe_levels();
    assert_eq!(measured.level, Level::L2, "{measured:?}");
    assert!(measured.denied >= 12, "{measured:?}");
}

#[test]
fn an_ordinary_user_gets_the_same() {
    if !is_root() {
        return;
    }
    let (_keep, dir) = folder();
    let program = dir.join("trial");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let out =
        Command::new(&program).args([crate::trial::ARG, "measure"]).uid(12_345).gid(12_345).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.contains("\"level\":\"L2\"") && text.contains("\"uid\":12345"), "{text}");
}
