//! What units write.

use serde_json::json;

use crate::home::Home;

#[test]
fn a_file_that_is_full_is_turned_over() {
    let config = "{gateway: {port: PORT}, logging: {maxFileBytes: '64k', maxFiles: 2}, agents: {list: [{id: 'flood'}]}}";
    let home = Home::up(config, &["gateway", "agent:flood"]);
    assert!(home.path("home/logs/agent:flood.log.2").exists());
    assert!(!home.path("home/logs/agent:flood.log.3").exists());
}

#[test]
fn logs_come_over_the_control_socket() {
    let home = Home::up("{gateway: {port: PORT}}", &["gateway", "agent:main"]);
    let lines = home.control("control.logs", json!({"unit": "agent:main", "lines": 2})).unwrap();
    let texts: Vec<_> =
        lines["lines"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert!(texts.len() <= 2 && texts.contains(&"welcome"), "{texts:?}");
    let all = home.control("control.logs", json!({})).unwrap().to_string();
    assert!(all.contains("supervisor") && all.contains("hello from egress"), "{all}");
    assert!(home.control("control.logs", json!({"unit": "agent:none"})).unwrap_err().contains("agent:none"));
}
