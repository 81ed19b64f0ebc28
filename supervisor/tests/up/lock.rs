//! One supervisor a home, and what keeps it from starting.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use rustix::process::Signal;

use crate::home::Home;

fn refused(home: &Home) -> (Option<i32>, String) {
    let output = home.command().output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_second_supervisor_is_told_who_the_first_is() {
    let home = Home::up("{gateway: {port: PORT}}", &["gateway", "egress", "agent:main"]);
    let before = home.pids();
    let (code, said) = refused(&home);
    assert_eq!(code, Some(75), "{said}");
    assert!(said.contains(&format!("pid {}", home.pid())), "{said}");
    assert_eq!(home.pids(), before);
}

#[test]
fn nothing_outlives_a_killed_supervisor_and_the_next_one_starts() {
    let mut home = Home::up("{gateway: {port: PORT}}", &["gateway", "egress", "agent:main"]);
    let pids = home.pids();
    home.signal(Signal::KILL);
    home.wait_exit();
    home.wait_gone(pids.into_values());
    // Its socket and its lock file are still there.
    assert!(home.path("run/control.sock").exists());
    home.start();
    home.wait_state("agent:main", "running");
}

#[test]
fn a_taken_port_is_named() {
    let home = Home::new("{gateway: {port: PORT}}");
    let _other = TcpListener::bind(("127.0.0.1", home.port)).unwrap();
    let (code, said) = refused(&home);
    assert_eq!(code, Some(75), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{}", home.port)) && said.contains("gateway.port"), "{said}");
}

#[test]
fn a_wrong_file_at_the_first_start_is_a_configuration_error() {
    let home = Home::new("{gateway: {prot: PORT}}");
    let (code, said) = refused(&home);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("creel.json:1:12") && said.contains("prot"), "{said}");
}

#[test]
fn a_wrong_file_later_costs_nothing_but_words() {
    let mut home = Home::up("{gateway: {port: PORT}}", &["gateway"]);
    home.signal(Signal::TERM);
    assert_eq!(home.wait_exit().code(), Some(0));
    home.configure("{gateway: {prot: PORT}}");
    home.start();
    home.wait_state("gateway", "running");
    let error = home.status()["configError"].as_str().unwrap().to_owned();
    assert!(error.contains("prot"), "{error}");
    home.configure("{gateway: {port: PORT}}");
    home.control("config.reload", serde_json::json!({})).unwrap();
    assert!(home.status()["configError"].is_null());
    home.wait_unit("gateway", "on the operator's file", |unit| {
        unit["incarnation"] == 2 && unit["state"] == "running"
    });
}

#[test]
fn the_socket_of_a_dead_supervisor_is_replaced() {
    let mut home = Home::new("{gateway: {port: PORT}}");
    std::fs::create_dir(home.path("run")).unwrap();
    drop(UnixListener::bind(home.path("run/control.sock")).unwrap());
    std::fs::write(home.path("run/creel.lock"), "1").unwrap();
    home.start();
    home.wait_state("gateway", "running");
}
