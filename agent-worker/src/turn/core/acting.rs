//! Tool calls: begun, run and journalled in their order.

use creel_ipc::msg::agent::StepBegun;
use creel_ipc::msg::transcript::{Block, Entry};

use super::super::action::{Action, Trust};
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
                WhenUncertain::Check => run(Trust::Check, state, out),
            },
            StepBegun::New | StepBegun::Uncertain => run(Trust::Fresh, state, out),
        }
        self.act(out);
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
