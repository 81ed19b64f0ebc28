//! Asking models, and what to do when they fail.

use creel_ipc::msg::agent::{DeltaKind, TurnOutcome};

use super::super::action::{Action, Timer};
use super::super::cascade::Next;
use super::super::repair::repair;
use super::super::{tokens, window};
use super::{Core, Phase, span};
use crate::model::{Class, Draft, Ev, ModelError, Stop};

/// Bytes of one answer; a longer one is cut as if the model had reached its limit. It must fit a frame.
const MAX_ANSWER: usize = 384 * 1024;

impl Core {
    pub(super) fn ask(&mut self, out: &mut Vec<Action>) {
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
        let again = std::mem::take(&mut self.shown);
        self.phase = Phase::Asking(Draft::default());
        out.push(Action::Timer(Timer::Silence, Some(self.setup.first_byte_ms)));
        out.push(Action::Ask { attempt: self.attempt, model: self.cascade.index(), messages, again });
    }

    pub(super) fn hear(&mut self, events: Vec<Ev>, out: &mut Vec<Action>) {
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

    pub(super) fn complete(&mut self, out: &mut Vec<Action>) {
        let Phase::Asking(draft) = std::mem::replace(&mut self.phase, Phase::Idle) else { return };
        out.push(Action::Timer(Timer::Silence, None));
        match draft.finish() {
            Err(error) => {
                self.phase = Phase::Asking(Draft::default());
                self.failed(error, out);
            }
            Ok(answer) => {
                self.cascade.succeeded();
                self.shown = false;
                let entry = self.entry(&answer, None);
                self.phase = Phase::Recording(answer);
                out.push(Action::End { step: self.step, entry });
            }
        }
    }

    pub(super) fn failed(&mut self, error: ModelError, out: &mut Vec<Action>) {
        let Phase::Asking(draft) = std::mem::replace(&mut self.phase, Phase::Idle) else { return };
        out.push(Action::Timer(Timer::Silence, None));
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
            // What was shown is kept: it is all that the person will get.
            Next::GiveUp(sentence) if self.shown && draft.has_text() => {
                let error = format!("The answer broke off. {sentence} Ask again to go on.");
                self.last_words(draft, TurnOutcome::Failed, Some(error), out);
            }
            Next::GiveUp(sentence) => self.finish(TurnOutcome::Failed, Some(sentence), out),
        }
    }

    pub(super) fn silence(&mut self, out: &mut Vec<Action>) {
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
}
