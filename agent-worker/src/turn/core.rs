//! The turn loop, sans-IO. Whatever happens, in whatever order, it comes to an end.

use std::collections::BTreeMap;

use creel_ipc::msg::agent::{JournalStep, Model, TurnOutcome};
use creel_ipc::msg::transcript::{Block, Entry, StopReason, Usage};

use super::action::{Action, Call, Input, Timer};
use super::breaker::Breaker;
use super::calls::{Calls, State};
use super::cascade::Cascade;
use super::repair::repair;
use super::window::Past;
use crate::model::{Answer, Draft};
use crate::prompt::SILENCE;
use crate::tools::Outcome;

mod acting;
mod asking;
mod closing;

/// What a turn begins with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The models to try, in order, each with the wire format of its provider.
    pub models: Vec<(Model, String)>,
    /// The transcript before the turn.
    pub history: Vec<Entry>,
    /// What came in.
    pub input: Entry,
    /// What an earlier life journalled.
    pub journal: Vec<JournalStep>,
    /// Tokens of the system prompt and the tools.
    pub overhead: u64,
    /// Model calls of the turn.
    pub max_iterations: u32,
    /// Milliseconds of the turn.
    pub turn_ms: u64,
    /// Milliseconds to the first byte of an answer.
    pub first_byte_ms: u64,
    /// Milliseconds between two events of an answer.
    pub inactivity_ms: u64,
}

#[derive(Debug)]
enum Phase {
    /// Between two things.
    Idle,
    /// A model is being asked.
    Asking(Draft),
    /// A passing failure is waited out.
    Waiting,
    /// An answer is being journalled.
    Recording(Answer),
    /// Tools are at work.
    Acting(Calls),
    /// The turn ends early; its last words are being journalled.
    Closing(Vec<u32>),
    /// Nothing happens any more.
    Over,
}

/// The turn loop.
#[derive(Debug)]
pub struct Core {
    setup: Setup,
    past: Past,
    cascade: Cascade,
    journal: BTreeMap<u32, Option<Entry>>,
    /// Entries of this turn after its input.
    said: Vec<Entry>,
    step: u32,
    iterations: u32,
    attempt: u64,
    heard: bool,
    shown: bool,
    halved: bool,
    breaker: Breaker,
    stop: Option<String>,
    replies: Vec<String>,
    usage: Usage,
    ending: Option<(TurnOutcome, Option<String>)>,
    phase: Phase,
    now_ms: i64,
    /// When the turn's time is over.
    ends_ms: i64,
    /// How much of it is left while it stands still.
    left_ms: i64,
}

impl Core {
    /// A turn that has not begun.
    pub fn new(mut setup: Setup) -> Self {
        let past = Past::new(repair(std::mem::take(&mut setup.history)));
        let steps = std::mem::take(&mut setup.journal);
        let models = setup.models.iter().map(|(model, _)| model.clone()).collect();
        Self {
            past,
            cascade: Cascade::new(models),
            journal: steps.into_iter().map(|step| (step.step, step.entry)).collect(),
            said: Vec::new(),
            step: 0,
            iterations: 0,
            attempt: 0,
            heard: false,
            shown: false,
            halved: false,
            breaker: Breaker::default(),
            stop: None,
            replies: Vec::new(),
            usage: Usage::default(),
            ending: None,
            phase: Phase::Idle,
            now_ms: 0,
            ends_ms: 0,
            left_ms: 0,
            setup,
        }
    }

    /// Begins. `now_ms` is the time since the epoch, as in [`Core::take`].
    pub fn begin(&mut self, now_ms: i64) -> Vec<Action> {
        self.now_ms = now_ms;
        self.ends_ms = now_ms.saturating_add(self.turn_ms());
        let mut out = vec![Action::Timer(Timer::Turn, Some(self.setup.turn_ms))];
        self.go_on(&mut out);
        out
    }

    fn turn_ms(&self) -> i64 {
        i64::try_from(self.setup.turn_ms).unwrap_or(i64::MAX)
    }

    /// Whether the turn is over.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Takes what happened.
    pub fn take(&mut self, input: Input, now_ms: i64) -> Vec<Action> {
        self.now_ms = now_ms;
        let mut out = Vec::new();
        if self.is_over() {
            return out;
        }
        match input {
            Input::Model { attempt, events } if attempt == self.attempt => self.hear(events, &mut out),
            Input::Model { .. } => {}
            Input::Begun { step, known } => self.begun(step, known, &mut out),
            Input::Ran { step, outcome } => self.ran(step, outcome, &mut out),
            Input::Doubtful { step } => self.doubtful(step, &mut out),
            Input::Decided { step, decision } => self.decided(step, decision, &mut out),
            Input::Ended { step } => self.ended(step, &mut out),
            Input::Lost => {
                self.silence_everything(&mut out);
                self.phase = Phase::Over;
                out.push(Action::Drop);
            }
            Input::Refused { reason } => {
                self.silence_everything(&mut out);
                if matches!(self.phase, Phase::Closing(_)) {
                    self.over(&mut out);
                    return out;
                }
                let error = format!("The turn could not be recorded and was ended. {reason}");
                self.finish(TurnOutcome::Failed, Some(error), &mut out);
            }
            Input::Abort => self.close(TurnOutcome::Aborted, None, &mut out),
            Input::Timer(Timer::Turn) => {
                let error = format!(
                    "The turn was ended because it took longer than {}. The operator can raise `timeoutSeconds` of the agent.",
                    span(self.setup.turn_ms)
                );
                self.close(TurnOutcome::TimedOut, Some(error), &mut out);
            }
            Input::Timer(Timer::Silence) => self.silence(&mut out),
            Input::Timer(Timer::Retry) => {
                if matches!(self.phase, Phase::Waiting) {
                    self.ask(&mut out);
                }
            }
            Input::Timer(Timer::Closing) => {
                if matches!(self.phase, Phase::Closing(_)) {
                    self.over(&mut out);
                }
            }
        }
        out
    }

