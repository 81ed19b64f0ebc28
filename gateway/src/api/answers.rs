//! The requests of one client, answered in their order. What takes long goes on beside.

use std::sync::Arc;

use creel_ipc::client::ResFrame;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tungstenite::Utf8Bytes;

use super::clients::Client;
use super::desk::Desk;
use super::fault::Fault;
use super::frame;
use super::method::{self, Caller, Reply};

/// Requests of one client that may take long at the same time.
const LONG: usize = 256;

/// Answers requests until the connection ends.
pub(crate) async fn serve(desk: Arc<Desk>, client: Arc<Client>, mut requests: mpsc::Receiver<Utf8Bytes>) {
    let caller = Caller {
        protocol: client.protocol,
        role: client.role,
        scopes: client.scopes,
        name: client.name.clone(),
        client: Some(client.clone()),
    };
    let mut long: JoinSet<()> = JoinSet::new();
    loop {
        tokio::select! {
            request = requests.recv() => match request {
                Some(text) => {
                    client.queue.room().await;
                    answer(&desk, &caller, &client, &text, &mut long).await;
                }
                None => return,
            },
            Some(_) = long.join_next() => {}
        }
    }
}

async fn answer(desk: &Arc<Desk>, caller: &Caller, client: &Arc<Client>, text: &str, long: &mut JoinSet<()>) {
    let request = match frame::read(text) {
        Ok(request) => request,
        Err(wrong) => return client.queue.response(wrong.answer()),
    };
    let id = request.id;
    if request.method == "connect" {
        let fault = Fault::invalid("connect is only valid as the first request");
        return client.queue.response(frame::error(&id, fault.shape(caller.protocol)));
    }
    let params = request.params.map(serde_json::value::RawValue::get);
    let protocol = caller.protocol;
    match method::call(desk, caller.clone(), &request.method, params).await {
        Ok(Reply::Now(payload)) => client.queue.response(frame::ok(&id, payload)),
        Err(fault) => client.queue.response(frame::error(&id, fault.shape(protocol))),
        Ok(_) if long.len() >= LONG => {
            let sentence =
                format!("{LONG} requests of this connection are waiting already; wait for one to end.");
            client.queue.response(frame::error(&id, Fault::Busy(sentence).shape(protocol)));
        }
        Ok(Reply::Later(later)) => {
            let client = client.clone();
            long.spawn(async move {
                client.queue.response(match later.await {
                    Ok(payload) => frame::ok(&id, payload),
                    Err(fault) => frame::error(&id, fault.shape(protocol)),
                });
            });
        }
        Ok(Reply::Twice(first, second)) => {
            client.queue.response(frame::ok(&id, first));
            let client = client.clone();
            long.spawn(async move {
                let second = second.await;
                let error = second.fault.map(|fault| fault.shape(protocol));
                let answer = ResFrame {
                    payload: second.payload,
                    ok: error.is_none(),
                    error,
                    ..ResFrame::ok(id, ().into())
                };
                client.queue.response(frame::write(&answer));
            });
        }
    }
}
