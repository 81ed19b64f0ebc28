//! Cgroups: one for each incarnation. Where none can be made these tests say so, and hold the supervisor to saying so.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::json;

use crate::home::{Home, leaks, not_measured, send};

/// The folder of a process's cgroup.
pub(crate) fn folder(pid: u32) -> PathBuf {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = mounts.lines().find(|line| line.contains(" - cgroup2 ")).unwrap().split(' ').nth(4).unwrap();
    let own = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
    Path::new(mount).join(own)
}

/// The folder of the units; `None` where the supervisor said that it has none.
pub(crate) fn units(home: &Home) -> Option<PathBuf> {
    if let Some(why) = home.log("supervisor").split("Units get no cgroups of their own: ").nth(1) {
        not_measured(why.lines().next().unwrap_or_default());
        return None;
    }
    let own = folder(home.pid());
    assert!(own.ends_with("supervisor"), "{}", own.display());
    Some(own.parent().unwrap().join("units"))
}

/// How many units have a cgroup; `None` where they have none.
pub(crate) fn count(supervisor: u32) -> Option<usize> {
    let own = folder(supervisor);
    own.ends_with("supervisor").then(|| names(&own.parent().unwrap().join("units")).len())
}

fn names(units: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(units).unwrap().flatten();
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut names: Vec<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn sleeper() -> Child {
    Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap()
}

#[test]
fn each_incarnation_has_a_cgroup_that_goes_with_it() {
    let mut home = Home::up("{gateway: {port: PORT}}", &["gateway", "egress", "agent:main"]);
    let Some(units) = units(&home) else { return };
    assert_eq!(names(&units), ["agent:main.1", "egress.1", "gateway.1"]);
    assert_eq!(folder(home.unit_pid("agent:main")), units.join("agent:main.1"));
    send(home.unit_pid("agent:main"), Signal::KILL);
    home.wait_unit("agent:main", "again", |unit| unit["incarnation"] == 2 && unit["state"] == "running");
    let next = ["agent:main.2", "egress.1", "gateway.1"];
    home.until("the end of the first one's cgroup", |_| (names(&units) == next).then_some(()));
    home.gateway("tool.run", json!({"run": "r1", "agent": "main", "argv": ["true"]}));
    home.until("the end of the run's cgroup", |_| (names(&units).len() == 3).then_some(()));
    home.signal(Signal::TERM);
    home.wait_exit();
    assert!(!units.exists() || names(&units).is_empty(), "{:?}", names(&units));
}

#[test]
fn fault_35_what_a_killed_supervisor_left_is_ended_by_the_next_one_and_no_stranger_is() {
    let mut home = Home::up("{gateway: {port: PORT}}", &["gateway", "agent:main"]);
    let Some(units) = units(&home) else { return };
    let ghost = units.join("agent:ghost.7");
    std::fs::create_dir(&ghost).unwrap();
    let (mut left, mut bystander) = (sleeper(), sleeper());
    std::fs::write(ghost.join("cgroup.procs"), left.id().to_string()).unwrap();
    home.signal(Signal::KILL);
    home.wait_exit();
    home.start();
    home.wait_state("agent:main", "running");
    assert!(!ghost.exists());
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&left.wait().unwrap()), Some(9));
    assert_eq!(bystander.try_wait().unwrap(), None, "a stranger was ended");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    home.wait_log("supervisor", "was left by an earlier supervisor");
}

#[test]
fn fault_56_limits_that_cannot_be_enforced_are_named_and_refused_where_they_are_required() {
    let config = "{gateway: {port: PORT}, sandbox: {requireLimits: true}}";
    let mut home = Home::up(config, &["gateway", "egress"]);
    if home.status()["level"] == "L3" {
        home.wait_state("agent:main", "running");
        return;
    }
    let unit = home.wait_state("agent:main", "backoff");
    assert_eq!(unit["lastExit"]["cause"], "launch_failed");
    assert!(unit["lastExit"]["detail"].as_str().unwrap().contains("sandbox.requireLimits"), "{unit}");
    home.configure("{gateway: {port: PORT}}");
    home.control("config.reload", json!({})).unwrap();
    let unit = home.wait_state("agent:main", "running");
    let gaps = unit["isolation"]["gaps"].to_string();
    assert!(gaps.contains("no memory controller") || gaps.contains("no cgroup"), "{gaps}");
}

#[test]
fn runs_whose_processes_are_killed_at_random_leave_nothing() {
    let mut home = Home::up("{gateway: {port: PORT}}", &["gateway", "egress", "agent:main"]);
    // Where there are no cgroups all the rest is looked at all the same.
    let units = units(&home);
    let runs = leaks::how_many(150);
    let (ended, killed) = leaks::storm(&mut home, units.as_deref(), runs);
    assert!(
        ended > runs / 5 && killed > runs / 5,
        "{ended} ended and {killed} kills of {runs}: this shows nothing"
    );
}
