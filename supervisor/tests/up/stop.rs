//! The end.

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