    /// The next answer: from the journal, or from a model.
    fn go_on(&mut self, out: &mut Vec<Action>) {
        if let Some(reason) = self.stop.take() {
            return self.finish(TurnOutcome::Failed, Some(reason), out);
        }
        let known = match self.journal.get(&self.step) {
            Some(Some(entry @ Entry::Assistant { .. })) => Some(entry.clone()),
            _ => None,
        };
        if let Some(Entry::Assistant { content, usage, stop_reason, error_message, .. }) = &known {
            match stop_reason {
                StopReason::Error | StopReason::Aborted => {
                    // The earlier life ended the turn here, and only its last word was not heard.
                    let (outcome, error) = match stop_reason {
                        StopReason::Aborted => (TurnOutcome::Aborted, None),
                        _ => (TurnOutcome::Failed, error_message.clone()),
                    };
                    return self.finish(outcome, error, out);
                }
                stop => {
                    let answer = Answer { content: content.clone(), usage: *usage, stop: *stop };
                    return self.answered(answer, known.clone(), out);
                }
            }
        }
        if self.iterations >= self.setup.max_iterations.max(1) {
            let error = format!(
                "The turn was ended after {} model calls without a final answer. Ask again to go on from here, or raise `maxIterations` of the agent.",
                self.iterations
            );
            return self.finish(TurnOutcome::Failed, Some(error), out);
        }
        self.ask(out);
    }

    /// An answer is in the journal.
    fn answered(&mut self, answer: Answer, entry: Option<Entry>, out: &mut Vec<Action>) {
        let entry = entry.unwrap_or_else(|| self.entry(&answer, None));
        add(&mut self.usage, answer.usage);
        self.said.push(entry);
        self.step += 1;
        self.iterations += 1;
        let text = text_of(&answer.content);
        if !text.trim().is_empty() && text.trim() != SILENCE {
            self.replies.push(text);
        }
        let calls: Vec<Call> = answer
            .content
            .into_iter()
            .filter_map(|block| match block {
                Block::ToolCall { id, name, arguments } => Some((id, name, arguments)),
                _ => None,
            })
            .zip(self.step..)
            .map(|((id, name, arguments), step)| Call { step, id, name, arguments })
            .collect();
        if calls.is_empty() {
            return self.finish(TurnOutcome::Done, None, out);
        }
        self.step += u32::try_from(calls.len()).unwrap_or(u32::MAX);
        self.phase = Phase::Acting(Calls::new(calls));
        self.act(out);
    }

    fn ended(&mut self, step: u32, out: &mut Vec<Action>) {
        match &mut self.phase {
            Phase::Recording(_) if step == self.step => {
                let Phase::Recording(answer) = std::mem::replace(&mut self.phase, Phase::Idle) else {
                    return;
                };
                self.answered(answer, None, out);
            }
            Phase::Acting(calls) => {
                let Some((_, state)) = calls.state(step) else { return };
                if let State::Ending(entry) = std::mem::replace(state, State::Todo) {
                    *state = State::Finished(entry);
                    self.act(out);
                }
            }
            Phase::Closing(open) => {
                open.retain(|waiting| *waiting != step);
                if open.is_empty() {
                    self.over(out);
                }
            }
            _ => {}
        }
    }

    fn entry(&self, answer: &Answer, error_message: Option<String>) -> Entry {
        let (model, api) =
            self.setup.models.get(self.cascade.index()).map_or((None, ""), |(m, api)| (Some(m), api));
        Entry::Assistant {
            content: answer.content.clone(),
            api: api.to_owned(),
            provider: model.map_or_else(String::new, |model| model.provider.clone()),
            model: model.map_or_else(String::new, |model| model.id.clone()),
            usage: answer.usage,
            stop_reason: answer.stop,
            error_message,
            timestamp: self.now_ms,
        }
    }
}

fn result(call: &Call, outcome: Outcome, timestamp: i64) -> Entry {
    Entry::ToolResult {
        tool_call_id: call.id.clone(),
        tool_name: call.name.clone(),
        content: vec![Block::text(outcome.text)],
        is_error: outcome.is_error,
        timestamp,
    }
}

fn text_of(content: &[Block]) -> String {
    let texts = content.iter().filter_map(|block| match block {
        Block::Text { text } => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("")
}

fn add(total: &mut Usage, more: Usage) {
    total.input += more.input;
    total.output += more.output;
    total.cache_read += more.cache_read;
    total.cache_write += more.cache_write;
}

/// A span of time as people say it.
fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{} s", ms / 1000),
        _ => format!("{} minutes", ms / 60_000),
    }
}

#[cfg(test)]
mod tests;
