//! What an operator may have done to the running system.

use serde_json::json;

use crate::api::method::{Call, Method, Outcome, Reply, method};
use crate::api::params::{NAME, NOTHING, Shape, must};

const RESTART: Shape = Shape { fields: &[must("unit", NAME)], open: false };

/// Rows.
pub(crate) const METHODS: &[Method] = &[
    method!("gateway.unit.restart", Admin, &RESTART, restart),
    method!("unit.restart", Admin, &RESTART, restart),
    method!("config.reload", Admin, &NOTHING, reload),
];

async fn restart(call: Call) -> Outcome {
    let unit = call.text("unit").unwrap_or_default();
    call.desk.hub.unit_restart(unit).await?;
    Ok(Reply::Now(json!({"ok": true, "unit": unit})))
}

async fn reload(call: Call) -> Outcome {
    let reloaded = call.desk.hub.config_reload().await?;
    Ok(Reply::Now(json!({"ok": true, "generation": reloaded.generation, "changes": reloaded.changes})))
}
