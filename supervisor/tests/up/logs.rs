//! What units write.

use rustix::process::Signal;
use serde_json::json;

use crate::home::Home;

#[test]
fn a_file_that_is_full_is_turned_over() {
    let config = "{gateway: {port: PORT}, logging: {maxFileBytes: '64k', maxFiles: 2}, agents: {list: [{id: 'flood'}]}}";
    let mut home = Home::up(config, &["gateway", "agent:flood"]);
    let second = home.path("home/logs/agent:flood.log.2");
    home.until("the second file", |_| second.exists().then_some(()));
    assert!(!home.path("home/logs/agent:flood.log.3").exists());
}

#[test]
fn logs_come_over_the_control_socket() {
    let mut home = Home::up("{gateway: {port: PORT}}", &["gateway", "egress", "agent:main"]);
    home.wait_log("agent:main", "welcome");
    home.wait_log("egress", "hello from egress");
    let lines = home.control("control.logs", json!({"unit": "agent:main", "lines": 2})).unwrap();
    let texts: Vec<_> =
        lines["lines"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert!(texts.len() <= 2 && texts.contains(&"welcome"), "{texts:?}");
    let all = home.control("control.logs", json!({})).unwrap().to_string();
    assert!(all.contains("supervisor") && all.contains("hello from egress"), "{all}");
    assert!(home.control("control.logs", json!({"unit": "agent:none"})).unwrap_err().contains("agent:none"));
}

#[test]
fn lines_have_times_and_can_be_read_without_a_supervisor() {
    let mut home = Home::up("{gateway: {port: PORT}}", &["gateway", "egress", "agent:main"]);
    home.wait_log("egress", "hello from egress");
    home.wait_log("agent:main", "hello from agent:main");
    for unit in ["agent:main", "supervisor"] {
        let file = home.log_file(unit);
        assert!(!file.is_empty() && file.lines().all(|line| line.get(23..25) == Some("Z ")), "{file}");
    }
    let (text, code) = home.said(&["logs", "agent:main", "--since", "1h"]);
    assert!(code == Some(0) && text.contains("  hello from agent:main"), "{text}");
    let (text, code) = home.said(&["status", "--color", "never"]);
    assert!(code == Some(0) && text.contains("├─ ✓ gateway"), "{text}");
    let (text, code) = home.said(&["top", "--once", "--sort", "name"]);
    assert!(code == Some(0) && text.contains("agent:main"), "{text}");
    home.signal(Signal::KILL);
    home.wait_exit();
    let (text, code) = home.said(&["logs", "--json"]);
    assert!(
        code == Some(0) && text.contains(r#""unit":"egress""#) && text.contains("hello from agent:main"),
        "{text}"
    );
    assert_eq!(
        home.said(&["logs", "agent:main", "--since", "1970-01-01T00:00:00Z", "--lines", "1"]).1,
        Some(0)
    );
    assert!(home.said(&["logs", "agent:none"]).0.contains("no log of"));
    assert_eq!(home.said(&["logs", "--since", "tomorrow"]).1, Some(64));
    let (text, code) = home.said(&["status"]);
    assert!(code == Some(3) && text.contains("creel up"), "{text}");
}

#[test]
fn the_doctor_finds_nothing_that_fails_in_a_home_that_is_well() {
    let home = Home::up("{gateway: {port: PORT}}", &["gateway", "egress", "agent:main"]);
    let (text, code) = home.said(&["doctor"]);
    assert!(code == Some(0) && text.contains("supervisor: Creel") && text.contains(", 0 failures"), "{text}");
    home.configure("{gateway: {prot: 1}}");
    let (text, code) = home.said(&["doctor", "--json"]);
    assert!(code == Some(1) && text.contains("prot"), "{text}");
}
