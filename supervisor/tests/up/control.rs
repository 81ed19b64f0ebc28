//! The control socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::home::{Home, SOON, send};

#[test]
fn only_this_user_can_open_it() {
    let home = Home::up("{gateway: {port: PORT}}", &["gateway"]);
    let mode = |path: &str| std::fs::metadata(home.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("run"), mode("run/control.sock")), (0o700, 0o600));
}

#[test]
fn garbage_costs_only_its_own_connection() {
    let home = Home::up("{gateway: {port: PORT}}", &["gateway"]);
    let mut bad = UnixStream::connect(home.path("run/control.sock")).unwrap();
    bad.set_read_timeout(Some(SOON)).unwrap();
    bad.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(bad.read(&mut [0; 16]).unwrap_or(0), 0);
    assert!(home.control("no.such.method", json!({})).unwrap_err().contains("no.such.method"));
    assert!(home.control("unit.restart", json!({"unit": "agent:x"})).unwrap_err().contains("agent:main"));
}

#[test]
fn a_client_that_reads_nothing_holds_nobody_up() {
    let home = Home::up("{gateway: {port: PORT}}", &["gateway"]);
    let mut slow = UnixStream::connect(home.path("run/control.sock")).unwrap();
    slow.set_nonblocking(true).unwrap();
    for id in 0..5000 {
        let request = json!({"jsonrpc": "2.0", "id": id, "method": "units.status", "params": {}});
        if writeln!(slow, "{request}").is_err() {
            break;
        }
    }
    assert_eq!(home.status()["supervisorPid"], home.pid());
}

#[test]
fn a_follower_sees_what_happens_next() {
    let home = Home::up("{gateway: {port: PORT}}", &["gateway", "agent:main"]);
    let mut stream = UnixStream::connect(home.path("run/control.sock")).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "control.logs", "params": {"unit": "agent:main", "lines": 0, "follow": true}});
    writeln!(stream, "{request}").unwrap();
    let mut lines = BufReader::new(stream).lines();
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(first["result"]["lines"], json!([]));
    send(home.unit_pid("agent:main"), Signal::KILL);
    let next: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next["method"], "control.lines");
    assert_eq!(next["params"]["lines"][0]["unit"], "agent:main");
}

#[test]
fn a_socket_that_somebody_cleaned_away_comes_back() {
    let mut home = Home::up("{gateway: {port: PORT}}", &["gateway"]);
    std::fs::remove_dir_all(home.path("run")).unwrap();
    home.until("the socket again", |home| UnixStream::connect(home.path("run/control.sock")).ok());
    assert_eq!(home.status()["supervisorPid"], home.pid());
}
