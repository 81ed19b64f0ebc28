//! The tool calls of one answer, on their way to their results.

use creel_ipc::msg::transcript::Entry;

use super::action::Call;
use crate::tools::nature;

/// Calls that run at once at most.
const AT_ONCE: usize = 8;

/// Where a call stands.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Nothing happened yet.
    Todo,
    /// Its beginning is being journalled.
    Beginning,
    /// It runs.
    Running,
    /// People are asked what becomes of it.
    Consulted,
    /// It has its result, which is not journalled yet.
    Ready(Entry),
    /// Its result is being journalled.
    Ending(Entry),
    /// Its result is in the journal.
    Finished(Entry),
}

/// The calls of one answer, in order.
#[derive(Debug, Default)]
pub struct Calls {
    slots: Vec<(Call, State)>,
}

impl Calls {
    /// Takes the calls.
    pub fn new(calls: Vec<Call>) -> Self {
        Self { slots: calls.into_iter().map(|call| (call, State::Todo)).collect() }
    }

    /// The calls that may begin now: the first unfinished one, and those next to it when all of them may run at once.
    pub fn due(&self) -> Vec<Call> {
        let unfinished = self.slots.iter().skip_while(|(_, state)| matches!(state, State::Finished(_)));
        let mut due = Vec::new();
        for (n, (call, state)) in unfinished.take(AT_ONCE).enumerate() {
            let parallel = nature(&call.name).parallel;
            if n > 0 && !parallel {
                break;
            }
            if *state == State::Todo {
                due.push(call.clone());
            }
            if !parallel {
                break;
            }
        }
        due
    }

    /// Where the call of that step stands, to change it.
    pub fn state(&mut self, step: u32) -> Option<(&Call, &mut State)> {
        self.slots.iter_mut().find(|(call, _)| call.step == step).map(|(call, state)| (&*call, state))
    }

    /// The first call that is not journalled, if its result is ready: results are journalled in the order of the calls.
    pub fn next_ready(&mut self) -> Option<(&Call, &mut State)> {
        let past = |state: &State| matches!(state, State::Ending(_) | State::Finished(_));
        let (call, state) = self.slots.iter_mut().find(|(_, state)| !past(state))?;
        matches!(state, State::Ready(_)).then_some((&*call, state))
    }

    /// The results, when every call has one in the journal.
    pub fn results(&self) -> Option<Vec<Entry>> {
        let finished = self.slots.iter().map(|(_, state)| match state {
            State::Finished(entry) => Some(entry.clone()),
            _ => None,
        });
        finished.collect()
    }

    /// Every call with its state.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Call, &mut State)> {
        self.slots.iter_mut().map(|(call, state)| (&*call, state))
    }
}
