//! Tool calls: begun, run and journalled in their order.

use creel_ipc::msg::agent::{Decision, StepBegun, TurnOutcome};
use creel_ipc::msg::transcript::{Block, Entry};

use super::super::action::{Action, Timer, Trust};
use super::super::breaker::Verdict;
use super::super::calls::State;
use super::{Core, Phase, result};
use crate::tools::{self, Outcome, WhenUncertain};

impl Core {
    /// Begins what is due, journals what is ready, and goes on when everything is done.
    pub(super) fn act(&mut self, out: &mut Vec<Action>) {
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

    pub(super) fn begun(&mut self, step: u32, known: StepBegun, out: &mut Vec<Action>) {
        // A step that no earlier life began can only have been begun by this one, whose first request reached the
        // journal of a gateway that died before it answered: it never ran.
        let was_begun = self.journal.contains_key(&step);
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
                WhenUncertain::Check | WhenUncertain::Ask => run(Trust::Check, state, out),
            },
            StepBegun::New | StepBegun::Uncertain => run(Trust::Fresh, state, out),
        }
        self.act(out);
    }

    /// Nobody knows what became of a step: people decide, and the turn's own time stands still meanwhile.
    pub(super) fn doubtful(&mut self, step: u32, out: &mut Vec<Action>) {
        let Phase::Acting(calls) = &mut self.phase else { return };
        let Some((call, state)) = calls.state(step) else { return };
        if *state != State::Running {
            return;
        }
        if tools::nature(&call.name).when_uncertain == WhenUncertain::Ask {
            *state = State::Consulted;
            out.push(Action::Consult(call.clone()));
            self.pause(out);
        } else {
            let outcome = Outcome::error(tools::outcome_unknown(&call.name, Decision::Unasked));
            self.ran(step, outcome, out);
        }
    }

    pub(super) fn decided(&mut self, step: u32, decision: Decision, out: &mut Vec<Action>) {
        let Phase::Acting(calls) = &mut self.phase else { return };
        let Some((call, state)) = calls.state(step) else { return };
        if *state != State::Consulted {
            return;
        }
        let call = call.clone();
        if decision == Decision::Stop {
            return self.close(TurnOutcome::Aborted, None, out);
        }
        *state = State::Running;
        self.resume(out);
        match decision {
            Decision::Again => out.push(Action::Run(call, Trust::Fresh)),
            _ => self.ran(step, Outcome::error(tools::outcome_unknown(&call.name, decision)), out),
        }
    }

    fn pause(&mut self, out: &mut Vec<Action>) {
        self.left_ms = self.ends_ms.saturating_sub(self.now_ms).clamp(0, self.turn_ms());
        out.push(Action::Timer(Timer::Turn, None));
    }

    fn resume(&mut self, out: &mut Vec<Action>) {
        self.ends_ms = self.now_ms.saturating_add(self.left_ms);
        out.push(Action::Timer(Timer::Turn, Some(u64::try_from(self.left_ms).unwrap_or(0))));
    }

    pub(super) fn ran(&mut self, step: u32, outcome: Outcome, out: &mut Vec<Action>) {
        let now_ms = self.now_ms;
        let Phase::Acting(calls) = &mut self.phase else { return };
        let Some((call, state)) = calls.state(step) else { return };
        if *state == State::Running {
            *state = State::Ready(result(call, outcome, now_ms));
            self.act(out);
        }
    }
}

fn add_text(entry: &mut Entry, sentence: String) {
    if let Entry::ToolResult { content, .. } = entry {
        content.push(Block::text(sentence));
    }
}
