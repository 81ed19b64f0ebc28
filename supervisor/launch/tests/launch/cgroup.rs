//! Units inside a cgroup. Where no cgroup v2 can be written, these tests only say so.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use creel_launch::{Exit, LaunchSpec, Launching, Level, Role, Stage, Stdio};

use crate::bench::{Running, at, launch, shell, worker};

/// A cgroup of its own; whatever is in it ends with it.
struct Group(PathBuf);

impl Group {
    fn new(name: &str) -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "))?.split(' ').nth(4)?;
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?.to_owned();
        let path =
            Path::new(mount).join(own).join(format!("creel-launch-test-{}-{name}", std::process::id()));
        std::fs::create_dir(&path).ok()?;
        Some(Self(path))
    }

    fn pids(&self) -> Vec<u32> {
        let procs = std::fs::read_to_string(self.0.join("cgroup.procs")).unwrap();
        procs.lines().map(|pid| pid.parse().unwrap()).collect()
    }

    fn is_populated(&self) -> bool {
        std::fs::read_to_string(self.0.join("cgroup.events")).unwrap().contains("populated 1")
    }

    fn launch(&self, spec: &LaunchSpec) -> Running {
        let (output, write) = std::io::pipe().unwrap();
        let stderr = write.try_clone().unwrap();
        let stdin = std::fs::File::open("/dev/null").unwrap();
        let stdio = Stdio { stdin: stdin.into(), stdout: write.into(), stderr: stderr.into() };
        let folder = std::fs::File::open(&self.0).unwrap();
        let unit = Launching::begin_in(spec, stdio, Some(folder.as_fd())).unwrap().wait().unwrap();
        Running { unit, output }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ended = std::fs::write(self.0.join("cgroup.kill"), "1");
        while self.is_populated() {
            std::thread::yield_now();
        }
        std::fs::remove_dir(&self.0).unwrap();
    }
}

#[expect(clippy::explicit_write, reason = "print macros are denied in this workspace")]
fn group(name: &str) -> Option<Group> {
    let group = Group::new(name);
    if group.is_none() {
        use std::io::Write as _;
        writeln!(std::io::stderr(), "NOT RUN: there is no cgroup v2 here that this user may write to")
            .unwrap();
    }
    group
}

#[test]
fn where_a_cgroup_can_be_written_a_unit_is_in_it_from_its_first_moment() {
    for level in [Level::L3, Level::L2, Level::L1, Level::L0] {
        let Some(group) = group(&format!("first-{level}")) else { return };
        let spec = at(level, shell("grep ^0 /proc/self/cgroup; sleep 1000"));
        let mut running = group.launch(&spec);
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(&mut running.output), &mut line).unwrap();
        assert!(group.pids().contains(&running.unit.pid), "{level}: {:?}", group.pids());
        assert_eq!(running.unit.isolation.level, level);
        assert!(!running.unit.isolation.gaps.iter().any(|gap| gap.contains("no cgroup")), "{level}");
        if level >= Level::L2 {
            assert_eq!(line, "0::/\n", "the unit sees where it is");
            assert!(running.unit.isolation.namespaces.contains(&"cgroup".to_owned()));
        }
    }
}

#[test]
fn where_a_cgroup_can_be_written_its_end_is_the_end_of_all_that_was_started_in_it() {
    let Some(group) = group("end") else { return };
    // No namespace, no first process: only the group holds these together.
    let script = "setsid sleep 1000 & (setsid sh -c 'trap \"\" TERM; sleep 1000' &) ; echo on; sleep 1000";
    let mut running = group.launch(&at(Level::L0, shell(script)));
    let mut line = [0; 3];
    std::io::Read::read_exact(&mut running.output, &mut line).unwrap();
    let mut bystander = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    std::fs::write(group.0.join("cgroup.kill"), "1").unwrap();
    // The end of the output: nobody of the unit is left.
    assert_eq!(running.finish().0, Exit::Signal(9));
    assert_eq!(bystander.try_wait().unwrap(), None, "a stranger was hit");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn level_3_without_a_cgroup_is_refused() {
    let Err(error) = launch(&at(Level::L3, shell("true"))) else { panic!("it ran") };
    assert_eq!(error.stage, Stage::Cgroup, "{error}");
}

#[test]
fn a_unit_is_easier_to_kill_than_its_supervisor_when_memory_runs_out() {
    let score = |pid: u32| -> i32 {
        std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim().parse().unwrap()
    };
    let running = launch(&worker(Role::Agent, "wait")).unwrap();
    assert!(score(running.unit.pid) > score(std::process::id()));
    running.unit.signal(creel_launch::Signal::KILL).unwrap();
    running.unit.wait().unwrap();
}

#[test]
fn where_a_cgroup_can_be_written_a_unit_from_the_nursery_is_in_it_too() {
    creel_launch::open_nursery().unwrap();
    for level in [Level::L3, Level::L2, Level::L1, Level::L0] {
        let Some(group) = group(&format!("nursery-{level}")) else { return };
        let running = group.launch(&at(level, shell("sleep 1000")));
        assert!(group.pids().contains(&running.unit.pid), "{level}");
        running.unit.end().unwrap();
        running.unit.wait().unwrap();
    }
}
