//! What clients see of a run: the core's events, turned into the events of both protocols. Pure: time is given.
//!
//! A token costs little: text is escaped once when it comes, and what came within [`WINDOW_MS`] is told at once.

use std::collections::HashMap;

use creel_ipc::msg::agent::{DeltaKind, ToolPhase, TurnTool};
use serde_json::{Value, json};

use super::clients::{Audience, Note};

mod ending;
#[cfg(test)]
mod tests;

pub(crate) use ending::{Ending, usage};

/// Milliseconds between two deltas of one run; the first goes out at once.
const WINDOW_MS: i64 = 25;
/// The same for chat events of protocol 3.
const OLD_WINDOW_MS: i64 = 150;
/// Bytes of a running tool's output that are shown.
const TOOL_OUTPUT: usize = 16 * 1024;

/// A run as clients see it.
#[derive(Debug)]
struct Run {
    session: String,
    /// The session key as protocol 3 says it.
    echo: String,
    agent: String,
    seq: u64,
    started_ms: i64,
    /// The answer so far, escaped for JSON.
    text: String,
    /// Where the current model answer begins in `text`.
    answer_from: usize,
    /// Bytes of `text` that were told.
    told: usize,
    told_ms: i64,
    old_told_ms: i64,
    /// The next piece begins a new paragraph: a tool ran since the last one.
    paragraph: bool,
    /// Paragraphs so far.
    paragraphs: u32,
    /// The next delta starts over.
    replace: bool,
    /// Pieces were missed: only the end is told.
    torn: bool,
    tools: HashMap<String, Tool>,
}

#[derive(Debug)]
struct Tool {
    name: String,
    output: String,
    told: bool,
}

/// For which protocols there is anybody: text is not rendered for nobody.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// Protocol 4.
    pub(crate) new: bool,
    /// Protocol 3.
    pub(crate) old: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { new: true, old: true }
    }
}

/// All runs under way.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    runs: HashMap<String, Run>,
    /// For whom text is rendered.
    pub(crate) wanted: Wanted,
}

impl Runs {
    /// A run was handed to its agent, perhaps not for the first time.
    pub(crate) fn began(
        &mut self,
        id: &str,
        session: &str,
        echo: Option<String>,
        now: i64,
        out: &mut Vec<Note>,
    ) {
        let again = self.runs.contains_key(id);
        let run = self.runs.entry(id.to_owned()).or_insert_with(|| Run::new(session, echo, now));
        if again {
            run.text.clear();
            run.answer_from = 0;
            run.told = 0;
            run.tools.clear();
            run.paragraph = false;
            run.replace = true;
        }
        run.torn = false;
        run.seq += 1;
        out.push(run.status(id, "preparing_context"));
        out.push(run.agent(id, "lifecycle", json!({"phase": "start", "startedAt": now}), now));
    }

    /// The answer that was being written broke off and is begun again: what was told of it is void.
    pub(crate) fn again(&mut self, id: &str) {
        if let Some(run) = self.runs.get_mut(id) {
            run.text.truncate(run.answer_from);
            run.told = 0;
            run.paragraph = run.answer_from > 0;
            run.replace = true;
        }
    }

    /// A model request left.
    pub(crate) fn model(
        &mut self,
        id: &str,
        session: &str,
        provider: &str,
        model: &str,
        now: i64,
        out: &mut Vec<Note>,
    ) {
        let run = self.known(id, session, now);
        run.answer_from = run.text.len();
        run.seq += 1;
        out.push(run.status(id, "starting_model"));
        out.push(run.agent_new_only(id, "run_status", json!({"phase": "starting_model"}), now));
        run.seq += 1;
        let data = json!({"phase": "model", "provider": provider, "model": model});
        out.push(run.agent_new_only(id, "lifecycle", data, now));
    }

    /// A piece of the answer came.
    pub(crate) fn delta(
        &mut self,
        id: &str,
        session: &str,
        kind: DeltaKind,
        text: &str,
        now: i64,
        out: &mut Vec<Note>,
    ) {
        if kind == DeltaKind::Thinking || text.is_empty() {
            return;
        }
        let unknown = !self.runs.contains_key(id);
        let wanted = self.wanted;
        let run = self.known(id, session, now);
        // The beginning was said to an earlier gateway.
        run.torn |= unknown;
        if run.torn {
            return;
        }
        if run.paragraph && !run.text.is_empty() {
            run.text.push_str("\\n\\n");
            run.paragraphs += 1;
        }
        run.paragraph = false;
        escape(text, &mut run.text);
        if due(run.told_ms, now, WINDOW_MS) {
            run.flush(id, wanted, now, out);
        }
    }

