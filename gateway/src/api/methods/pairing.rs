//! Who wants to be let in, and letting them in.

use serde_json::{Map, Value, json};

use crate::api::fault::Fault;
use crate::api::method::{Call, Method, Outcome, Reply, method};
use crate::api::params::{Kind, NAME, Shape, may, must};
use crate::hub::PairingRow;

const LIST: Shape = Shape { fields: &[may("channel", NAME), may("accountId", NAME)], open: false };
/// OpenClaw's clients name a request by `requestId`, the page and the command line by its code: here both are
/// the code.
const SETTLE: Shape = Shape {
    fields: &[
        must("channel", NAME),
        may("accountId", NAME),
        may("code", NAME),
        may("requestId", NAME),
        may("notify", Kind::Bool),
        may("bootstrapCommandOwner", Kind::Bool),
    ],
    open: false,
};

/// Rows.
pub(crate) const METHODS: &[Method] = &[
    method!("channels.pairing.list", Pairing, &LIST, list),
    method!("channels.pairing.approve", Pairing, &SETTLE, approve),
    method!("channels.pairing.dismiss", Pairing, &SETTLE, dismiss),
    method!("pairing.list", Pairing, &LIST, list),
    method!("pairing.approve", Pairing, &SETTLE, approve),
];

async fn list(call: Call) -> Outcome {
    let mut rows = call.desk.hub.pairing_list(call.text("channel")).await?;
    if let Some(account) = call.text("accountId") {
        rows.retain(|row| row.account == account);
    }
    let mut accounts: Map<String, Value> = Map::new();
    for row in &rows {
        let account = json!({
            "channel": row.channel, "channelLabel": row.channel, "accountId": row.account, "notifySupported": false,
        });
        accounts.insert(format!("{}:{}", row.channel, row.account), account);
    }
    let accounts: Vec<Value> = accounts.into_iter().map(|(_, account)| account).collect();
    let requests: Vec<Value> = rows.iter().map(request).collect();
    Ok(Reply::Now(json!({"accounts": accounts, "requests": requests, "commandOwnerConfigured": true})))
}

fn request(row: &PairingRow) -> Value {
    json!({
        "requestId": row.code, "code": row.code, "channel": row.channel, "channelLabel": row.channel,
        "accountId": row.account, "senderId": row.sender, "senderName": row.name,
        "senderLabel": row.name.as_deref().unwrap_or(&row.sender),
        "createdAtMs": row.created_at_ms, "expiresAtMs": row.expires_at_ms, "notifySupported": false,
    })
}

fn code(call: &Call) -> Result<&str, Fault> {
    let complaint = "must have required property 'code'".to_owned();
    let missing = || Fault::Params { method: "channels.pairing".to_owned(), complaint };
    call.text("code").or_else(|| call.text("requestId")).ok_or_else(missing)
}

async fn approve(call: Call) -> Outcome {
    let code = code(&call)?;
    let channel = call.text("channel").unwrap_or_default();
    let approved = call.desk.hub.pairing_approve(channel, code, call.text("accountId")).await?;
    Ok(Reply::Now(json!({
        "ok": true, "requestId": code, "senderId": approved.sender, "accountId": approved.account,
        "notification": "not-requested", "commandOwnerBootstrap": "not-requested",
    })))
}

async fn dismiss(call: Call) -> Outcome {
    let code = code(&call)?;
    call.desk.hub.pairing_dismiss(call.text("channel").unwrap_or_default(), code).await?;
    Ok(Reply::Now(json!({"ok": true, "requestId": code})))
}
