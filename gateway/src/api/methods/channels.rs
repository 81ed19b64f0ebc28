//! `channels.status` and `send`: the accounts on other platforms.

use creel_ipc::msg::channel::ChannelState;
use serde_json::{Map, Value, json};

use crate::api::desk::now_ms;
use crate::api::fault::Fault;
use crate::api::method::{Call, Method, Outcome, Reply, method};
use crate::api::params::{COUNT, Kind, NAME, Shape, TEXT, may, must};
use crate::hub::{ChannelRow, SendRequest};

const STATUS: Shape =
    Shape { fields: &[may("probe", Kind::Bool), may("timeoutMs", COUNT), may("channel", NAME)], open: false };
const SEND: Shape = Shape {
    fields: &[
        must("to", NAME),
        may("message", TEXT),
        may("mediaUrl", TEXT),
        may("mediaUrls", Kind::Texts),
        may("channel", TEXT),
        may("accountId", TEXT),
        may("agentId", TEXT),
        may("replyToId", TEXT),
        may("threadId", TEXT),
        may("silent", Kind::Bool),
        may("sessionKey", TEXT),
        must("idempotencyKey", NAME),
    ],
    open: false,
};

/// Rows.
pub(crate) const METHODS: &[Method] =
    &[method!("channels.status", Read, &STATUS, status), method!("send", Write, &SEND, send)];

/// Whether messages can come and go.
pub(crate) fn connected(row: &ChannelRow) -> bool {
    row.state == Some(ChannelState::Connected)
}

/// Names of the channels, each once, and what people call them.
pub(crate) fn order(rows: &[ChannelRow]) -> (Vec<String>, Map<String, Value>) {
    let mut order: Vec<String> = Vec::new();
    for row in rows {
        if !order.contains(&row.channel) {
            order.push(row.channel.clone());
        }
    }
    let labels = order.iter().map(|channel| (channel.clone(), label(channel).into())).collect();
    (order, labels)
}

fn label(channel: &str) -> String {
    let mut letters = channel.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn state(row: &ChannelRow) -> &'static str {
    match row.state {
        _ if !row.enabled => "disabled",
        Some(ChannelState::Connected) => "connected",
        Some(ChannelState::Stopped) => "stopped",
        Some(ChannelState::Connecting) => "connecting",
        None => "starting",
    }
}

/// One line about an account.
pub(crate) fn summary(row: &ChannelRow) -> String {
    let error = row.error.as_deref().map(|error| format!(" ({error})")).unwrap_or_default();
    format!("{} {}: {}{error}", label(&row.channel), row.account, state(row))
}

/// An account, as clients read it.
pub(crate) fn account(row: &ChannelRow) -> Value {
    json!({
        "channel": row.channel, "accountId": row.account, "name": row.name, "enabled": row.enabled,
        "configured": true, "linked": true, "running": row.running, "connected": connected(row),
        "healthState": state(row), "selfName": row.self_name,
        "lastConnectedAt": row.transport_alive_at_ms.filter(|_| connected(row)), "lastError": row.error,
        "lastInboundAt": row.last_inbound_at_ms, "lastOutboundAt": row.last_outbound_at_ms,
        "lastTransportActivityAt": row.transport_alive_at_ms,
        "queued": row.queued, "unknownOutcomes": row.unknown,
    })
}

async fn status(call: Call) -> Outcome {
    let mut rows = call.desk.hub.channels_status().await;
    if let Some(channel) = call.text("channel") {
        rows.retain(|row| row.channel == channel);
    }
    let (order, labels) = order(&rows);
    let mut channels = Map::new();
    let mut accounts = Map::new();
    let mut defaults = Map::new();
    for channel in &order {
        let rows: Vec<&ChannelRow> = rows.iter().filter(|row| row.channel == *channel).collect();
        let default = rows.iter().find(|row| row.account == "default").or(rows.first());
        defaults.insert(channel.clone(), default.map_or(Value::Null, |row| row.account.as_str().into()));
        accounts.insert(channel.clone(), rows.iter().map(|row| account(row)).collect());
        let summary = json!({
            "configured": true, "running": rows.iter().any(|row| row.running),
            "connected": rows.iter().any(|row| connected(row)),
            "lastError": rows.iter().find_map(|row| row.error.clone()),
        });
        channels.insert(channel.clone(), summary);
    }
    let meta: Vec<Value> =
        order.iter().map(|id| json!({"id": id, "label": label(id), "detailLabel": label(id)})).collect();
    Ok(Reply::Now(json!({
        "ts": now_ms(), "channelOrder": order, "channelLabels": labels, "channelDetailLabels": labels,
        "channelSystemImages": {}, "channelMeta": meta, "channels": channels, "channelAccounts": accounts,
        "channelDefaultAccountId": defaults, "statusIssues": [],
    })))
}

async fn send(call: Call) -> Outcome {
    let text = call.text("message").ok_or_else(|| {
        Fault::invalid("There is nothing to send: `message` is empty. Files cannot be sent this way yet.")
    })?;
    if call.params.contains_key("mediaUrl") || call.params.contains_key("mediaUrls") {
        return Err(Fault::invalid(
            "Files cannot be sent this way yet; leave out `mediaUrl` and `mediaUrls`.",
        ));
    }
    let channel = match call.text("channel") {
        Some(channel) => channel.to_owned(),
        None => only_channel(&call.desk.hub.channels_status().await)?,
    };
    let accepted = call
        .desk
        .hub
        .send(SendRequest {
            channel: channel.clone(),
            account: call.text("accountId").map(str::to_owned),
            to: call.text("to").unwrap_or_default().to_owned(),
            text: text.to_owned(),
            idempotency_key: call.text("idempotencyKey").unwrap_or_default().to_owned(),
        })
        .await?;
    Ok(Reply::Now(json!({
        "runId": call.text("idempotencyKey"), "channel": channel, "messageId": accepted.key, "key": accepted.key,
        "status": "queued", "duplicate": accepted.duplicate,
    })))
}

fn only_channel(rows: &[ChannelRow]) -> Result<String, Fault> {
    match order(rows).0.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Fault::invalid("No channel is configured; add one under `channels` in creel.json.")),
        several => Err(Fault::invalid(format!(
            "Several channels are configured; say `channel`: one of {}.",
            several.join(", ")
        ))),
    }
}
