//! One supervisor a home, and what keeps it from starting.

use rustix::process::Signal;

use crate::home::Home;

fn refused(home: &Home) -> (Option<i32>, String) {
    let output = home.command().output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
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
