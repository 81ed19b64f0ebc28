//! Accepting, routing, and making the faults happen.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::fault::Fault;
use crate::http::{Call, Connection};
use crate::media::Params;
use crate::world::World;
use crate::{control, files, methods, poll};

/// An answer of the API: the result, or an error with its parameters.
pub(crate) type Answer = Result<Value, Refusal>;

/// An error of the API.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) description: String,
    pub(crate) parameters: Option<Value>,
}

impl Refusal {
    pub(crate) fn new(code: u16, description: impl Into<String>) -> Self {
        Self { code, description: description.into(), parameters: None }
    }
}

pub(crate) async fn serve(listener: TcpListener, world: Arc<World>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Arc::clone(&world)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, world: Arc<World>) {
    let _slower = stream.set_nodelay(true);
    let mut connection = Connection::new(stream);
    while let Ok(Some(call)) = connection.next().await {
        if !route(&mut connection, &call, &world).await {
            return;
        }
    }
}

/// Says whether the connection lives on.
async fn route(connection: &mut Connection, call: &Call, world: &Arc<World>) -> bool {
    if let Some(action) = call.path.strip_prefix("/control/") {
        let (status, body) = control::serve(world, action, call).await;
        return connection.answer(status, "application/json", body.to_string().as_bytes()).await.is_ok();
    }
    let (client, path) = called(&call.path);
    if let Some((token, path)) = path.strip_prefix("/file/bot").and_then(|rest| rest.split_once('/')) {
        return match files::download(world, token, path) {
            Some(content) => connection.answer(200, "application/octet-stream", &content).await.is_ok(),
            None => refuse(connection, &Refusal::new(404, "Not Found")).await,
        };
    }
    let Some((token, method)) = path.strip_prefix("/bot").and_then(|rest| rest.split_once('/')) else {
        return refuse(connection, &Refusal::new(404, "Not Found")).await;
    };
    api(connection, call, world, (client, token), method).await
}

/// The client that an `apiRoot` names (`…/as/NAME`), and the rest of the path.
fn called(path: &str) -> (&str, &str) {
    let named = path.strip_prefix("/as/").and_then(|rest| Some((rest, rest.find('/')?)));
    named.map_or(("", path), |(rest, end)| rest.split_at(end))
}

async fn api(
    connection: &mut Connection,
    call: &Call,
    world: &Arc<World>,
    (client, token): (&str, &str),
    method: &str,
) -> bool {
    let fault = {
        let mut state = world.state();
        *state.calls.entry(method.to_owned()).or_default() += 1;
        let fault = state.script.meets(method);
        if fault.is_some_and(Fault::hides_the_outcome) {
            *state.hidden.entry(method.to_owned()).or_default() += 1;
        }
        fault
    };
    match fault {
        Some(Fault::RetryAfter(seconds)) => {
            let parameters = Some(json!({"retry_after": seconds}));
            let description = format!("Too Many Requests: retry after {seconds}");
            return refuse(connection, &Refusal { code: 429, description, parameters }).await;
        }
        Some(Fault::BadMarkup) => {
            let description =
                "Bad Request: can't parse entities: Unsupported start tag \"x\" at byte offset 0";
            return refuse(connection, &Refusal::new(400, description)).await;
        }
        Some(Fault::ErrorBefore) => return bad_gateway(connection).await,
        Some(Fault::ClosedBefore) => return false,
        Some(Fault::HalfOpen) => {
            connection.closed().await;
            return false;
        }
        Some(Fault::Slow(ms)) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Some(Fault::ErrorAfter | Fault::LostResponse | Fault::Garbage) | None => {}
    }
    let answered = !matches!(fault, Some(Fault::ErrorAfter | Fault::LostResponse | Fault::Garbage));
    let known = world.peek(|state| state.bot(token).is_some());
    let answer = match Params::read(call) {
        _ if !known && !token.contains(':') => Err(Refusal::new(404, "Not Found")),
        _ if !known => Err(Refusal::new(401, "Unauthorized")),
        Err(description) => Err(Refusal::new(400, description)),
        Ok(params) if method == "getUpdates" => tokio::select! {
            answer = poll::updates(world, token, client, &params) => answer,
            // The client hung up: its poll must not swallow what comes next.
            () = connection.closed() => return false,
        },
        Ok(params) => methods::call(world, token, method, &params, answered),
    };
    match fault {
        Some(Fault::ErrorAfter) => return bad_gateway(connection).await,
        Some(Fault::LostResponse) => return false,
        Some(Fault::Garbage) => {
            return connection.answer(200, "text/html", b"<html>hello</html>").await.is_ok();
        }
        _ => {}
    }
    match answer {
        Ok(result) => {
            let body = json!({"ok": true, "result": result}).to_string();
            connection.answer(200, "application/json", body.as_bytes()).await.is_ok()
        }
        Err(refusal) => refuse(connection, &refusal).await,
    }
}

async fn bad_gateway(connection: &mut Connection) -> bool {
    connection.answer(502, "text/html", b"<html><h1>502 Bad Gateway</h1></html>").await.is_ok()
}

async fn refuse(connection: &mut Connection, refusal: &Refusal) -> bool {
    let mut body = json!({"ok": false, "error_code": refusal.code, "description": refusal.description});
    if let Some(parameters) = &refusal.parameters {
        body["parameters"] = parameters.clone();
    }
    connection.answer(refusal.code, "application/json", body.to_string().as_bytes()).await.is_ok()
}
