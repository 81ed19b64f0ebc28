//! The measurement that decides the level.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use creel_launch::{Level, Probe, probe_levels, probe_tool};

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

#[test]
fn every_probe_comes_out_as_it_must() {
    for level in [Level::L1, Level::L2] {
        let (isolation, probes) = probe_tool(level).unwrap();
        assert_eq!(isolation.level, level);
        let wrong: Vec<&Probe> = probes.iter().filter(|probe| !probe.as_expected()).collect();
        assert!(wrong.is_empty() && probes.len() > 50, "{level}: {} probes, {wrong:?}", probes.len());
    }
}

/// The negative control: without a sandbox the same probes find the way out.
#[test]
fn without_a_sandbox_the_probes_find_their_way() {
    let (_, probes) = probe_tool(Level::L0).unwrap();
    for deed in [
        "read a file outside the workspace",
        "connect to a port of the host",
        "read the environment of a process",
    ] {
        let probe = probes.iter().find(|probe| probe.deed == deed).unwrap();
        assert!(!probe.denied, "{probe:?}");
    }
}
