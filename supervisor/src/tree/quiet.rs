//! When to give memory back.

use std::time::Duration;

use crate::unit::At;

/// How long nothing must have been launched.
const QUIET: Duration = Duration::from_millis(500);

/// Waits for the quiet after launches. A supervisor's start touches nearly all of its program once; of that, its days need
/// a quarter.
#[derive(Debug, Default)]
pub(super) struct Quiet(Option<At>);

impl Quiet {
    /// What came before, the reading of the configuration above all, does not come again soon.
    pub(super) fn begin(&mut self) {
        creel_launch::shed_memory();
    }

    /// Something was launched.
    pub(super) fn disturb(&mut self, now: At) {
        self.0 = Some(now + QUIET);
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Option<At> {
        self.0
    }

    /// Gives back what launches needed, once it is quiet.
    pub(super) fn tick(&mut self, now: At) {
        if self.0.is_some_and(|at| at <= now) {
            self.0 = None;
            creel_launch::shed_memory();
        }
    }
}
