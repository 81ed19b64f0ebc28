//! Starts turns as lanes come due.

use std::sync::Arc;

use tokio::time::Instant;

use super::run_lane;
use crate::core::{Core, agent_unit};

/// Runs until the gateway ends. From then on nothing is taken up: the turns that are let go of at that moment are still
/// run by their agents, for the next gateway, and claimed once more they would no longer be theirs.
pub(crate) async fn schedule(core: Arc<Core>) {
    loop {
        let next = {
            let now = Instant::now();
            let mut state = core.state();
            // Behind this door: whoever lets a turn go at the end comes through it after the end has begun.
            if core.stopping.is_cancelled() {
                return;
            }
            let ready: Vec<String> = state
                .workers
                .iter()
                .filter(|(_, worker)| worker.ready && !worker.link.is_closed())
                .filter(|(unit, _)| !state.drains.hold(unit))
                .map(|(unit, _)| unit.clone())
                .collect();
            for lane in state.lanes.take(now, |agent| ready.contains(&agent_unit(agent))) {
                tokio::spawn(run_lane(Arc::clone(&core), lane));
            }
            state.lanes.next_due(now)
        };
        // Without a next lane only a wake-up counts.
        let due = next.unwrap_or_else(|| Instant::now() + std::time::Duration::from_secs(3600));
        tokio::select! {
            () = core.wake.notified() => {}
            () = tokio::time::sleep_until(due) => {}
            () = core.stopping.cancelled() => return,
        }
    }
}
