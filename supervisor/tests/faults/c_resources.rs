//! C: resources. Rows that need cgroup controllers or a disk of their own are in `tests/faults_vm`.

use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::json;

use crate::home::{Home, descriptors, send, sent_away};

const ONE: &str = "{gateway: {port: PORT}}";

#[test]
fn fault_27_a_confined_worker_cannot_fork() {
    let mut home = Home::up(ONE, &["gateway", "agent:main"]);
    home.order("agent:main", "forkbomb");
    home.wait_log("agent:main", "no child after 0: ");
    home.order("agent:main", "threads");
    home.wait_log("agent:main", "out of threads after");
    // The supervisor still can.
    home.control("unit.restart", json!({"unit": "gateway"})).unwrap();
    home.wait_unit("gateway", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
}

#[test]
fn fault_28_leaks_files() {
    let config = "{gateway: {port: PORT}, agents: {list: [{id: 'main'}, {id: 'other'}]}}";
    let mut home = Home::up(config, &["gateway", "agent:main", "agent:other"]);
    home.order("agent:main", "leakfd");
    home.wait_log("agent:main", "out of files after");
    let soft = |pid: u32| {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap().to_owned();
        line.split_whitespace().nth(3).unwrap().parse::<u64>().unwrap()
    };
    let worker = home.unit_pid("agent:main");
    assert_eq!(descriptors(worker) as u64, soft(worker));
    assert!(soft(home.pid()) > soft(worker), "{} {}", soft(home.pid()), soft(worker));
    // Nobody else sees it.
    send(home.unit_pid("agent:other"), Signal::KILL);
    home.wait_unit("agent:other", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
    assert_eq!(home.unit("agent:main").unwrap()["incarnation"], 1);
}

#[test]
fn fault_29_no_descriptor_left() {
    let config = "{gateway: {port: PORT}, supervisor: {backoff: {initialMs: 50, maxMs: 200}}}";
    let mut home = Home::up(config, &["gateway", "egress", "agent:main"]);
    let supervisor = Pid::from_raw(i32::try_from(home.pid()).unwrap()).unwrap();
    let open = std::fs::read_dir(format!("/proc/{}/fd", home.pid())).unwrap().flatten();
    let numbers: Vec<u64> = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // So that five numbers below it are free.
    let limit = (0..).filter(|number| !numbers.contains(number)).nth(5).unwrap();
    let old = prlimit(Some(supervisor), Resource::Nofile, limited(home.pid(), limit)).unwrap();
    // Clients take the rest, until one is let in only to be sent away; none is left waiting.
    let mut inside = Vec::new();
    loop {
        let mut client = home.knock();
        client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        if sent_away(&mut client) {
            break;
        }
        inside.push(client);
        assert!(inside.len() < 30, "there is no end of descriptors");
    }
    for _ in 0..3 {
        assert!(sent_away(&mut home.knock()));
    }
    let (agent, ticks) = (home.processes(), cpu_ticks(home.pid()));
    assert!(!agent.is_empty());
    for pid in home.processes().into_iter().filter(|pid| name_of(*pid) == "agent:main") {
        send(pid, Signal::KILL);
    }
    home.wait_log("supervisor", "agent:main could not be launched");
    assert!(cpu_ticks(home.pid()) < ticks + 200, "it spins");
    prlimit(Some(supervisor), Resource::Nofile, old).unwrap();
    drop(inside);
    home.wait_unit("agent:main", "again", |row| row["state"] == "running");
    assert_eq!(home.unit("gateway").unwrap()["incarnation"], 1);
}

/// The limit of open files of a process, lowered.
fn limited(pid: u32, current: u64) -> Rlimit {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    Rlimit { current: Some(current), maximum: files.split_whitespace().nth(4).unwrap().parse().ok() }
}

fn name_of(pid: u32) -> String {
    let environ = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap_or_default();
    environ.split('\0').find_map(|entry| entry.strip_prefix("CREEL_UNIT=")).unwrap_or_default().to_owned()
}

/// Hundredths of a second of processor time.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn fault_33_uses_all_processors() {
    let config = "{gateway: {port: PORT}, supervisor: {watchdog: {seconds: 5}}, agents: {list: [{id: 'main'}, {id: 'other'}]}}";
    let mut home = Home::up(config, &["gateway", "egress", "agent:main", "agent:other"]);
    // A busy worker that answers is no hung one, whoever it is.
    home.order("agent:main", "cpu");
    home.order("gateway", "cpu");
    home.wait_log("agent:main", "the processor is busy");
    let busy = home.unit_pid("gateway");
    let before = cpu_ticks(busy);
    home.until("three seconds of processor time", |_| (cpu_ticks(busy) > before + 300).then_some(()));
    send(home.unit_pid("agent:other"), Signal::KILL);
    home.wait_unit("agent:other", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
    for unit in ["gateway", "agent:main"] {
        assert_eq!(home.unit(unit).unwrap()["incarnation"], 1, "{unit}");
    }
}

#[test]
fn fault_34_reads_what_is_not_its_own() {
    let mut home = Home::up(ONE, &["gateway", "agent:main"]);
    home.order("agent:main", "trespass");
    home.wait_log("agent:main", "/proc/1/environ");
    let log = home.log("agent:main");
    assert!(!log.contains("/etc/shadow could be read") && !log.contains(".profile could be read"), "{log}");
    assert_eq!(home.unit("agent:main").unwrap()["incarnation"], 1);
}

#[test]
fn fault_34_killed_by_its_sandbox() {
    // The kernel kills with SIGSYS; without isolation a process can do it to itself. The kill itself: `creel-launch`.
    let config =
        "{gateway: {port: PORT}, sandbox: {mode: 'off'}, supervisor: {backoff: {initialMs: 1, maxMs: 10}}}";
    let mut home = Home::up(config, &["gateway", "agent:main"]);
    let level = home.unit("agent:main").unwrap()["isolation"].clone();
    for incarnation in 1..=6 {
        home.wait_unit("agent:main", "up", |row| {
            row["incarnation"] == incarnation && row["state"] == "running"
        });
        home.order("agent:main", "sigsys");
        let row = home.ended("agent:main", incarnation, "sandbox");
        if row["state"] == "quarantined" {
            return;
        }
        let again = home.wait_unit("agent:main", "again", |row| row["state"] == "running");
        assert_eq!(again["isolation"], level, "never with fewer limits");
    }
    panic!("it was never set aside");
}

#[test]
fn fault_32_the_log_folder_is_deleted() {
    let mut home = Home::up(ONE, &["gateway", "agent:main"]);
    home.settle("agent:main");
    std::fs::remove_dir_all(home.path("home/logs")).unwrap();
    home.order("agent:main", "trespass");
    home.order("agent:main", "exit");
    home.ended("agent:main", 1, "clean");
    home.wait_unit("agent:main", "again", |row| row["state"] == "running");
    // What was said is in memory.
    home.until("the lines from memory", |home| {
        let lines = home.control("control.logs", json!({"unit": "agent:main"})).unwrap().to_string();
        lines.contains("/etc/shadow: ").then_some(())
    });
    // With the folder the files come back.
    let _may_be_there = std::fs::create_dir(home.path("home/logs"));
    home.until("a line in the file", |home| {
        home.order("agent:main", "trespass");
        std::thread::sleep(Duration::from_millis(100));
        home.log("agent:main").contains("/etc/shadow: ").then_some(())
    });
}
