//! The journal of events.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::home::{Home, SOON, send};

fn kinds(events: &Value, unit: &str) -> Vec<String> {
    let events = events["events"].as_array().unwrap().iter();
    events
        .filter(|event| event["unit"] == unit)
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_change_of_a_unit_is_in_it_with_its_cause() {
    let mut home = Home::up("{gateway: {port: PORT}}", &["gateway", "agent:main"]);
    let pid = home.unit_pid("agent:main");
    send(pid, Signal::KILL);
    home.wait_unit("agent:main", "again", |unit| unit["incarnation"] == 2 && unit["state"] == "running");
    home.control("unit.restart", json!({"unit": "agent:main"})).unwrap();
    home.wait_unit("agent:main", "once more", |unit| unit["incarnation"] == 3 && unit["state"] == "running");
    let events = home.control("control.events", json!({"unit": "agent:main"})).unwrap();
    let all = kinds(&events, "agent:main");
    // Waits depend on the moment, and what egress refuses is no change of the unit.
    let changes: Vec<_> = all.iter().filter(|kind| *kind != "backoff" && *kind != "denied").collect();
    let first = ["launched", "ready", "ended", "launched", "ready"];
    let then = ["operator_restart", "ended", "launched", "ready"];
    assert_eq!(changes, [&first[..], &then[..]].concat(), "{events:#}");
    let ended = events["events"].as_array().unwrap().iter().find(|event| event["kind"] == "ended").unwrap();
    assert_eq!(
        (&ended["cause"], &ended["signal"], &ended["pid"]),
        (&json!("signal"), &json!(9), &json!(pid))
    );
    assert_eq!(ended["incarnation"], 1);
    let asked = events["events"].as_array().unwrap().iter().find(|event| event["kind"] == "operator_restart");
    assert_eq!(asked.unwrap()["uid"], rustix::process::geteuid().as_raw());
    let file = home.path("home/state/events.ndjson");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(file).unwrap();
    let seqs: Vec<u64> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
}

#[test]
fn it_outlives_a_killed_supervisor_and_can_be_read_without_one() {
    let mut home = Home::up("{gateway: {port: PORT}}", &["gateway", "agent:main"]);
    send(home.unit_pid("agent:main"), Signal::KILL);
    home.wait_unit("agent:main", "again", |unit| unit["incarnation"] == 2 && unit["state"] == "running");
    home.signal(Signal::KILL);
    home.wait_exit();
    let (text, code) = home.said(&["events", "--unit", "agent:main"]);
    assert!(code == Some(0) && text.contains("killed (SIGKILL)"), "{text}");
    home.start();
    home.wait_state("agent:main", "running");
    let events = home.control("control.events", json!({})).unwrap();
    let started: Vec<_> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["kind"] == "supervisor_started")
        .collect();
    assert_eq!(started.len(), 2);
    assert!(started[1]["detail"].as_str().unwrap().contains("did not end in order"), "{events:#}");
    assert_ne!(started[0]["run"], started[1]["run"]);
    let unit = home.unit("agent:main").unwrap();
    assert_eq!((&unit["restarts"], &unit["restartsDay"]), (&json!(0), &json!(1)));
}

#[test]
fn a_launch_that_failed_is_told_with_stage_and_errno() {
    let mut home = Home::new("{gateway: {port: PORT}}");
    std::fs::remove_file(home.path("libexec/creel-agent")).unwrap();
    home.start();
    home.wait_state("agent:main", "backoff");
    let events = home.control("control.events", json!({"unit": "agent:main"})).unwrap();
    let events = events["events"].as_array().unwrap();
    let ended = events.iter().find(|event| event["kind"] == "ended").unwrap();
    assert_eq!(ended["cause"], "launch_failed");
    assert!(ended["stage"].is_string() && ended["errno"] == 2, "{ended}");
    assert!(
        events
            .iter()
            .any(|event| event["kind"] == "backoff" && event["nextAttemptMs"].as_u64() > Some(10_000))
    );
}

#[test]
fn a_follower_hears_of_a_refused_configuration() {
    let home = Home::up("{gateway: {port: PORT}}", &["gateway"]);
    let mut stream = UnixStream::connect(home.path("run/control.sock")).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "control.events", "params": {"limit": 1, "follow": true}});
    writeln!(stream, "{request}").unwrap();
    let mut lines = BufReader::new(stream).lines();
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(first["result"]["events"].as_array().unwrap().len(), 1);
    home.configure("{gateway: {prot: 1}}");
    home.control("config.reload", json!({})).unwrap_err();
    let told = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let refused = told
        .map(|message| message["params"]["event"].clone())
        .find(|event| event["kind"] == "reload_refused");
    assert!(refused.unwrap()["detail"].as_str().unwrap().contains("prot"));
}

#[test]
fn lines_over_the_budget_are_told() {
    let config = "{gateway: {port: PORT}, agents: {list: [{id: 'flood'}]}}";
    let mut home = Home::up(config, &["gateway", "agent:flood"]);
    let count = home.until("the event", |home| {
        let events = home.control("control.events", json!({"unit": "agent:flood"})).unwrap();
        events["events"].as_array().unwrap().iter().find(|event| event["kind"] == "log_dropped")?["count"]
            .as_u64()
    });
    assert!(count > 0);
}
