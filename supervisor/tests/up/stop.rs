//! The end.

use rustix::process::Signal;
use serde_json::json;

use crate::home::Home;

fn position(log: &str, text: &str) -> usize {
    log.find(text).unwrap_or_else(|| panic!("no {text:?} in:\n{log}"))
}

#[test]
fn channels_end_first_then_the_gateway_then_agents_then_egress() {
    let config = "{gateway: {port: PORT}, channels: {telegram: {accounts: {a: {botToken: '1:a'}}}}}";
    let mut home = Home::up(config, &["gateway", "egress", "agent:main", "channel:telegram:a"]);
    let pids = home.pids();
    home.control("control.stop", json!({})).unwrap();
    assert_eq!(home.wait_exit().code(), Some(0));
    assert!(pids.values().all(|pid| !crate::home::is_alive(*pid)));
    assert!(!home.path("run/control.sock").exists());
    let log = home.log("supervisor");
    let order =
        ["channel:telegram:a ended", "gateway ended", "agent:main ended", "egress ended", "has stopped"];
    assert!(order.map(|text| position(&log, text)).is_sorted(), "{log}");
    assert!(home.log("gateway").contains("shutdown"));
    assert!(home.log("agent:main").contains("SIGTERM"));
}

#[test]
fn a_unit_that_ignores_sigterm_is_killed_after_its_grace() {
    let config = "{gateway: {port: PORT}, supervisor: {stopSeconds: 1}, agents: {list: [{id: 'deaf'}]}}";
    let mut home = Home::up(config, &["gateway", "agent:deaf"]);
    home.signal(Signal::TERM);
    assert_eq!(home.wait_exit().code(), Some(0));
    assert!(home.log("agent:deaf").contains("SIGTERM"));
    assert!(
        home.log("supervisor").contains("agent:deaf ended as asked (signal 9)"),
        "{}",
        home.log("supervisor")
    );
}

#[test]
fn a_second_signal_is_not_patient() {
    let config = "{gateway: {port: PORT}, supervisor: {stopSeconds: 600}, agents: {list: [{id: 'deaf'}]}}";
    let mut home = Home::up(config, &["gateway", "agent:deaf"]);
    home.signal(Signal::INT);
    home.wait_log("agent:deaf", "SIGTERM");
    home.signal(Signal::INT);
    assert_eq!(home.wait_exit().code(), Some(0));
}
