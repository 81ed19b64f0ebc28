//! JSON-RPC 2.0 over the same methods: `POST /rpc`, single requests and batches.

use std::sync::Arc;

use jsonrpsee::RpcModule;
use jsonrpsee::types::{ErrorObject, ErrorObjectOwned, Id, Response, ResponsePayload};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::desk::Desk;
use super::fault::Fault;
use super::method::{self, Caller, Reply};

/// Requests of one batch.
const BATCH: usize = 100;

/// The methods, as JSON-RPC sees them.
pub(crate) type Module = RpcModule<Arc<Desk>>;

/// Makes every method of the table callable.
pub(crate) fn module(desk: Arc<Desk>) -> Module {
    let mut module = RpcModule::new(desk);
    for row in super::methods::ALL.iter().copied().flatten() {
        let name = row.name;
        let registered = module.register_async_method(name, move |params, desk, extensions| async move {
            let caller = extensions.get::<Caller>().cloned().ok_or_else(unauthenticated)?;
            let params = params.as_str().map(str::to_owned);
            match method::call(&desk, caller, name, params.as_deref()).await {
                Ok(Reply::Now(result) | Reply::Twice(result, _)) => Ok(result),
                Ok(Reply::Later(later)) => later.await.map_err(|fault| error(&fault)),
                Err(fault) => Err(error(&fault)),
            }
        });
        if registered.is_err() {
            tracing::error!(name, "a method is in the table twice");
        }
    }
    module
}

fn unauthenticated() -> ErrorObjectOwned {
    ErrorObject::owned(-32000, "unauthorized", None::<()>)
}

fn error(fault: &Fault) -> ErrorObjectOwned {
    let message = fault.shape(super::fault::Protocol::V4).message;
    ErrorObject::owned(fault.rpc_code(), message, Some(fault.rpc_data()))
}

#[derive(Deserialize)]
struct Envelope<'a> {
    jsonrpc: Option<String>,
    method: Option<String>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// Answers a body; `None` when it held nothing but notifications.
pub(crate) async fn answer(module: &Module, caller: &Caller, body: &str) -> Option<String> {
    if !body.trim_start().starts_with('[') {
        return one(module, caller, body).await;
    }
    let requests: Vec<&RawValue> = match serde_json::from_str(body) {
        Ok(requests) => requests,
        Err(error) => return Some(failure(&Id::Null, -32700, format!("Parse error: {error}"))),
    };
    if requests.is_empty() || requests.len() > BATCH {
        let sentence = format!("Invalid request: a batch has 1 to {BATCH} requests");
        return Some(failure(&Id::Null, -32600, sentence));
    }
    let mut answers = Vec::new();
    for request in requests {
        answers.extend(one(module, caller, request.get()).await);
    }
    (!answers.is_empty()).then(|| format!("[{}]", answers.join(",")))
}

async fn one(module: &Module, caller: &Caller, request: &str) -> Option<String> {
    let envelope: Envelope<'_> = match serde_json::from_str(request) {
        Ok(envelope) => envelope,
        Err(error) if error.is_data() => {
            return Some(failure(&Id::Null, -32600, "Invalid request".to_owned()));
        }
        Err(error) => return Some(failure(&Id::Null, -32700, format!("Parse error: {error}"))),
    };
    let id = match envelope.id.map(|raw| serde_json::from_str::<Id<'_>>(raw.get())) {
        None => None,
        Some(Ok(id)) => Some(id.into_owned()),
        Some(Err(_)) => return Some(failure(&Id::Null, -32600, "Invalid request: `id`".to_owned())),
    };
    let reply_to = id.clone().unwrap_or(Id::Null);
    let Some(name) = envelope.method.filter(|_| envelope.jsonrpc.as_deref() == Some("2.0")) else {
        return Some(failure(
            &reply_to,
            -32600,
            "Invalid request: it needs `jsonrpc` \"2.0\" and `method`".to_owned(),
        ));
    };
    if module.method(&name).is_none() {
        let fault = method::permitted(caller, &name).err().unwrap_or(Fault::UnknownMethod(name));
        return id.map(|id| render(&id, ResponsePayload::<()>::error(error(&fault))));
    }
    let mut module = module.clone();
    module.extensions_mut().insert(caller.clone());
    // A notification is carried out like a request whose answer is dropped.
    let request = serde_json::json!({
        "jsonrpc": "2.0", "id": id.clone().unwrap_or(Id::Number(0)), "method": name, "params": envelope.params,
    });
    let answer = match module.raw_json_request(&without_null_params(request), 1).await {
        Ok((answer, _)) => answer.get().to_owned(),
        Err(error) => failure(&reply_to, -32600, format!("Invalid request: {error}")),
    };
    id.map(|_| answer)
}

fn without_null_params(mut request: Value) -> String {
    if request["params"].is_null()
        && let Some(request) = request.as_object_mut()
    {
        request.remove("params");
    }
    request.to_string()
}

fn failure(id: &Id<'_>, code: i32, message: String) -> String {
    render(id, ResponsePayload::<()>::error(ErrorObject::owned(code, message, None::<()>)))
}

fn render(id: &Id<'_>, payload: ResponsePayload<'_, ()>) -> String {
    serde_json::to_string(&Response::new(payload, id.clone())).unwrap_or_default()
}
