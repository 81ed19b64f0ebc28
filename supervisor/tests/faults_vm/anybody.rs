//! Rows that hold for root and for an ordinary user alike.

use rustix::process::Signal;
use serde_json::json;

use crate::ground::{Ground, oom_score_adj, own_cgroup};
use crate::home::{leaks, send};

const TWO: &str = "agents: {list: [{id: 'main'}, {id: 'other'}]}";

#[test]
fn fault_25_a_worker_takes_too_much_memory() {
    let config = format!("{{gateway: {{port: PORT}}, supervisor: {{workerMemory: '48m'}}, {TWO}}}");
    let (mut home, _) = Ground::take().up(&config, &["gateway", "egress", "agent:main", "agent:other"]);
    assert_eq!(home.status()["level"], "L3");
    let before = home.pids();
    assert!(oom_score_adj(home.pid()) < oom_score_adj(before["agent:main"]));
    home.order("agent:main", "hog");
    let row = home.ended("agent:main", 1, "oom");
    assert_eq!(row["lastExit"]["signal"], 9, "{row}");
    home.wait_unit("agent:main", "again", |row| row["state"] == "running");
    let after = home.pids();
    assert!(["gateway", "egress", "agent:other"].iter().all(|unit| before[*unit] == after[*unit]));
}

#[test]
fn fault_25_a_tool_takes_too_much_memory() {
    let config = "{gateway: {port: PORT}, sandbox: {memory: '64m'}}";
    let (mut home, _) = Ground::take().up(config, &["gateway", "agent:main"]);
    // No single process is over the limit; all together are.
    let one = "python3 -c 'import time; b = bytearray(30 << 20); time.sleep(60)'";
    let script = format!("{one} & {one} & {one} & {one} & wait");
    let run = json!({"run": "r", "agent": "main", "argv": ["sh", "-c", script], "wallMs": 60_000});
    let exit = home.gateway("tool.run", run);
    assert_eq!(exit["signal"], 9, "{exit}");
    assert!(exit["message"].as_str().unwrap().contains("memory"), "{exit}");
    assert_eq!(home.unit("agent:main").unwrap()["incarnation"], 1);
    home.nobody_left();
}

