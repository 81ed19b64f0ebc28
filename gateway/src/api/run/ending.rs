//! What clients hear when a run is over.

use creel_ipc::msg::agent::TurnOutcome;
use creel_ipc::msg::transcript::Usage;
use serde_json::{Value, json};

use super::Run;
use crate::api::clients::{Audience, Note};

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending<'a> {
    /// How.
    pub(crate) outcome: TurnOutcome,
    /// A sentence, when it did not end well.
    pub(crate) error: Option<&'a str>,
    /// The whole answer.
    pub(crate) text: &'a str,
    /// Tokens.
    pub(crate) usage: Usage,
}

impl Run {
    /// The last events of the run.
    pub(super) fn end(&mut self, id: &str, ending: Ending<'_>, now: i64, out: &mut Vec<Note>) {
        let well = matches!(ending.outcome, TurnOutcome::Done | TurnOutcome::Aborted);
        let aborted = ending.outcome == TurnOutcome::Aborted;
        let stop = if aborted { "aborted" } else { "stop" };
        let sentence = ending.error.unwrap_or(match ending.outcome {
            TurnOutcome::TimedOut => "The run took too long and was stopped.",
            _ => "The run failed.",
        });
        self.seq += 1;
        if well {
            let disposition = if ending.text.is_empty() { "silent" } else { "visible" };
            let data = json!({
                "phase": "end", "startedAt": self.started_ms, "endedAt": now, "stopReason": stop, "aborted": aborted,
                "terminalReply": {"disposition": disposition, "text": ending.text},
            });
            let old = json!({"phase": "end", "endedAt": now});
            let (_, old) = self.payloads(id, "lifecycle", &old, now);
            out.push(Note { v3: Some(old.to_string()), ..self.agent(id, "lifecycle", data, now) });
        } else {
            let data =
                json!({"phase": "error", "error": sentence, "startedAt": self.started_ms, "endedAt": now});
            out.push(self.agent(id, "lifecycle", data, now));
        }
        let mut new = json!({
            "runId": id, "sessionKey": self.session, "agentId": self.agent, "seq": self.seq,
        });
        let mut old = json!({"runId": id, "sessionKey": self.echo, "seq": self.seq});
        let state = match ending.outcome {
            TurnOutcome::Done => "final",
            TurnOutcome::Aborted => "aborted",
            TurnOutcome::Failed | TurnOutcome::TimedOut => "error",
        };
        for payload in [&mut new, &mut old] {
            payload["state"] = state.into();
            if !ending.text.is_empty() {
                payload["message"] = json!({
                    "role": "assistant", "content": [{"type": "text", "text": ending.text}], "timestamp": now,
                });
            }
            if !well {
                payload["errorMessage"] = sentence.into();
            }
        }
        if well {
            new["stopReason"] = stop.into();
            new["usage"] = usage(&ending.usage);
        } else {
            let kind = if ending.outcome == TurnOutcome::TimedOut { "timeout" } else { "unknown" };
            new["errorKind"] = kind.into();
        }
        out.push(Note { v3: Some(old.to_string()), ..Note::new_only("chat", &new, Audience::Readers) });
    }
}

/// Tokens, as clients read them.
pub(crate) fn usage(usage: &Usage) -> Value {
    let total = usage.input + usage.output + usage.cache_read + usage.cache_write;
    json!({
        "input": usage.input, "output": usage.output, "cacheRead": usage.cache_read,
        "cacheWrite": usage.cache_write, "totalTokens": total,
    })
}
