//! `cluster.status`: who has what, where several hosts share a database.

use serde_json::{Value, json};

use crate::api::method::{Call, Method, Outcome, Reply, method};
use crate::api::params::Shape;

const NOTHING: Shape = Shape { fields: &[], open: false };

/// Rows.
pub(crate) const METHODS: &[Method] = &[method!("cluster.status", Read, &NOTHING, status)];

async fn status(call: Call) -> Outcome {
    let cluster = call.desk.hub.cluster().await?;
    let leases = cluster.leases.iter().map(|lease| {
        json!({
            "kind": lease.kind, "key": lease.key, "host": lease.host, "epoch": lease.epoch, "leftMs": lease.left_ms,
        })
    });
    let hosts = cluster.hosts.iter().map(|host| {
        json!({
            "name": host.name, "own": host.own, "role": host.role, "up": host.up, "accounts": host.accounts,
            "turns": host.turns,
        })
    });
    Ok(Reply::Now(json!({
        "shared": cluster.shared, "leaseSeconds": cluster.lease_seconds, "hosts": hosts.collect::<Vec<Value>>(),
        "leases": leases.collect::<Vec<Value>>(),
    })))
}
