//! `agent` and `agent.wait`: one run, from its message to its end.

use std::time::Duration;

use creel_ipc::msg::agent::TurnOutcome;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::chat;
use crate::api::desk::{Desk, now_ms};
use crate::api::fault::{Fault, Protocol};
use crate::api::method::{Call, Method, Outcome, Reply, Second, method};
use crate::api::params::{COUNT, Kind, NAME, Shape, TEXT, may, must};
use crate::api::run::{agent_of, usage};
use crate::hub::{ChatSend, RunState, RunStatus};

const AGENT: Shape = Shape {
    fields: &[
        must("message", NAME),
        may("agentId", TEXT),
        may("to", TEXT),
        may("replyTo", TEXT),
        may("sessionId", TEXT),
        may("sessionKey", TEXT),
        may("thinking", TEXT),
        may("deliver", Kind::Bool),
        may("attachments", Kind::List),
        may("channel", TEXT),
        may("replyChannel", TEXT),
        may("accountId", TEXT),
        may("replyAccountId", TEXT),
        may("threadId", TEXT),
        may("timeout", COUNT),
        may("bestEffortDeliver", Kind::Bool),
        may("lane", TEXT),
        may("extraSystemPrompt", TEXT),
        may("bootstrapContextMode", TEXT),
        may("inputProvenance", Kind::Any),
        may("cleanupBundleMcpOnRunEnd", Kind::Bool),
        may("label", Kind::Text(0, 512)),
        may("spawnedBy", TEXT),
        must("idempotencyKey", NAME),
    ],
    open: false,
};
const WAIT: Shape = Shape { fields: &[must("runId", NAME), may("timeoutMs", COUNT)], open: false };

/// Rows.
pub(crate) const METHODS: &[Method] =
    &[method!("agent", Write, &AGENT, agent).large(), method!("agent.wait", Write, &WAIT, wait)];

/// Milliseconds of one wait at the core; longer waits are several.
const STEP_MS: u64 = 60_000;
/// Milliseconds that `agent` and `agent.wait` wait when nothing is said.
const AGENT_WAIT_MS: u64 = 600_000;
const WAIT_MS: u64 = 30_000;
/// The longest wait: a day.
const LONGEST_MS: u64 = 86_400_000;

async fn agent(call: Call) -> Outcome {
    chat::no_files(&call)?;
    let desk = &call.desk;
    let asked = match (call.text("sessionKey"), call.text("agentId")) {
        (Some(key), _) => key.to_owned(),
        (None, Some(agent)) => format!("agent:{agent}:main"),
        (None, None) => "main".to_owned(),
    };
    let run = call.text("idempotencyKey").unwrap_or_default().to_owned();
    let send = ChatSend {
        session_key: asked.clone(),
        message: call.text("message").unwrap_or_default().to_owned(),
        idempotency_key: run.clone(),
        client: call.caller.name.clone(),
        attachments: Vec::new(),
    };
    desk.remember_echo(&run, &asked);
    let accepted = desk.hub.chat_send(send).await?;
    let mut first = json!({"runId": accepted.run_id, "status": "accepted", "acceptedAt": now_ms()});
    if call.caller.protocol == Protocol::V4 {
        first["sessionKey"] = accepted.session_key.as_str().into();
        first["agentId"] = agent_of(&accepted.session_key).into();
    }
    // Seconds, as OpenClaw counts here; 0 means as long as it takes.
    let timeout_ms = match call.count("timeout") {
        None => AGENT_WAIT_MS,
        Some(0) => LONGEST_MS,
        Some(seconds) => seconds.saturating_mul(1000),
    };
    let desk = call.desk.clone();
    Ok(Reply::Twice(first, Box::pin(async move { second(&desk, &accepted.run_id, timeout_ms).await })))
}

