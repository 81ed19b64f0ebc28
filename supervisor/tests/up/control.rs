//! The control socket.

use std::io::{BufRead, BufReader, Write};
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
