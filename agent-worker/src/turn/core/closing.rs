//! Ends: the good one, and the early ones that keep what can be kept.

use creel_ipc::msg::agent::{Decision, TurnOutcome};
use creel_ipc::msg::transcript::StopReason;

use super::super::action::{Action, Ending, Timer};
use super::super::calls::{Calls, State};
use super::{Core, Phase, add, result, text_of};
use crate::model::{Answer, Draft};
use crate::tools::{Outcome, outcome_unknown};

/// Milliseconds that the last words of a turn that ends early may take.
const CLOSING_MS: u64 = 600;

impl Core {
    /// Ends the turn early, keeping what can be kept.
    pub(super) fn close(&mut self, outcome: TurnOutcome, error: Option<String>, out: &mut Vec<Action>) {
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
    pub(super) fn abandon(&mut self, calls: &mut Calls, out: &mut Vec<Action>) -> Vec<u32> {
        let mut open = Vec::new();
        for (call, state) in calls.iter_mut() {
            let entry = match state {
                State::Consulted => {
                    result(call, Outcome::error(outcome_unknown(&call.name, Decision::Skip)), self.now_ms)
                }
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
    pub(super) fn last_words(
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

    pub(super) fn wait_for(
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

    pub(super) fn over(&mut self, out: &mut Vec<Action>) {
        let (outcome, error) = self.ending.take().unwrap_or((TurnOutcome::Done, None));
        self.finish(outcome, error, out);
    }

    pub(super) fn silence_everything(&mut self, out: &mut Vec<Action>) {
        match self.phase {
            Phase::Asking(_) => out.push(Action::CancelAsk),
            Phase::Acting(_) => out.push(Action::CancelTools),
            _ => {}
        }
    }

    pub(super) fn finish(&mut self, outcome: TurnOutcome, error: Option<String>, out: &mut Vec<Action>) {
        self.phase = Phase::Over;
        out.extend(Timer::ALL.map(|timer| Action::Timer(timer, None)));
        let replies = std::mem::take(&mut self.replies);
        out.push(Action::Finish(Ending { outcome, error, replies, usage: self.usage }));
    }
}