    /// A tool call as it runs.
    pub(crate) fn tool(&mut self, id: &str, session: &str, tool: &TurnTool, now: i64, out: &mut Vec<Note>) {
        let wanted = self.wanted;
        let run = self.known(id, session, now);
        match &tool.phase {
            ToolPhase::Start { arguments } => {
                run.flush(id, wanted, now, out);
                run.paragraph = true;
                let known = Tool { name: tool.name.clone(), output: String::new(), told: true };
                run.tools.insert(tool.call_id.clone(), known);
                let data = json!({"phase": "start", "name": tool.name, "toolCallId": tool.call_id, "args": arguments});
                run.seq += 1;
                out.push(run.tool(id, data, now));
            }
            ToolPhase::Update { text } => {
                let known = run.tools.entry(tool.call_id.clone()).or_insert_with(|| Tool {
                    name: tool.name.clone(),
                    output: String::new(),
                    told: true,
                });
                known.output.push_str(text);
                keep_tail(&mut known.output);
                known.told = false;
                if due(run.told_ms, now, WINDOW_MS) {
                    run.flush(id, wanted, now, out);
                }
            }
            ToolPhase::End { text, is_error, duration_ms } => {
                run.tools.remove(&tool.call_id);
                run.seq += 1;
                let data = json!({
                    "phase": "result", "name": tool.name, "toolCallId": tool.call_id, "isError": is_error,
                    "durationMs": duration_ms, "result": {"content": [{"type": "text", "text": text}]},
                });
                out.push(run.tool(id, data, now));
            }
        }
    }

    /// A run ended and is durable.
    pub(crate) fn ended(
        &mut self,
        id: &str,
        session: &str,
        ending: Ending<'_>,
        now: i64,
        out: &mut Vec<Note>,
    ) {
        let wanted = self.wanted;
        let mut run = self.runs.remove(id).unwrap_or_else(|| Run::new(session, None, now));
        run.flush(id, wanted, now, out);
        run.end(id, ending, now, out);
    }

    /// Pieces may have been missed: nothing is told of the runs under way until they end.
    pub(crate) fn tear(&mut self) -> Vec<String> {
        self.runs.values_mut().for_each(|run| run.torn = true);
        self.runs.keys().cloned().collect()
    }

    /// The session of a run under way.
    pub(crate) fn session(&self, id: &str) -> Option<String> {
        self.runs.get(id).map(|run| run.session.clone())
    }

    /// Tells what waited long enough.
    pub(crate) fn flush(&mut self, now: i64, out: &mut Vec<Note>) {
        let wanted = self.wanted;
        for (id, run) in &mut self.runs {
            if run.waits() && due(run.told_ms, now, WINDOW_MS) {
                run.flush(id, wanted, now, out);
            }
        }
    }

    /// Milliseconds until [`Self::flush`] has something to do.
    pub(crate) fn next_flush(&self, now: i64) -> Option<u64> {
        let waiting = self.runs.values().filter(|run| run.waits());
        waiting.map(|run| (run.told_ms + WINDOW_MS - now).clamp(0, WINDOW_MS) as u64).min()
    }

    fn known(&mut self, id: &str, session: &str, now: i64) -> &mut Run {
        self.runs.entry(id.to_owned()).or_insert_with(|| Run::new(session, None, now))
    }
}

fn due(before: i64, now: i64, window: i64) -> bool {
    // The wall clock may have been set back.
    now < before || now - before >= window
}

fn keep_tail(output: &mut String) {
    if output.len() > 2 * TOOL_OUTPUT {
        let cut = (output.len() - TOOL_OUTPUT..).find(|&n| output.is_char_boundary(n)).unwrap_or(0);
        output.drain(..cut);
    }
}

