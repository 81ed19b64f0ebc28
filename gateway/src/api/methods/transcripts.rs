//! `sessions.export` and `sessions.import`: conversations as files.

use serde_json::{Value, json};

use crate::api::fault::Fault;
use crate::api::method::{Call, Method, Outcome, Reply, method};
use crate::api::params::{COUNT, Kind, NAME, Shape, TEXT, may, must};
use crate::hub::{HubError, SessionImport};

const EXPORT: Shape =
    Shape { fields: &[must("key", NAME), may("offset", COUNT), may("sessionId", TEXT)], open: false };
const IMPORT: Shape = Shape {
    fields: &[must("text", TEXT), may("agentId", TEXT), may("key", TEXT), may("dryRun", Kind::Bool)],
    open: false,
};

/// Rows.
pub(crate) const METHODS: &[Method] = &[
    method!("sessions.export", Read, &EXPORT, export),
    method!("sessions.import", Admin, &IMPORT, import).large(),
];

/// Bytes of a file in one answer.
const PIECE: usize = 1 << 20;

/// A piece of the file, from `offset` on. Files only grow, so pieces of several answers fit together.
async fn export(call: Call) -> Outcome {
    let key = call.text("key").unwrap_or_default();
    let (id, text) = call.desk.hub.session_export(key).await?;
    if call.text("sessionId").is_some_and(|wanted| wanted != id) {
        let sentence = format!("The session {key} began afresh meanwhile; export it again.");
        return Err(Fault::from(HubError::conflict(sentence)));
    }
    let offset = usize::try_from(call.count("offset").unwrap_or(0)).unwrap_or(usize::MAX);
    let from = text.floor_char_boundary(offset);
    let to = text.floor_char_boundary(from.saturating_add(PIECE));
    let next = (to < text.len()).then_some(to);
    Ok(Reply::Now(json!({"key": key, "sessionId": id, "text": &text[from..to], "next": next})))
}

async fn import(call: Call) -> Outcome {
    let text = |name: &str| call.text(name).map(str::to_owned);
    let import = SessionImport {
        text: text("text").unwrap_or_default(),
        agent: text("agentId"),
        key: text("key"),
        dry_run: call.params.get("dryRun").is_some_and(|value| *value == true),
    };
    let imported = call.desk.hub.session_import(import).await?;
    let fault = |(line, sentence): &(usize, String)| json!({"line": line, "message": sentence});
    let faults: Vec<Value> = imported.faults.iter().map(fault).collect();
    Ok(Reply::Now(json!({
        "sessionId": imported.session_id, "key": imported.key, "entries": imported.entries,
        "records": imported.records, "known": imported.known, "faults": faults,
    })))
}
