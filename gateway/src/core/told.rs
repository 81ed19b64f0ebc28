//! Runs whose end was told to clients here.

use std::collections::{HashSet, VecDeque};

/// As many are remembered.
const MOST: usize = 4_096;

/// The last of them.
#[derive(Debug, Default)]
pub(crate) struct Told {
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Told {
    /// Notes it; `false` when it was told before.
    pub(crate) fn is_new(&mut self, run: &str) -> bool {
        if !self.known.insert(run.to_owned()) {
            return false;
        }
        self.order.push_back(run.to_owned());
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    pub(crate) fn knows(&self, run: &str) -> bool {
        self.known.contains(run)
    }
}
