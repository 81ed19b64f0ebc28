//! What outlives the gateway and egress.

use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::json;

use crate::home::{Home, send};

#[test]
fn workers_do_not_notice_that_the_gateway_died() {
    let config = "{gateway: {port: PORT}, channels: {telegram: {accounts: {a: {botToken: '1:a'}}}}}";
    let mut home = Home::up(config, &["gateway", "egress", "agent:main", "channel:telegram:a"]);
    for round in 2..4 {
        let before = home.pids();
        send(before["gateway"], Signal::KILL);
        // The port is still there: whoever connects now waits for the next gateway.
        TcpStream::connect(("127.0.0.1", home.port)).unwrap();
        home.wait_unit("gateway", "again", |unit| unit["incarnation"] == round && unit["state"] == "running");
        let mut after = home.pids();
        assert_ne!(after.remove("gateway"), before.get("gateway").copied());
        assert!(after.iter().all(|(name, pid)| before[name] == *pid), "{before:?} {after:?}");
        // A gateway that is killed before it has welcomed them leaves them nothing to notice.
        for worker in ["agent:main", "channel:telegram:a"] {
            home.until(&format!("the welcome of {worker}"), |home| {
                (home.log(worker).matches("renew\nwelcome").count() == round - 1).then_some(())
            });
        }
    }
    for worker in ["agent:main", "channel:telegram:a"] {
        home.wait_log("gateway", &format!("attached {worker} 1 fresh=false"));
        home.wait_log(worker, "renew\nwelcome\nrenew\nwelcome");
    }
    assert_eq!(home.unit("agent:main").unwrap()["state"], "running");
}

#[test]
fn a_new_egress_gets_all_listeners_again() {
    let mut home = Home::up("{gateway: {port: PORT}}", &["gateway", "egress", "agent:main"]);
    home.wait_log("egress", "egress for agent:main 1");
    send(home.unit_pid("egress"), Signal::KILL);
    home.wait_unit("egress", "again", |unit| unit["incarnation"] == 2 && unit["state"] == "running");
    home.until("the listener once more", |home| {
        (home.log("egress").matches("egress for agent:main 1").count() == 2).then_some(())
    });
    assert_eq!(home.unit("agent:main").unwrap()["incarnation"], 1);
}

#[test]
fn a_restarted_gateway_is_asked_to_end_first() {
    let mut home = Home::up("{gateway: {port: PORT}}", &["gateway", "agent:main"]);
    home.control("unit.restart", json!({"unit": "gateway"})).unwrap();
    let unit =
        home.wait_unit("gateway", "again", |unit| unit["incarnation"] == 2 && unit["state"] == "running");
    assert_eq!((&unit["restarts"], &unit["lastExit"]["cause"]), (&json!(0), &json!("stopped")));
    home.wait_log("gateway", "shutdown");
    assert!(!home.log("gateway").contains("SIGTERM"));
}