#[test]
fn fault_27_a_fork_bomb_of_a_worker() {
    // A confined worker cannot fork at all.
    let config = format!(
        "{{gateway: {{port: PORT}}, sandbox: {{mode: 'off'}}, supervisor: {{workerTasks: 40, stopSeconds: 1}}, {TWO}}}"
    );
    let (mut home, _) = Ground::take().up(&config, &["gateway", "agent:main", "agent:other"]);
    let group = own_cgroup(&home.unit_pid("agent:main").to_string());
    home.order("agent:main", "forkbomb");
    home.wait_log("agent:main", "no child after");
    let count = |name: &str| std::fs::read_to_string(group.join(name)).unwrap();
    assert!(count("pids.current").trim().parse::<u32>().unwrap() <= 42, "{}", count("pids.current"));
    // The supervisor still starts processes, and ends all of these.
    send(home.unit_pid("agent:other"), Signal::KILL);
    home.wait_unit("agent:other", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
    home.control("unit.restart", json!({"unit": "agent:main"})).unwrap();
    home.wait_unit("agent:main", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
    home.until("its end", |_| (!group.exists()).then_some(()));
    home.nobody_left();
}

#[test]
fn fault_27_a_fork_bomb_of_a_tool() {
    let (mut home, _) = Ground::take().up("{gateway: {port: PORT}}", &["gateway", "agent:main"]);
    let script = "f() { f | f & }; f; sleep 100";
    let run = json!({"run": "r", "agent": "main", "argv": ["sh", "-c", script], "wallMs": 3000});
    assert_eq!(home.gateway("tool.run", run)["cause"], "timed_out");
    home.until("no tools", |home| home.pids().keys().all(|name| !name.starts_with("tool:")).then_some(()));
    assert_eq!(home.gateway("tool.run", json!({"run": "r2", "agent": "main", "argv": ["true"]}))["code"], 0);
    home.nobody_left();
}

#[test]
fn fault_13_and_its_grandchild_go_with_the_cgroup() {
    let config = "{gateway: {port: PORT}, sandbox: {mode: 'off'}, supervisor: {stopSeconds: 1}}";
    let (mut home, _) = Ground::take().up(config, &["gateway", "agent:main"]);
    home.order("agent:main", "deafchild");
    home.wait_log("agent:main", "grandchild is up");
    home.control("unit.restart", json!({"unit": "agent:main"})).unwrap();
    home.wait_unit("agent:main", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
    home.nobody_left();
}

#[test]
fn fault_14_a_daemon_goes_with_the_cgroup() {
    let config = "{gateway: {port: PORT}, sandbox: {mode: 'off'}}";
    let (mut home, _) = Ground::take().up(config, &["gateway", "agent:main"]);
    home.order("agent:main", "dfork");
    home.wait_log("agent:main", "grandchild is up");
    home.settle("agent:main");
    send(home.unit_pid("agent:main"), Signal::KILL);
    home.ended("agent:main", 1, "signal");
}

#[test]
fn fault_30_no_process_can_be_made() {
    let config =
        format!("{{gateway: {{port: PORT}}, supervisor: {{backoff: {{initialMs: 50, maxMs: 300}}}}, {TWO}}}");
    let (mut home, place) = Ground::take().up(&config, &["gateway", "egress", "agent:main", "agent:other"]);
    let before = home.pids();
    // EAGAIN from the cgroup above all of Creel's; root of the machine or not, nobody is exempt.
    std::fs::write(place.join("pids.max"), "1").unwrap();
    send(before["agent:main"], Signal::KILL);
    let row = home.wait_unit("agent:main", "not launched", |row| row["lastExit"]["cause"] == "launch_failed");
    assert!(row["lastExit"]["detail"].as_str().unwrap().contains("stage"), "{row}");
    let after = home.pids();
    assert!(["gateway", "egress", "agent:other"].iter().all(|unit| before[*unit] == after[*unit]));
    std::fs::write(place.join("pids.max"), "max").unwrap();
    home.wait_state("agent:main", "running");
    home.nobody_left();
}

#[test]
fn fault_33_a_worker_takes_the_processor() {
    let (mut home, _) = Ground::take().up("{gateway: {port: PORT}}", &["gateway", "egress", "agent:main"]);
    let weight = |pid: u32| {
        let text = std::fs::read_to_string(own_cgroup(&pid.to_string()).join("cpu.weight")).unwrap();
        text.trim().parse::<u32>().unwrap()
    };
    assert!(weight(home.unit_pid("gateway")) > 0 && weight(home.unit_pid("agent:main")) > 0);
    home.order("agent:main", "cpu");
    home.wait_log("agent:main", "the processor is busy");
    send(home.unit_pid("egress"), Signal::KILL);
    home.wait_unit("egress", "again", |row| row["incarnation"] == 2 && row["state"] == "running");
    assert_eq!(home.unit("agent:main").unwrap()["incarnation"], 1);
}

#[test]
fn fault_35_the_supervisor_is_killed_with_daemons_about() {
    let config = "{gateway: {port: PORT}, sandbox: {mode: 'off'}}";
    let ground = Ground::take();
    let (mut home, place) = ground.up(config, &["gateway", "egress", "agent:main"]);
    home.order("agent:main", "dfork");
    home.wait_log("agent:main", "grandchild is up");
    let workers = home.pids();
    home.signal(Signal::KILL);
    home.wait_exit();
    home.wait_gone(workers.into_values());
    // Who left all of them behind is ended by the service manager with the cgroup, before it starts the next one.
    std::fs::write(place.join("cgroup.kill"), "1").unwrap();
    ground.place(&mut home);
    home.start();
    home.wait_state("agent:main", "running");
    home.nobody_left();
}

#[test]
fn fault_10_runs_whose_processes_are_killed_at_random_leave_nothing() {
    let (mut home, place) =
        Ground::take().up("{gateway: {port: PORT}}", &["gateway", "egress", "agent:main"]);
    assert_eq!(home.status()["level"], "L3");
    let runs = leaks::how_many(300);
    let (ended, killed) = leaks::storm(&mut home, Some(&place), runs);
    assert!(
        ended > runs / 5 && killed > runs / 5,
        "{ended} ended and {killed} kills of {runs}: this shows nothing"
    );
}
