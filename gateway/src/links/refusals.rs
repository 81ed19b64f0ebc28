//! What the file tools of an agent refused, passed on to the supervisor for the operator: bounded in size and number, since
//! a worker that was taken over may tell anything.

use std::time::Duration;

use creel_ipc::msg::tool::ToolRefused;
use tokio::time::Instant;

use super::worker::Attached;

/// The time in which so many are passed on.
const WINDOW: Duration = Duration::from_secs(60);
const MOST: u32 = 30;
/// Bytes of a path, and of a tool's name.
const PATH: usize = 1024;
const TOOL: usize = 64;

/// How many one worker may have passed on.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    since: Option<Instant>,
    passed: u32,
    /// Those that were too many since the last that was passed on.
    more: u64,
}

impl Budget {
    /// Whether one more may pass, and how many before it could not.
    fn take(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now.duration_since(since) >= WINDOW) {
            (self.since, self.passed) = (Some(now), 0);
        }
        if self.passed >= MOST {
            self.more = self.more.saturating_add(1);
            return None;
        }
        self.passed += 1;
        Some(std::mem::take(&mut self.more))
    }
}

/// Passes one on, as its own worker's.
pub(super) fn pass_on(this: &Attached, told: ToolRefused) {
    let Some(supervisor) = &this.core.supervisor else { return };
    let more = {
        let mut state = this.core.state();
        let worker =
            state.workers.get_mut(&this.unit).filter(|worker| worker.incarnation == this.incarnation);
        worker.and_then(|worker| worker.refusals.take(Instant::now()))
    };
    let Some(more) = more else { return };
    let cut = |text: String, most: usize| text.get(..text.floor_char_boundary(most)).map(str::to_owned);
    supervisor.offer::<ToolRefused>(&ToolRefused {
        agent: this.name().to_owned(),
        tool: cut(told.tool, TOOL).unwrap_or_default(),
        path: cut(told.path, PATH).unwrap_or_default(),
        why: told.why,
        more: (more > 0).then_some(more),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_pass_in_a_minute_and_the_rest_is_counted() {
        let (mut budget, start) = (Budget::default(), Instant::now());
        assert_eq!((0..100).filter(|_| budget.take(start).is_some()).count(), 30);
        assert_eq!(budget.take(start + WINDOW), Some(70));
        assert_eq!(budget.take(start + WINDOW), Some(0));
    }
}
