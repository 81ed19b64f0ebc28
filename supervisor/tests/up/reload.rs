//! A changed configuration.

use rustix::process::Signal;
use serde_json::json;

use crate::home::Home;

const BEFORE: &str = "{gateway: {port: PORT}, agents: {list: [{id: 'main'}, {id: 'old'}]}}";
const AFTER: &str = "{gateway: {port: PORT}, agents: {list: [{id: 'main'}, {id: 'new'}]}}";

#[test]
fn a_reload_touches_only_what_changed() {
    let mut home = Home::up(BEFORE, &["gateway", "egress", "agent:main", "agent:old"]);
    let before = home.pids();
    home.configure(AFTER);
    let reloaded = home.control("config.reload", json!({})).unwrap();
    assert_eq!(reloaded["changes"], json!(["agent:old is stopped.", "agent:new is started."]));
    home.wait_state("agent:new", "running");
    home.until("the end of agent:old", |home| home.unit("agent:old").is_none().then_some(()));
    home.wait_gone([before["agent:old"]]);
    let after = home.pids();
    for name in ["gateway", "egress", "agent:main"] {
        assert_eq!(before[name], after[name], "{name}");
    }
    home.wait_log("gateway", &format!("applied {}", reloaded["generation"]));
}

#[test]
fn a_wrong_file_changes_nothing_and_says_why() {
    let mut home = Home::up(BEFORE, &["gateway", "egress", "agent:main", "agent:old"]);
    let before = home.pids();
    home.configure("{gateway: {port: PORT}, agnets: {}}");
    let error = home.control("config.reload", json!({})).unwrap_err();
    assert!(error.contains("agnets") && error.contains("creel.json:1:"), "{error}");
    assert!(home.status()["configError"].as_str().unwrap().contains("agnets"));
    assert_eq!(
        home.gateway("config.reload", json!({}))["error"].as_str().map(|e| e.contains("agnets")),
        Some(true)
    );
    assert_eq!(home.pids(), before);
    home.configure(AFTER);
    home.signal(Signal::HUP);
    home.wait_state("agent:new", "running");
    assert!(home.status()["configError"].is_null());
}

#[test]
fn a_moved_port_is_bound_before_anything_is_restarted() {
    let mut home = Home::up("{gateway: {port: PORT}}", &["gateway", "egress", "agent:main"]);
    let (before, old) = (home.pids(), home.port);
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    home.port = taken.local_addr().unwrap().port();
    home.configure("{gateway: {port: PORT}}");
    let error = home.control("config.reload", json!({})).unwrap_err();
    assert!(error.contains(&home.port.to_string()), "{error}");
    assert_eq!(home.pids(), before);
    drop(taken);
    home.control("config.reload", json!({})).unwrap();
    home.wait_unit("gateway", "on its new port", |unit| {
        unit["incarnation"] == 2 && unit["state"] == "running"
    });
    home.wait_log("gateway", &format!("listens on 127.0.0.1:{}", home.port));
    assert_ne!(old, home.port);
    assert_eq!(home.unit_pid("agent:main"), before["agent:main"]);
}
