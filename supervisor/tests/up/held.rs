//! What an operator stopped.

use rustix::process::Signal;
use serde_json::json;

use crate::home::Home;

#[test]
fn a_stopped_unit_stays_down_over_reload_and_over_a_new_supervisor_until_it_is_started() {
    let config = "{gateway: {port: PORT}, agents: {list: [{id: 'main'}, {id: 'other'}]}}";
    let mut home = Home::up(config, &["gateway", "agent:main", "agent:other"]);
    let pid = home.unit_pid("agent:main");
    home.control("unit.stop", json!({"unit": "agent:main"})).unwrap();
    let unit = home.wait_state("agent:main", "stopped");
    assert_eq!((&unit["held"], &unit["lastExit"]["cause"]), (&json!(true), &json!("stopped")));
    assert_eq!(unit.get("falls"), None, "a stop is no fall: {unit}");
    home.wait_gone([pid]);

    // Every worker has to be replaced for this change; the stopped one is not started for it.
    home.configure(&config.replace("agents:", "supervisor: {workerTasks: 32}, agents:"));
    let changes = home.control("config.reload", json!({})).unwrap()["changes"].to_string();
    assert!(
        changes.contains("agent:main stays stopped") && changes.contains("agent:other is restarted"),
        "{changes}"
    );
    assert_eq!(home.unit("agent:main").unwrap()["state"], "stopped");

    home.signal(Signal::KILL);
    home.wait_exit();
    home.start();
    home.wait_state("agent:other", "running");
    let unit = home.unit("agent:main").unwrap();
    assert_eq!(
        (&unit["state"], &unit["held"], &unit["incarnation"]),
        (&json!("stopped"), &json!(true), &json!(0))
    );

    home.control("unit.start", json!({"unit": "agent:main"})).unwrap();
    assert_eq!(home.wait_state("agent:main", "running").get("held"), None);
    assert!(home.control("unit.stop", json!({"unit": "agent:nobody"})).unwrap_err().contains("no unit"));
}
