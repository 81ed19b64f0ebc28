//! `health` and `status`: how the home is doing.

use std::time::{Duration, Instant};

use creel_ipc::msg::unit::Isolation;
use serde_json::{Map, Value, json};

use super::{catalog, channels};
use crate::api::desk::{Desk, now_ms};
use crate::api::method::{Call, Method, Outcome, Reply, method};
use crate::api::params::{Kind, Shape, may};
use crate::hub::{ChannelRow, SessionFilter, SessionRow};

const HEALTH: Shape = Shape { fields: &[may("probe", Kind::Bool)], open: false };
const STATUS: Shape = Shape {
    fields: &[may("includeChannelSummary", Kind::Bool), may("includeCliProjection", Kind::Bool)],
    open: false,
};

/// Rows.
pub(crate) const METHODS: &[Method] =
    &[method!("health", Read, &HEALTH, health), method!("status", Read, &STATUS, status)];

/// Sessions that are listed.
const RECENT: u32 = 5;
/// How long the supervisor may take to tell about its units.
const PATIENCE: Duration = Duration::from_secs(3);

async fn health(call: Call) -> Outcome {
    Ok(Reply::Later(Box::pin(async move { Ok(snapshot(&call.desk).await) })))
}

/// The result of `health`, also sent as an event.
pub(crate) async fn snapshot(desk: &Desk) -> Value {
    let began = Instant::now();
    let health = desk.hub.health().await;
    let rows = desk.hub.channels_status().await;
    let (order, labels) = channels::order(&rows);
    let by_channel: Map<String, Value> =
        order.iter().map(|channel| (channel.clone(), of_channel(channel, &rows))).collect();
    let default = desk.hub.default_agent();
    let agents: Vec<Value> = desk
        .hub
        .agents()
        .into_iter()
        .map(|(id, name)| {
            json!({
                "agentId": id, "name": name, "isDefault": id == default,
                "heartbeat": {"enabled": false, "every": "0m", "everyMs": null},
                "sessions": {"path": "", "count": 0, "recent": []},
            })
        })
        .collect();
    let recent = recent(desk).await;
    let snapshot = json!({
        "ok": health.store_ok, "ts": now_ms(), "durationMs": began.elapsed().as_millis() as u64,
        "channels": by_channel, "channelOrder": order, "channelLabels": labels,
        "heartbeatSeconds": 0, "defaultAgentId": default, "agents": agents,
        "sessions": {"path": "", "count": recent.len(), "recent": recent},
        "ready": health.ready, "reasons": health.reasons,
        "units": {"running": health.units_running, "total": health.units_total},
        "isolation": isolation(desk),
        "uptimeMs": health.uptime_ms,
    });
    desk.remember_health(&snapshot);
    snapshot
}

/// The measured isolation by unit: level, what the unit's self-test found, and what is missing.
fn isolation(desk: &Desk) -> Value {
    let of = |(unit, of): (String, Isolation)| {
        (unit, json!({"level": of.level, "selftest": of.selftest, "gaps": of.gaps}))
    };
    Value::Object(desk.hub.isolation().into_iter().map(of).collect())
}

fn of_channel(channel: &str, rows: &[ChannelRow]) -> Value {
    let rows: Vec<_> = rows.iter().filter(|row| row.channel == channel).collect();
    let accounts: Map<String, Value> =
        rows.iter().map(|row| (row.account.clone(), channels::account(row))).collect();
    json!({
        "configured": true, "running": rows.iter().any(|row| row.running),
        "connected": rows.iter().any(|row| channels::connected(row)), "accounts": accounts,
    })
}

async fn recent(desk: &Desk) -> Vec<Value> {
    let filter = SessionFilter { limit: RECENT, ..SessionFilter::default() };
    let rows = desk.hub.sessions_list(filter).await.unwrap_or_default();
    let now = now_ms();
    let recent = |row: &SessionRow| json!({"key": row.key, "updatedAt": row.updated_at_ms, "age": (now - row.updated_at_ms).max(0)});
    rows.iter().map(recent).collect()
}

async fn status(call: Call) -> Outcome {
    Ok(Reply::Later(Box::pin(async move { Ok(whole(&call.desk).await) })))
}

async fn whole(desk: &Desk) -> Value {
    let health = desk.hub.health().await;
    let rows = desk.hub.channels_status().await;
    let (units, level, supervisor, problem) = match tokio::time::timeout(PATIENCE, desk.hub.units()).await {
        Ok(Ok(units)) => {
            let supervisor = json!({
                "version": units.version, "pid": units.supervisor_pid, "uptimeMs": units.uptime_ms,
                "pssBytes": units.supervisor_pss_bytes,
            });
            (json!(units.units), json!(units.level), supervisor, None)
        }
        Ok(Err(error)) => (json!([]), Value::Null, Value::Null, Some(error.sentence)),
        Err(_) => {
            let sentence = "The supervisor does not answer, so its units are not shown.";
            (json!([]), Value::Null, Value::Null, Some(sentence.to_owned()))
        }
    };
    let mut reasons = health.reasons;
    reasons.extend(problem);
    let summary: Vec<String> = rows.iter().map(channels::summary).collect();
    let accounts: Vec<Value> = rows.iter().map(channels::account).collect();
    let recent = recent(desk).await;
    let count = recent.len();
    let agents = desk.hub.agents();
    let by_agent: Vec<Value> =
        agents.iter().map(|(id, _)| json!({"agentId": id, "path": "", "count": 0, "recent": []})).collect();
    let beats: Vec<Value> = agents
        .iter()
        .map(|(id, _)| json!({"agentId": id, "enabled": false, "every": "0m", "everyMs": null}))
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"), "runtimeVersion": env!("CARGO_PKG_VERSION"),
        "ready": health.ready, "reasons": reasons, "uptimeMs": health.uptime_ms, "pid": std::process::id(),
        "units": units, "isolationLevel": level, "supervisor": supervisor,
        "channels": accounts, "channelSummary": summary,
        "heartbeat": {"defaultAgentId": desk.hub.default_agent(), "agents": beats},
        "queuedSystemEvents": [],
        "sessions": {
            "paths": [], "count": count, "defaults": catalog::defaults(desk),
            "recent": recent, "byAgent": by_agent,
        },
    })
}