/// Appends `text` as the inside of a JSON string.
fn escape(text: &str, to: &mut String) {
    // A string always serialises.
    let quoted = serde_json::to_string(text).unwrap_or_default();
    to.push_str(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default());
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// The agent that a session key names.
pub(crate) fn agent_of(session: &str) -> &str {
    session.strip_prefix("agent:").and_then(|rest| rest.split(':').next()).unwrap_or("main")
}

impl Run {
    fn new(session: &str, echo: Option<String>, now: i64) -> Self {
        Self {
            session: session.to_owned(),
            echo: echo.unwrap_or_else(|| session.to_owned()),
            agent: agent_of(session).to_owned(),
            seq: 0,
            started_ms: now,
            text: String::new(),
            answer_from: 0,
            told: 0,
            told_ms: i64::MIN / 2,
            old_told_ms: i64::MIN / 2,
            paragraph: false,
            paragraphs: 1,
            replace: false,
            torn: false,
            tools: HashMap::new(),
        }
    }

    fn waits(&self) -> bool {
        !self.torn && (self.told < self.text.len() || self.tools.values().any(|tool| !tool.told))
    }

    /// Tells what is new of text and tools.
    fn flush(&mut self, id: &str, wanted: Wanted, now: i64, out: &mut Vec<Note>) {
        if !self.waits() {
            return;
        }
        self.told_ms = now;
        if self.told < self.text.len() {
            self.seq += 1;
            out.push(self.assistant(id, wanted, now));
            out.push(self.chat_delta(id, wanted, now));
            self.told = self.text.len();
            self.replace = false;
        }
        let untold = self.tools.iter_mut().filter(|(_, tool)| !tool.told);
        let updates: Vec<Value> = untold
            .map(|(call, tool)| {
                tool.told = true;
                json!({"phase": "update", "name": tool.name, "toolCallId": call, "partialResult": tool.output})
            })
            .collect();
        for data in updates {
            self.seq += 1;
            out.push(self.tool(id, data, now));
        }
    }

    fn assistant(&self, id: &str, wanted: Wanted, now: i64) -> Note {
        let item = quoted(&format!("{id}:{}", self.paragraphs));
        let (id, text, delta, seq) = (quoted(id), &self.text, &self.text[self.told..], self.seq);
        let (session, echo, agent) = (quoted(&self.session), quoted(&self.echo), quoted(&self.agent));
        let said = format!("\"text\":\"{text}\",\"delta\":\"{delta}\"");
        let v4 = wanted.new.then(|| {
            format!(
                "{{\"runId\":{id},\"stream\":\"assistant\",\"data\":{{{said},\"itemId\":{item}}},\
                 \"sessionKey\":{session},\"agentId\":{agent},\"seq\":{seq},\"ts\":{now},\"isHeartbeat\":false}}"
            )
        });
        let v3 = wanted.old.then(|| {
            format!(
                "{{\"runId\":{id},\"stream\":\"assistant\",\"data\":{{{said}}},\"sessionKey\":{echo},\
                 \"seq\":{seq},\"ts\":{now}}}"
            )
        });
        Note { event: "agent", v4, v3, audience: Audience::Readers, may_be_missed: true, versioned: false }
    }

    fn chat_delta(&mut self, id: &str, wanted: Wanted, now: i64) -> Note {
        let (id, text, delta, seq) = (quoted(id), &self.text, &self.text[self.told..], self.seq);
        let (session, echo, agent) = (quoted(&self.session), quoted(&self.echo), quoted(&self.agent));
        let message = format!(
            "\"message\":{{\"role\":\"assistant\",\"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}],\"timestamp\":{now}}}"
        );
        let replace = if self.replace { ",\"replace\":true" } else { "" };
        let delta = if self.replace { text } else { delta };
        let v4 = wanted.new.then(|| {
            format!(
                "{{\"runId\":{id},\"sessionKey\":{session},\"agentId\":{agent},\"seq\":{seq},\"state\":\"delta\",\
                 \"deltaText\":\"{delta}\"{replace},{message}}}"
            )
        });
        let v3 = (wanted.old && due(self.old_told_ms, now, OLD_WINDOW_MS)).then(|| {
            format!("{{\"runId\":{id},\"sessionKey\":{echo},\"seq\":{seq},\"state\":\"delta\",{message}}}")
        });
        if v3.is_some() {
            self.old_told_ms = now;
        }
        let audience = Audience::Readers;
        Note { event: "chat", v4, v3, audience, may_be_missed: true, versioned: false }
    }

    fn status(&self, id: &str, phase: &str) -> Note {
        let payload = json!({
            "runId": id, "sessionKey": self.session, "agentId": self.agent, "seq": self.seq,
            "state": "status", "phase": phase,
        });
        Note::new_only("chat", &payload, Audience::Readers)
    }

    fn payloads(&self, id: &str, stream: &str, data: &Value, now: i64) -> (Value, Value) {
        let new = json!({
            "runId": id, "stream": stream, "data": data, "sessionKey": self.session, "agentId": self.agent,
            "seq": self.seq, "ts": now, "isHeartbeat": false,
        });
        let old = json!({
            "runId": id, "stream": stream, "data": data, "sessionKey": self.echo, "seq": self.seq, "ts": now,
        });
        (new, old)
    }

    fn agent(&self, id: &str, stream: &str, data: Value, now: i64) -> Note {
        let (new, old) = self.payloads(id, stream, &data, now);
        Note { v3: Some(old.to_string()), ..Note::new_only("agent", &new, Audience::Readers) }
    }

    fn agent_new_only(&self, id: &str, stream: &str, data: Value, now: i64) -> Note {
        Note { v3: None, ..self.agent(id, stream, data, now) }
    }

    fn tool(&self, id: &str, data: Value, now: i64) -> Note {
        let is_update = data["phase"] == "update";
        let (new, old) = self.payloads(id, "tool", &data, now);
        Note {
            v3: Some(old.to_string()),
            may_be_missed: is_update,
            ..Note::new_only("agent", &new, Audience::ToolWatchers)
        }
    }
}
