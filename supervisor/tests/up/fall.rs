//! Units that fall.

use rustix::process::Signal;
use serde_json::json;

use crate::home::{Home, send, zombies};

#[test]
fn everything_starts_confined_and_says_how_it_is() {
    let config = "{gateway: {port: PORT}, channels: {telegram: {accounts: {a: {botToken: '1:a'}}}}}";
    let mut home = Home::up(config, &["gateway", "egress", "agent:main", "channel:telegram:a"]);
    let status = home.status();
    assert_eq!(status["supervisorPid"], home.pid());
    assert!(status["supervisorPssBytes"].as_u64().unwrap() > 0);
    for unit in status["units"].as_array().unwrap() {
        assert_eq!(unit["isolation"]["level"], status["level"], "{unit}");
        assert_eq!((&unit["incarnation"], &unit["restarts"]), (&json!(1), &json!(0)), "{unit}");
        assert!(unit["pssBytes"].as_u64().unwrap() > 0, "{unit}");
    }
    let listens = format!("listens on 127.0.0.1:{}", home.port);
    home.wait_log("gateway", &listens);
    home.wait_log("egress", "egress for channel:telegram:a 1: [\"api.telegram.org\"]");
    home.wait_log("channel:telegram:a", "[egress: example.org:443 refused 1 times: not on the list]");
    home.wait_log("gateway", "denied \"channel:telegram:a\"");
}

#[test]
fn a_killed_worker_is_replaced_and_nobody_else_notices() {
    let config = "{gateway: {port: PORT}, agents: {list: [{id: 'main'}, {id: 'other'}]}}";
    let mut home = Home::up(config, &["gateway", "egress", "agent:main", "agent:other"]);
    let before = home.pids();
    send(before["agent:main"], Signal::KILL);
    let unit =
        home.wait_unit("agent:main", "again", |unit| unit["incarnation"] == 2 && unit["state"] == "running");
    assert_eq!((&unit["restarts"], &unit["lastExit"]["cause"]), (&json!(1), &json!("signal")));
    assert_eq!(unit["lastExit"]["signal"], 9);
    home.wait_log("gateway", "gone agent:main 1 Signal\nattached agent:main 2 fresh=true");
    home.wait_log("egress", "detach \"agent:main\" 1");
    let mut after = home.pids();
    assert_ne!(after.remove("agent:main"), before.get("agent:main").copied());
    assert!(after.iter().all(|(name, pid)| before[name] == *pid), "{before:?} {after:?}");
    let supervisor = home.pid();
    home.until("no zombie", |_| (zombies(supervisor) == 0).then_some(()));
}

#[test]
fn the_gateway_may_report_a_wedged_worker_but_not_an_old_one() {
    let mut home = Home::up("{gateway: {port: PORT}}", &["gateway", "agent:main"]);
    let fault = |incarnation: u64| json!({"unit": "agent:main", "incarnation": incarnation, "cause": "protocol", "detail": "It talks nonsense."});
    assert_eq!(home.gateway("unit.fault", fault(7)), json!(true));
    assert_eq!(home.gateway("unit.fault", fault(1)), json!(true));
    let unit = home.wait_unit("agent:main", "again", |unit| unit["incarnation"] == 2);
    assert_eq!(unit["lastExit"]["cause"], "protocol");
    assert_eq!(unit["lastExit"]["detail"], "It talks nonsense.");
}

#[test]
fn below_the_floor_no_worker_starts_and_status_says_why() {
    let mut home = Home::up("{gateway: {port: PORT}, sandbox: {floor: 'L3'}}", &["gateway", "egress"]);
    let unit = home.wait_state("agent:main", "backoff");
    assert_eq!(unit["lastExit"]["cause"], "launch_failed");
    let detail = unit["lastExit"]["detail"].as_str().unwrap();
    assert!(detail.contains("sandbox.floor is L3") && detail.contains("cgroup"), "{detail}");
    let run = json!({"run": "r1", "agent": "main", "argv": ["true"]});
    let answer = home.gateway("tool.run", run).to_string();
    assert!(answer.contains("sandbox.floor"), "{answer}");
}

#[test]
fn without_isolation_only_when_the_operator_wrote_so() {
    let mut home =
        Home::up("{gateway: {port: PORT}, sandbox: {mode: 'off'}}", &["gateway", "egress", "agent:main"]);
    assert_eq!(home.status()["level"], "L0");
    let before = home.unit_pid("agent:main");
    assert_eq!(home.unit("agent:main").unwrap()["isolation"]["level"], "L0");
    home.configure("{gateway: {port: PORT}}");
    home.control("config.reload", json!({})).unwrap();
    let unit = home
        .wait_unit("agent:main", "confined", |unit| unit["incarnation"] == 2 && unit["state"] == "running");
    assert_ne!((&unit["isolation"]["level"], &unit["pid"]), (&json!("L0"), &json!(before)));
}

#[test]
fn fault_10_what_is_killed_in_the_middle_of_a_launch_leaves_no_zombie_and_no_cgroup() {
    let rules =
        "supervisor: {backoff: {initialMs: 1, maxMs: 1}, brake: {crashes: 10000, crashesPerHour: 100000}}";
    let config = format!("{{gateway: {{port: PORT}}, {rules}}}");
    let mut home = Home::up(&config, &["gateway", "egress", "agent:main"]);
    let supervisor = home.pid();
    let children = move || -> Vec<u32> {
        let path = format!("/proc/{supervisor}/task/{supervisor}/children");
        let text = std::fs::read_to_string(path).unwrap();
        text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    };
    let settled = children();
    let kill = |pid: u32| {
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).is_ok()
    };
    assert!(kill(home.unit_pid("agent:main")));
    // Stages and units that are not told of yet: whatever appears, as soon as it appears.
    let mut killed = std::collections::BTreeSet::new();
    home.until("60 launches that were killed", |_| {
        killed.extend(children().into_iter().filter(|pid| !settled.contains(pid) && kill(*pid)));
        (killed.len() >= 60).then_some(())
    });
    let unit = home.wait_state("agent:main", "running");
    assert!(unit["incarnation"].as_u64().unwrap() > 10, "{unit}");
    home.until("no zombie", |_| (zombies(supervisor) == 0).then_some(()));
    home.until("one cgroup for each unit", |_| {
        crate::cgroup::count(supervisor).is_none_or(|count| count == 3).then_some(())
    });
}
