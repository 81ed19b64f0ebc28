//! Where a test asks the gateway.

use std::io::{BufRead, BufReader, Write};

use creel_ipc::Notify;
use creel_ipc::msg::process::{ProcessKill, ProcessStart};
use creel_ipc::msg::supervisor::{ConfigReload, UnitFault, UnitRestart, UnitsStatus};
use creel_ipc::msg::tool::{ToolKill, ToolRun};
use creel_ipc::rpc::Request;
use creel_link::Link;
use serde_json::{Value, json};

use crate::gateway::{Known, lock};

/// A request that no worker answers.
enum Ask {}
impl Request for Ask {
    const METHOD: &'static str = "test.ask";
    type Params = Value;
    type Result = Value;
}

/// What a worker is told to do.
enum Order {}
impl Notify for Order {
    const METHOD: &'static str = crate::ORDER;
    type Params = Value;
}

fn worker(known: &Known, params: &Value) -> Option<Link> {
    lock(&known.workers).get(params["unit"].as_str().unwrap_or_default()).cloned()
}

/// Passes an order on; an order to the gateway is carried out here and now.
async fn order(known: &Known, params: &Value) -> Value {
    let what = params["what"].as_str().unwrap_or_default();
    if params["unit"] == "gateway" {
        crate::habit::act(what);
        return json!(true);
    }
    match worker(known, params) {
        Some(worker) => json!(worker.notify::<Order>(&json!(what)).await.is_ok()),
        None => json!(false),
    }
}

/// One request a connection, one line each way.
pub(crate) async fn desk(stream: tokio::net::TcpStream, link: Link, known: Known) {
    let Ok(stream) = stream.into_std() else { return };
    let Ok(()) = stream.set_nonblocking(false) else { return };
    let read = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).map(|_| (line, stream))
    });
    let Ok(Ok((line, mut stream))) = read.await else { return };
    let asked: Value = serde_json::from_str(&line).unwrap_or_default();
    let params = asked["params"].clone();
    let answer = match asked["method"].as_str().unwrap_or_default() {
        "outputs" => json!(*lock(&known.outputs)),
        "pid" => json!(std::process::id()),
        "order" => order(&known, &params).await,
        "ask" => match worker(&known, &params) {
            Some(worker) => call::<Ask>(&worker, Value::Null).await,
            None => json!({"error": "no such worker"}),
        },
        UnitFault::METHOD => {
            let fault = serde_json::from_value::<UnitFault>(params);
            json!(match fault {
                Ok(fault) => link.notify::<UnitFault>(&fault).await.is_ok(),
                Err(_) => false,
            })
        }
        ToolRun::METHOD => call::<ToolRun>(&link, params).await,
        ProcessStart::METHOD => call::<ProcessStart>(&link, params).await,
        ProcessKill::METHOD => call::<ProcessKill>(&link, params).await,
        ToolKill::METHOD => call::<ToolKill>(&link, params).await,
        UnitsStatus::METHOD => call::<UnitsStatus>(&link, params).await,
        UnitRestart::METHOD => call::<UnitRestart>(&link, params).await,
        ConfigReload::METHOD => call::<ConfigReload>(&link, params).await,
        other => json!({"error": format!("no method {other}")}),
    };
    let _gone = writeln!(stream, "{answer}");
}

async fn call<M: Request>(link: &Link, params: Value) -> Value {
    match serde_json::from_value(params) {
        Ok(params) => match link.call::<M>(&params).await {
            Ok(result) => serde_json::to_value(result).unwrap_or_default(),
            Err(error) => json!({"error": error.to_string()}),
        },
        Err(error) => json!({"error": error.to_string()}),
    }
}
