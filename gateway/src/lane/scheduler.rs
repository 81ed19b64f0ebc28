//! Starts turns as lanes come due.

use std::sync::Arc;

use tokio::time::Instant;

use super::run_lane;
use crate::core::{Core, agent_unit};

/// Runs until the gateway ends.
pub(crate) async fn schedule(core: Arc<Core>) {
    loop {
        let next = {
            let now = Instant::now();
            let mut state = core.state();
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
