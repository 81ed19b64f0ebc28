//! B: a worker misbehaves alive. Rows that the gateway settles on a worker's link are in `tests/tests/faults.rs`; here
//! the misbehaving peer is the gateway on its own link to the supervisor.

use rustix::process::Signal;
use serde_json::json;

use crate::home::{Home, Memory, send};

const ONE: &str = "{gateway: {port: PORT}}";
const BARE: &str = "{gateway: {port: PORT}, sandbox: {mode: 'off'}, supervisor: {stopSeconds: 1}}";
/// A watchdog that bites after three pings in five seconds.
const WATCHED: &str = "{gateway: {port: PORT}, supervisor: {watchdog: {seconds: 5}}}";

/// What a supervisor may need for a misbehaving unit beyond what it had, in a build without optimisation.
const ROOM: u64 = 6 << 20;

#[test]
fn fault_11_hangs() {
    for how in ["stop", "hang", "spin"] {
        let mut home = Home::up(WATCHED, &["gateway", "agent:main"]);
        let agent = home.unit_pid("agent:main");
        match how {
            "stop" => send(home.unit_pid("gateway"), Signal::STOP),
            how => home.order("gateway", how),
        }
        let row = home.ended("gateway", 1, "watchdog");
        assert!(row["lastExit"]["detail"].as_str().unwrap().contains("pings"), "{how}: {row}");
        home.wait_unit("gateway", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
        assert_eq!(home.unit_pid("agent:main"), agent, "{how}");
    }
}

/// A unit whose self-test got past its sandbox is not used; the second time it is set aside.
#[test]
fn a_unit_that_is_confined_less_than_promised_is_set_aside() {
    let mut home = Home::up(ONE, &["gateway", "agent:main"]);
    for incarnation in [1, 2] {
        let detail = "Its self-test got past its sandbox: read /etc/hostname.";
        let fault =
            json!({"unit": "agent:main", "incarnation": incarnation, "cause": "sandbox", "detail": detail});
        home.gateway("unit.fault", fault);
        let row = home.ended("agent:main", incarnation, "sandbox");
        assert!(row["lastExit"]["detail"].as_str().unwrap().starts_with(detail), "{row}");
        if incarnation == 1 {
            home.wait_unit("agent:main", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
        }
    }
    home.wait_unit("agent:main", "set aside", |row| row["state"] == "quarantined");
}

#[test]
fn fault_11_a_stopped_worker_hears_sigterm() {
    let config = "{gateway: {port: PORT}, supervisor: {stopSeconds: 300}}";
    let mut home = Home::up(config, &["gateway", "agent:main"]);
    send(home.unit_pid("agent:main"), Signal::STOP);
    home.control("unit.restart", json!({"unit": "agent:main"})).unwrap();
    home.wait_unit("agent:main", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
    assert!(home.log("agent:main").contains("SIGTERM"));
}

#[test]
fn fault_12_ignores_sigterm() {
    let config =
        "{gateway: {port: PORT}, supervisor: {stopSeconds: 1}, agents: {list: [{id: 'main'}, {id: 'deaf'}]}}";
    let mut home = Home::up(config, &["gateway", "egress", "agent:main", "agent:deaf"]);
    home.signal(Signal::TERM);
    assert_eq!(home.wait_exit().code(), Some(0));
    assert!(home.log("agent:deaf").contains("SIGTERM"), "it was asked first");
    let log = home.log("supervisor");
    assert!(log.contains("agent:deaf ended as asked (signal 9)"), "{log}");
    assert_eq!(home.processes(), Vec::<u32>::new());
}

#[test]
fn fault_13_of_a_tool() {
    let mut home = Home::up(ONE, &["gateway", "agent:main"]);
    let script = "(trap '' TERM; echo up; sleep 4711) & trap 'exit 0' TERM; wait";
    let run = json!({"run": "r", "agent": "main", "argv": ["sh", "-c", script], "wallMs": 500});
    assert_eq!(home.gateway("tool.run", run)["cause"], "timed_out");
    home.until("the end of its grandchild", |_| (sleeping("4711").is_empty()).then_some(()));
}

#[test]
fn fault_14_a_confined_worker_has_no_children() {
    let mut home = Home::up(ONE, &["gateway", "agent:main"]);
    home.order("agent:main", "dfork");
    home.wait_log("agent:main", "no daemon: ");
    assert_eq!(home.unit("agent:main").unwrap()["incarnation"], 1);
}

#[test]
fn fault_14_of_a_tool() {
    let mut home = Home::up(ONE, &["gateway", "agent:main"]);
    let script = "setsid sh -c 'setsid sleep 4712 & exit' ; setsid sleep 4712 & exit 0";
    let run = json!({"run": "r", "agent": "main", "argv": ["sh", "-c", script]});
    assert_eq!(home.gateway("tool.run", run)["code"], 0);
    home.until("the end of its daemons", |_| (sleeping("4712").is_empty()).then_some(()));
}

/// Processes that sleep for so long.
fn sleeping(seconds: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let line = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    pids.filter(|pid| line(pid) == format!("sleep\0{seconds}\0")).collect()
}

#[test]
fn fault_15_closes_its_link() {
    let mut home = Home::up(ONE, &["gateway", "agent:main"]);
    let agent = home.unit_pid("agent:main");
    home.order("gateway", "closeout");
    let row = home.ended("gateway", 1, "protocol");
    assert!(row["lastExit"]["detail"].as_str().unwrap().contains("closed its link"), "{row}");
    home.wait_unit("gateway", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
    assert_eq!(home.unit_pid("agent:main"), agent);
}

#[test]
fn fault_16_closes_stderr() {
    let mut home = Home::up(ONE, &["gateway", "agent:main"]);
    home.order("agent:main", "closeerr");
    home.wait_log("agent:main", "no more log");
    // Nobody minds, and its end is an end like any other.
    home.settle("agent:main");
    home.order("agent:main", "exit");
    let row = home.ended("agent:main", 1, "clean");
    assert_eq!(row["restarts"], 1, "{row}");
    home.wait_unit("agent:main", "again", |row| row["state"] == "running");
}

#[test]
fn fault_16_never_reads() {
    let mut home = Home::up(WATCHED, &["gateway", "egress", "agent:main"]);
    home.order("gateway", "hang");
    // What is meant for the gateway waits; everybody else goes on.
    for _ in 0..3 {
        let pid = home.unit_pid("agent:main");
        send(pid, Signal::KILL);
        home.until("another agent", |home| {
            home.pids().get("agent:main").is_some_and(|now| *now != pid).then_some(())
        });
    }
    home.ended("gateway", 1, "watchdog");
    home.wait_state("agent:main", "running");
}

#[test]
fn fault_17_floods_stderr() {
    let config = "{gateway: {port: PORT}, agents: {list: [{id: 'main'}, {id: 'other'}]}}";
    let mut home = Home::up(config, &["gateway", "egress", "agent:main", "agent:other"]);
    home.settle("agent:other");
    let memory = Memory::watch(home.pid());
    home.order("agent:main", "flood");
    // A sibling falls and comes back in the middle of it.
    send(home.unit_pid("agent:other"), Signal::KILL);
    home.wait_unit("agent:other", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
    home.order("agent:main", "closeerr");
    home.wait_log("agent:main", "were over this unit's log budget");
    let grew = memory.grew();
    assert!(grew < ROOM, "{grew}");
    let log = home.log("agent:main");
    assert!(log.len() < 16 << 20 && log.lines().all(|line| line.len() < 17 * 1024), "{}", log.len());
    assert_eq!(home.unit("agent:main").unwrap()["incarnation"], 1);
}

#[test]
fn fault_18_floods_its_link() {
    for (what, done) in [("chatter", "all noise is made"), ("requests", "all is asked")] {
        let mut home = Home::up(ONE, &["gateway", "egress", "agent:main"]);
        let memory = Memory::watch(home.pid());
        let others = [home.unit_pid("egress"), home.unit_pid("agent:main")];
        home.order("gateway", what);
        // Somebody else is served meanwhile.
        for _ in 0..20 {
            home.status();
        }
        home.until("the end of the flood, or of the gateway", |home| {
            let over = home.log("gateway").contains(done);
            (over || home.unit("gateway").unwrap()["incarnation"] == 2).then_some(())
        });
        let grew = memory.grew();
        assert!(grew < ROOM, "{what}: {grew}");
        assert_eq!([home.unit_pid("egress"), home.unit_pid("agent:main")], others, "{what}");
    }
}

#[test]
fn fault_19_no_json() {
    let mut home = Home::up(ONE, &["gateway", "agent:main"]);
    home.order("gateway", "nonjson");
    // Eleven lines are too many; each was logged.
    home.ended("gateway", 1, "protocol");
    let log = home.log("gateway");
    assert!(log.matches("[creel: ").count() >= 10, "{log}");
    home.wait_unit("gateway", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
}

#[test]
fn fault_20_a_line_of_100_mb() {
    let mut home = Home::up(ONE, &["gateway", "agent:main"]);
    let memory = Memory::watch(home.pid());
    home.order("gateway", "bigline");
    home.wait_log("gateway", "is over the limit of 1048576");
    let grew = memory.grew();
    assert!(grew < ROOM, "{grew}");
    // It goes on at the next line.
    let answer = home.gateway("units.status", json!({}));
    assert!(answer["units"].is_array(), "{answer}");
    assert_eq!(home.unit("gateway").unwrap()["incarnation"], 1);
}

#[test]
fn fault_21_half_a_line() {
    let mut home = Home::up(ONE, &["gateway", "agent:main"]);
    home.settle("agent:main");
    home.order("agent:main", "halfline");
    home.ended("agent:main", 1, "failed");
    home.wait_log("agent:main", "the last words are cut o");
    home.wait_unit("agent:main", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
    // The half message was for nobody, and the whole one of the successor is understood.
    home.order("gateway", "halfline");
    home.ended("gateway", 1, "failed");
    home.wait_unit("gateway", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
}

#[test]
fn fault_22_strange_lines() {
    let mut home = Home::up(ONE, &["gateway", "agent:main"]);
    let supervisor = home.pid();
    home.order("gateway", "strange");
    home.wait_log("gateway", "not UTF-8");
    home.until("all six counted", |home| {
        (home.log("gateway").matches("[creel: ").count() == 6).then_some(())
    });
    assert!(home.gateway("units.status", json!({}))["units"].is_array());
    assert_eq!(
        (home.status()["supervisorPid"].clone(), home.unit("gateway").unwrap()["incarnation"].clone()),
        (json!(supervisor), json!(1))
    );
}

#[test]
fn fault_23_a_full_pipe() {
    let mut home = Home::up(ONE, &["gateway", "agent:main"]);
    home.settle("agent:main");
    // Nobody reads while the pipe fills and its writer dies.
    home.order("agent:main", "fullpipe");
    let row = home.ended("agent:main", 1, "failed");
    assert_eq!(row["lastExit"]["code"], 9, "{row}");
    home.wait_log("agent:main", "000639 ");
    let log = home.log("agent:main");
    let numbers: Vec<&str> = log.lines().filter(|line| line.ends_with('z')).map(|line| &line[..6]).collect();
    let wanted: Vec<String> = (0..640).map(|n| format!("{n:06}")).collect();
    assert_eq!(numbers, wanted);
}

#[test]
fn fault_23_a_flood_and_death() {
    let config = "{gateway: {port: PORT}, logging: {maxFileBytes: '64m'}, agents: {list: [{id: 'main'}, {id: 'flood'}]}}";
    let mut home = Home::up(config, &["gateway", "agent:flood"]);
    home.settle("agent:flood");
    home.order("agent:flood", "fullpipe");
    home.ended("agent:flood", 1, "failed");
    home.wait_unit("agent:flood", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
    // Every line is there or counted.
    home.until("every line of two floods and a pipe", |home| {
        let log = home.log("agent:flood");
        let kept = log.lines().filter(|line| line.ends_with("xxx") || line.ends_with('z')).count() as u64;
        let over = log.lines().filter(|line| line.contains("were over this unit's log budget"));
        let counted: u64 = over.map(first_number).sum();
        // The two endless lines may be among the counted.
        (400_640..=400_642).contains(&(kept + counted)).then_some(())
    });
}

fn first_number(line: &str) -> u64 {
    let digits: String =
        line.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[test]
fn fault_13_a_grandchild_ignores_it() {
    let mut home = Home::up(BARE, &["gateway", "agent:main"]);
    home.order("agent:main", "deafchild");
    home.wait_log("agent:main", "grandchild is up");
    assert_eq!(home.strangers().len(), 1);
    home.control("unit.restart", json!({"unit": "agent:main"})).unwrap();
    home.wait_unit("agent:main", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
    home.nobody_left();
}

#[test]
fn fault_14_daemon() {
    // Without isolation a worker can have children at all.
    let mut home = Home::up(BARE, &["gateway", "agent:main"]);
    home.order("agent:main", "dfork");
    home.wait_log("agent:main", "grandchild is up");
    home.settle("agent:main");
    send(home.unit_pid("agent:main"), Signal::KILL);
    home.ended("agent:main", 1, "signal");
}

#[test]
fn fault_24_a_grandchild_keeps_the_pipe() {
    let mut home = Home::up(BARE, &["gateway", "agent:main"]);
    home.settle("agent:main");
    home.order("agent:main", "keeppipe");
    let row =
        home.wait_unit("agent:main", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
    assert_eq!((&row["lastExit"]["cause"], &row["lastExit"]["code"]), (&json!("failed"), &json!(1)), "{row}");
    // The new one has pipes of its own.
    home.order("agent:main", "closeerr");
    home.wait_log("agent:main", "no more log");
    home.nobody_left();
}