async fn second(desk: &Desk, run: &str, timeout_ms: u64) -> Second {
    let status = match ended(desk, run, timeout_ms).await {
        Ok(status) => status,
        Err(fault) => {
            let payload =
                json!({"runId": run, "status": "error", "summary": fault.shape(Protocol::V4).message});
            return Second { payload: Some(payload), fault: Some(fault) };
        }
    };
    let RunState::Ended(outcome) = status.state else {
        let payload = json!({"runId": run, "status": "timeout", "summary": "still running"});
        return Second { payload: Some(payload), fault: None };
    };
    let text = status.text.as_deref().unwrap_or_default();
    let payloads: Vec<Value> =
        (!text.is_empty()).then(|| json!({"text": text, "mediaUrl": null})).into_iter().collect();
    let duration = status.ended_at_ms.map_or(0, |ended| (ended - status.accepted_at_ms).max(0));
    let result = json!({
        "payloads": payloads,
        "meta": {
            "durationMs": duration, "aborted": outcome == TurnOutcome::Aborted,
            "agentMeta": {"sessionKey": status.session_key, "usage": usage(&status.usage)},
        },
    });
    let summary = match outcome {
        TurnOutcome::Done => "completed".to_owned(),
        TurnOutcome::Aborted => "aborted".to_owned(),
        TurnOutcome::Failed | TurnOutcome::TimedOut => {
            status.error.clone().unwrap_or_else(|| "The run failed.".to_owned())
        }
    };
    let word = word(outcome);
    let fault = (word == "error").then(|| Fault::Hub(crate::hub::HubError::unavailable(summary.as_str())));
    Second {
        payload: Some(json!({"runId": run, "status": word, "summary": summary, "result": result})),
        fault,
    }
}

fn word(outcome: TurnOutcome) -> &'static str {
    match outcome {
        TurnOutcome::Done | TurnOutcome::Aborted => "ok",
        TurnOutcome::TimedOut => "timeout",
        TurnOutcome::Failed => "error",
    }
}

/// Waits until a run ended, at most so long.
async fn ended(desk: &Desk, run: &str, timeout_ms: u64) -> Result<RunStatus, Fault> {
    let deadline = Instant::now() + Duration::from_millis(timeout_ms.min(LONGEST_MS));
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).as_millis() as u64;
        let step = left.min(STEP_MS);
        // The core keeps the time; the outer bound only guards against its mistakes.
        let patience = Instant::now() + Duration::from_millis(step + 5_000);
        let status = match timeout_at(patience, desk.hub.run_wait(run, step)).await {
            Ok(status) => status?,
            Err(_) => return Err(Fault::Busy("The run's state could not be read in time.".to_owned())),
        };
        if matches!(status.state, RunState::Ended(_)) || left <= step {
            return Ok(status);
        }
    }
}

async fn wait(call: Call) -> Outcome {
    let run = call.text("runId").unwrap_or_default().to_owned();
    let timeout_ms = call.count("timeoutMs").unwrap_or(WAIT_MS);
    let (desk, protocol) = (call.desk.clone(), call.caller.protocol);
    Ok(Reply::Later(Box::pin(async move {
        let status = ended(&desk, &run, timeout_ms).await?;
        Ok(waited(&status, protocol))
    })))
}

fn waited(status: &RunStatus, protocol: Protocol) -> Value {
    let RunState::Ended(outcome) = status.state else {
        return json!({"runId": status.run_id, "status": "timeout"});
    };
    let mut answer = json!({
        "runId": status.run_id, "status": word(outcome), "startedAt": status.accepted_at_ms,
        "endedAt": status.ended_at_ms,
    });
    if let Some(error) = &status.error {
        answer["error"] = error.as_str().into();
    }
    if protocol == Protocol::V4 {
        let text = status.text.as_deref().unwrap_or_default();
        let disposition = if text.is_empty() { "silent" } else { "visible" };
        answer["stopReason"] = if outcome == TurnOutcome::Aborted { "aborted" } else { "stop" }.into();
        answer["terminalReply"] = json!({"disposition": disposition, "text": text});
    }
    answer
}
