//! The program, driven over `/control` as other processes do it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(test)]
mod web;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use web::{api, post};

struct Program(Child, SocketAddr);

impl Drop for Program {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn start() -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fake-telegram"));
    let mut child = command.args(["--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("http://").unwrap().parse().unwrap();
    Program(child, address)
}

#[tokio::test]
async fn another_process_injects_reads_and_breaks() {
    let program = start();
    let at = program.1;
    let injected = post(at, "/control/inject", &json!({"chat": -7, "text": "hi", "mention": true})).await;
    let updates = api(at, "getUpdates", json!({"timeout": 5})).await;
    assert_eq!(updates["result"][0]["update_id"], injected["update_id"]);
    assert_eq!(updates["result"][0]["message"]["text"], "@creel1000_bot hi");
    post(at, "/control/fault-next", &json!({"method": "sendMessage", "fault": "retry_after", "value": 3}))
        .await;
    let refused = api(at, "sendMessage", json!({"chat_id": -7, "text": "x"})).await;
    assert_eq!(refused["parameters"]["retry_after"], 3);
    api(at, "sendMessage", json!({"chat_id": -7, "text": "x"})).await;
    let sent = post(at, "/control/sent?after=0", &json!({})).await;
    assert_eq!(sent["sent"][0]["text"], "x");
    assert_eq!(post(at, "/control/sent?after=1", &json!({})).await["sent"], json!([]));
    let state = post(at, "/control/state", &json!({})).await;
    assert_eq!(
        (&state["calls"]["sendMessage"], &state["bots"]["1000:fake-token"]["unconfirmed"]),
        (&json!(2), &json!(1))
    );
    assert!(
        post(at, "/control/inject", &json!({"chatt": 1})).await["error"].as_str().unwrap().contains("chatt")
    );
}
