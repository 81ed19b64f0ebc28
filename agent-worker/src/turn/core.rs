//! The turn loop, sans-IO. Whatever happens, in whatever order, it comes to an end.

use std::collections::BTreeMap;

use creel_ipc::msg::agent::{DeltaKind, JournalStep, Model, StepBegun, TurnOutcome};
use creel_ipc::msg::transcript::{Block, Entry, StopReason, Usage};

use super::action::{Action, Call, Ending, Input, Timer, Trust};
use super::breaker::{Breaker, Verdict};
use super::calls::{Calls, State};
use super::cascade::{Cascade, Next};
use super::window::{self, Past};
use super::{repair::repair, tokens};
use crate::model::{Answer, Class, Draft, Ev, ModelError, Stop};
use crate::prompt::SILENCE;
use crate::tools::{self, Outcome, WhenUncertain};

/// Bytes of one answer; a longer one is cut as if the model had reached its limit. It must fit a frame.
const MAX_ANSWER: usize = 384 * 1024;
/// Milliseconds that the last words of a turn that ends early may take.
const CLOSING_MS: u64 = 600;

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
            setup,
        }
    }

    /// Begins. `now_ms` is the time since the epoch, as in [`Core::take`].
    pub fn begin(&mut self, now_ms: i64) -> Vec<Action> {
        self.now_ms = now_ms;
        let mut out = vec![Action::Timer(Timer::Turn, Some(self.setup.turn_ms))];
        self.go_on(&mut out);
        out
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

    fn ask(&mut self, out: &mut Vec<Action>) {
        let Some(model) = self.cascade.model() else {
            let error = "The agent has no model. Add one to `models.providers` in creel.json.".to_owned();
            return self.finish(TurnOutcome::Failed, Some(error), out);
        };
        let budget = window::budget(model, self.setup.overhead);
        let mut present = vec![self.setup.input.clone()];
        present.extend(self.said.iter().cloned());
        self.past.fit(budget, tokens::of_entries(&present));
        let room = budget.saturating_sub(tokens::of_entries(self.past.shown()));
        window::shorten(&mut present, room);
        let messages = repair(self.past.shown().iter().cloned().chain(present).collect());
        self.attempt += 1;
        self.heard = false;
        self.shown = false;
        self.phase = Phase::Asking(Draft::default());
        out.push(Action::Timer(Timer::Silence, Some(self.setup.first_byte_ms)));
        out.push(Action::Ask { attempt: self.attempt, model: self.cascade.index(), messages });
    }

    fn hear(&mut self, events: Vec<Ev>, out: &mut Vec<Action>) {
        if !events.is_empty() && matches!(self.phase, Phase::Asking(_)) {
            self.heard = true;
            out.push(Action::Timer(Timer::Silence, Some(self.setup.inactivity_ms)));
        }
        for event in events {
            let Phase::Asking(draft) = &mut self.phase else { return };
            draft.take(&event);
            let too_long = draft.bytes() > MAX_ANSWER;
            match event {
                Ev::Text { text, .. } => {
                    self.shown = true;
                    out.push(Action::Delta(DeltaKind::Text, text));
                }
                Ev::Thinking { text, .. } => out.push(Action::Delta(DeltaKind::Thinking, text)),
                Ev::End => return self.complete(out),
                Ev::Fail(error) => return self.failed(error, out),
                _ => {}
            }
            if too_long {
                draft.take(&Ev::Stop(Stop::Length));
                out.push(Action::CancelAsk);
                return self.complete(out);
            }
        }
    }

    fn complete(&mut self, out: &mut Vec<Action>) {
        let Phase::Asking(draft) = std::mem::replace(&mut self.phase, Phase::Idle) else { return };
        out.push(Action::Timer(Timer::Silence, None));
        match draft.finish() {
            Err(error) => {
                self.phase = Phase::Asking(Draft::default());
                self.failed(error, out);
            }
            Ok(answer) => {
                self.cascade.succeeded();
                let entry = self.entry(&answer, None);
                self.phase = Phase::Recording(answer);
                out.push(Action::End { step: self.step, entry });
            }
        }
    }

    fn failed(&mut self, error: ModelError, out: &mut Vec<Action>) {
        let Phase::Asking(draft) = std::mem::replace(&mut self.phase, Phase::Idle) else { return };
        out.push(Action::Timer(Timer::Silence, None));
        if self.shown && draft.has_text() {
            let error =
                format!("The answer of {} broke off. {error}. Ask again to go on.", self.cascade.name());
            return self.last_words(draft, TurnOutcome::Failed, Some(error), out);
        }
        if error.class == Class::ContextOverflow {
            if !self.halved && self.past.halve() {
                self.halved = true;
                return self.ask(out);
            }
            let error = format!(
                "The conversation is too long for {}, also without its older half. Begin a new session. ({error}.)",
                self.cascade.name()
            );
            return self.finish(TurnOutcome::Failed, Some(error), out);
        }
        match self.cascade.failed(error) {
            Next::Wait(ms) => {
                self.phase = Phase::Waiting;
                out.push(Action::Timer(Timer::Retry, Some(ms)));
            }
            Next::Switch => self.ask(out),
            Next::GiveUp(sentence) => self.finish(TurnOutcome::Failed, Some(sentence), out),
        }
    }

    fn silence(&mut self, out: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Asking(_)) {
            return;
        }
        out.push(Action::CancelAsk);
        let message = if self.heard {
            format!("It stopped in the middle and sent nothing for {}", span(self.setup.inactivity_ms))
        } else {
            format!("It sent nothing for {}", span(self.setup.first_byte_ms))
        };
        self.failed(ModelError::new(Class::Timeout, message), out);
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

    /// Begins what is due, journals what is ready, and goes on when everything is done.
    fn act(&mut self, out: &mut Vec<Action>) {
        let Phase::Acting(calls) = &mut self.phase else { return };
        loop {
            let due = calls.due();
            let mut replayed = false;
            for call in due {
                let known = match self.journal.get(&call.step) {
                    Some(Some(entry @ Entry::ToolResult { .. })) => Some(entry.clone()),
                    _ => None,
                };
                let Some((_, state)) = calls.state(call.step) else { continue };
                match known {
                    Some(entry) => {
                        if let Verdict::Stop(reason) = self.breaker.count(&call.name, &call.arguments, &entry)
                        {
                            self.stop = Some(reason);
                        }
                        *state = State::Finished(entry);
                        replayed = true;
                    }
                    None => {
                        *state = State::Beginning;
                        out.push(Action::Begin(call));
                    }
                }
            }
            if !replayed {
                break;
            }
        }
        while let Some((call, state)) = calls.next_ready() {
            let State::Ready(mut entry) = std::mem::replace(state, State::Todo) else { break };
            match self.breaker.count(&call.name, &call.arguments, &entry) {
                Verdict::Fine => {}
                Verdict::Warn(sentence) => add_text(&mut entry, sentence),
                Verdict::Stop(reason) => self.stop = Some(reason),
            }
            out.push(Action::End { step: call.step, entry: entry.clone() });
            *state = State::Ending(entry);
        }
        if let Some(results) = calls.results() {
            self.said.extend(results);
            self.phase = Phase::Idle;
            self.go_on(out);
        }
    }

    fn begun(&mut self, step: u32, known: StepBegun, out: &mut Vec<Action>) {
        // A step that no earlier life began can only have been begun by this one, whose first request reached the
        // journal of a gateway that died before it answered: it never ran.
        let was_begun = self.journal.contains_key(&step);
        let now_ms = self.now_ms;
        let Phase::Acting(calls) = &mut self.phase else { return };
        let Some((call, state)) = calls.state(step) else { return };
        if *state != State::Beginning {
            return;
        }
        let run = |trust, state: &mut State, out: &mut Vec<Action>| {
            *state = State::Running;
            out.push(Action::Run(call.clone(), trust));
        };
        match known {
            StepBegun::Done { entry } => {
                if let Verdict::Stop(reason) = self.breaker.count(&call.name, &call.arguments, &entry) {
                    self.stop = Some(reason);
                }
                *state = State::Finished(entry);
            }
            StepBegun::Uncertain if was_begun => match tools::nature(&call.name).when_uncertain {
                WhenUncertain::Again => run(Trust::Fresh, state, out),
                WhenUncertain::Check => run(Trust::Check, state, out),
                WhenUncertain::Tell => {
                    let outcome = Outcome::error(tools::outcome_unknown(&call.name));
                    *state = State::Ready(result(call, outcome, now_ms));
                }
            },
            StepBegun::New | StepBegun::Uncertain => run(Trust::Fresh, state, out),
        }
        self.act(out);
    }

    fn ran(&mut self, step: u32, outcome: Outcome, out: &mut Vec<Action>) {
        let now_ms = self.now_ms;
        let Phase::Acting(calls) = &mut self.phase else { return };
        let Some((call, state)) = calls.state(step) else { return };
        if *state == State::Running {
            *state = State::Ready(result(call, outcome, now_ms));
            self.act(out);
        }
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

    /// Ends the turn early, keeping what can be kept.
    fn close(&mut self, outcome: TurnOutcome, error: Option<String>, out: &mut Vec<Action>) {
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            closing @ Phase::Closing(_) => self.phase = closing,
            Phase::Asking(draft) => {
                out.push(Action::CancelAsk);
                self.last_words(draft, outcome, error, out);
            }
            Phase::Recording(answer) => {
                // It is on its way to the journal and will not be acted upon.
                add(&mut self.usage, answer.usage);
                self.wait_for(vec![self.step], outcome, error, out);
            }
            Phase::Acting(mut calls) => {
                out.push(Action::CancelTools);
                let open = self.abandon(&mut calls, out);
                self.wait_for(open, outcome, error, out);
            }
            Phase::Idle | Phase::Waiting | Phase::Over => self.finish(outcome, error, out),
        }
    }

    /// Journals what becomes of calls that will not be finished; says which steps are on their way.
    fn abandon(&mut self, calls: &mut Calls, out: &mut Vec<Action>) -> Vec<u32> {
        let mut open = Vec::new();
        for (call, state) in calls.iter_mut() {
            let entry = match state {
                State::Running => {
                    let stopped = Outcome::error(
                        "This call was stopped because the turn was ended before it was done.",
                    );
                    result(call, stopped, self.now_ms)
                }
                State::Ready(entry) => entry.clone(),
                State::Ending(_) => {
                    open.push(call.step);
                    continue;
                }
                State::Todo | State::Beginning | State::Finished(_) => continue,
            };
            out.push(Action::End { step: call.step, entry });
            open.push(call.step);
        }
        open
    }

    /// Journals what was shown of an unfinished answer, then ends.
    fn last_words(
        &mut self,
        draft: Draft,
        outcome: TurnOutcome,
        error: Option<String>,
        out: &mut Vec<Action>,
    ) {
        let (content, usage) = draft.partial();
        add(&mut self.usage, usage);
        if text_of(&content).trim().is_empty() {
            return self.finish(outcome, error, out);
        }
        let stop = if outcome == TurnOutcome::Aborted { StopReason::Aborted } else { StopReason::Error };
        let entry = self.entry(&Answer { content, usage, stop }, error.clone());
        out.push(Action::End { step: self.step, entry });
        self.wait_for(vec![self.step], outcome, error, out);
    }

    fn wait_for(
        &mut self,
        open: Vec<u32>,
        outcome: TurnOutcome,
        error: Option<String>,
        out: &mut Vec<Action>,
    ) {
        if open.is_empty() {
            return self.finish(outcome, error, out);
        }
        self.ending = Some((outcome, error));
        self.phase = Phase::Closing(open);
        out.push(Action::Timer(Timer::Silence, None));
        out.push(Action::Timer(Timer::Closing, Some(CLOSING_MS)));
    }

    fn over(&mut self, out: &mut Vec<Action>) {
        let (outcome, error) = self.ending.take().unwrap_or((TurnOutcome::Done, None));
        self.finish(outcome, error, out);
    }

    fn silence_everything(&mut self, out: &mut Vec<Action>) {
        match self.phase {
            Phase::Asking(_) => out.push(Action::CancelAsk),
            Phase::Acting(_) => out.push(Action::CancelTools),
            _ => {}
        }
    }

    fn finish(&mut self, outcome: TurnOutcome, error: Option<String>, out: &mut Vec<Action>) {
        self.phase = Phase::Over;
        out.extend(Timer::ALL.map(|timer| Action::Timer(timer, None)));
        let replies = std::mem::take(&mut self.replies);
        out.push(Action::Finish(Ending { outcome, error, replies, usage: self.usage }));
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

fn add_text(entry: &mut Entry, sentence: String) {
    if let Entry::ToolResult { content, .. } = entry {
        content.push(Block::text(sentence));
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
