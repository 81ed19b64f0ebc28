//! Launches through a nursery: the same units, the same guarantees, another way to the stage. Each test is a process of its
//! own under nextest; elsewhere they share the one nursery, which does no harm.

use std::time::{Duration, Instant};

use creel_launch::{Exit, Level, Role, Signal};

use crate::bench::{at, launch, run, shell, worker};

fn stat(pid: u32) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = text.rsplit_once(") ").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    rest.split(' ').map(str::to_owned).collect()
}

fn children() -> Vec<u32> {
    let me = std::process::id();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| stat(*pid).get(1) == Some(&me.to_string()))
        .collect()
}

fn nursery() -> u32 {
    let named = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "creel-nursery\n")
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(pid) = children().into_iter().find(named) {
            return pid;
        }
        assert!(Instant::now() < deadline, "there is no nursery");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_unit_from_the_nursery_is_confined_like_any_other_and_the_supervisors_own_child() {
    let confined = |role| {
        let running = launch(&worker(role, "wait")).unwrap();
        let parent = stat(running.unit.pid)[1].clone();
        let isolation = running.unit.isolation.clone();
        running.unit.signal(Signal::KILL).unwrap();
        assert_eq!(running.unit.wait().unwrap(), Exit::Signal(9));
        (isolation, parent)
    };
    for role in [Role::Agent, Role::Gateway] {
        creel_launch::close_nursery();
        let before = confined(role);
        creel_launch::open_nursery().unwrap();
        assert_eq!(confined(role), before);
        assert_eq!(before.1, std::process::id().to_string());
    }
}

#[test]
fn a_unit_from_the_nursery_holds_nothing_of_it() {
    creel_launch::open_nursery().unwrap();
    for level in [Level::L2, Level::L1, Level::L0] {
        let (exit, open) = run(&at(level, worker(Role::Channel, "descriptors")));
        assert_eq!(exit, Exit::Code(0), "{level}: {open}");
    }
}

#[test]
fn stages_are_reaped_and_failures_are_told() {
    creel_launch::open_nursery().unwrap();
    for level in [Level::L2, Level::L1, Level::L0] {
        assert_eq!(run(&at(level, shell("exit 7"))).0, Exit::Code(7));
    }
    let mut absent = shell("true");
    absent.argv = vec!["/no/such/program".into()];
    assert!(launch(&absent).err().unwrap().sentence.contains("/no/such/program"));
    assert_eq!(children(), [nursery()]);
    creel_launch::close_nursery();
    assert!(children().is_empty());
}

#[test]
fn a_nursery_that_was_killed_is_replaced() {
    creel_launch::open_nursery().unwrap();
    let first = nursery();
    assert!(std::process::Command::new("kill").args(["-9", &first.to_string()]).status().unwrap().success());
    let deadline = Instant::now() + Duration::from_secs(10);
    while stat(first).first().is_some_and(|state| state != "Z") {
        assert!(Instant::now() < deadline, "it does not die");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(run(&shell("exit 7")).0, Exit::Code(7));
    assert_ne!(nursery(), first);
    assert_eq!(children().len(), 1);
}
