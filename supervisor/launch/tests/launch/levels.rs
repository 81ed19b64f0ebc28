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
    let (_keep, dir) = folder();
    let program = dir.join("trial");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&program);
    command.args([crate::trial::ARG, "measure"]);
    let mut uid = rustix::process::getuid().as_raw();
    if is_root() {
        uid = 12_345;
        command.uid(uid).gid(uid);
    }
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(text.contains("\"level\":\"L2\"") && text.contains(&format!("\"uid\":{uid}")), "{text}");
}
