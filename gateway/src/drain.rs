//! Workers that are about to be replaced: whether they are between two pieces of work, and holding new work back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use creel_ipc::hello::Role;
use creel_ipc::msg::supervisor::{UnitDrainParams, UnitDrained, UnitLife};
use creel_ipc::msg::unit::{UnitState, UnitStatus};
use tokio::time::Instant;

use crate::core::{Core, State, channel_unit};
use crate::hub::OutboxState;

/// How often to look.
const LOOK: Duration = Duration::from_millis(50);
/// A unit that is not back after so long may stay away for long: what was held back goes its usual way.
const HOLD: Duration = Duration::from_secs(60);
/// Rows of an outbox that are looked at; more are never on their way at once.
const ROWS: u32 = 256;

/// What is held back, by the unit that is to be replaced.
#[derive(Debug, Default)]
pub(crate) struct Drains {
    drains: HashMap<String, Drain>,
    /// Numbers them.
    count: u64,
}

#[derive(Debug)]
struct Drain {
    number: u64,
    incarnation: u64,
    workers: Vec<String>,
}

impl Drains {
    fn begin(&mut self, asked: &UnitDrainParams) -> u64 {
        self.count += 1;
        let workers = asked.workers.iter().map(|life| life.unit.clone()).collect();
        let drain = Drain { number: self.count, incarnation: asked.incarnation, workers };
        self.drains.insert(asked.unit.clone(), drain);
        self.count
    }

    /// Whether a worker gets no new work.
    pub(crate) fn hold(&self, worker: &str) -> bool {
        self.drains.values().any(|drain| drain.workers.iter().any(|held| held == worker))
    }

    fn lift(&mut self, unit: &str, which: impl Fn(&Drain) -> bool) -> Vec<String> {
        if self.drains.get(unit).is_some_and(which) {
            return self.drains.remove(unit).map(|drain| drain.workers).unwrap_or_default();
        }
        Vec::new()
    }
}

/// Waits for a moment at which none of the workers is in the middle of anything.
pub(crate) async fn drain(core: &Arc<Core>, asked: UnitDrainParams) -> UnitDrained {
    let number = core.state().drains.begin(&asked);
    let deadline = Instant::now() + Duration::from_millis(asked.deadline_ms);
    let idle = loop {
        if are_idle(core, &asked.workers).await {
            break true;
        }
        if Instant::now() >= deadline || core.stopping.is_cancelled() {
            break false;
        }
        tokio::time::sleep(LOOK).await;
    };
    if idle {
        let core = Arc::clone(core);
        tokio::spawn(async move {
            tokio::time::sleep(HOLD).await;
            release(&core, &asked.unit, |drain| drain.number == number);
        });
    } else {
        release(core, &asked.unit, |drain| drain.number == number);
    }
    UnitDrained { idle }
}

/// The next life of a unit runs: what was held back for it goes on. The life before is over, whether its link has ended
/// yet or not, and nothing may be said through it any more.
pub(crate) fn changed(core: &Core, status: &UnitStatus) {
    if status.state == UnitState::Running {
        if let Some(before) =
            core.state().workers.get(&status.name).filter(|worker| worker.incarnation < status.incarnation)
        {
            before.gone.cancel();
        }
        release(core, &status.name, |drain| drain.incarnation != status.incarnation);
    }
}

fn release(core: &Core, unit: &str, which: impl Fn(&Drain) -> bool) {
    let mut state = core.state();
    for worker in state.drains.lift(unit, which) {
        if let Some(worker) = state.workers.get(&worker) {
            worker.outbound.notify_one();
        }
    }
    drop(state);
    core.wake.notify_one();
}

async fn are_idle(core: &Core, workers: &[UnitLife]) -> bool {
    if !workers.iter().all(|life| is_idle(&core.state(), life)) {
        return false;
    }
    // What an earlier gateway began to say, and this one has not asked about yet.
    for account in workers.iter().filter_map(|life| life.unit.strip_prefix("channel:")) {
        // An account that another host has is at rest here.
        if !core.who.is_alone() && !core.state().held.contains_key(account) {
            continue;
        }
        let Ok(held) = core.hold(account).await else { return false };
        let rows = core.desk.read(move |store| store.open_outbound(&held, ROWS)).await;
        if rows.is_ok_and(|rows| rows.iter().all(|row| row.state != OutboxState::Attempting)) {
            continue;
        }
        return false;
    }
    true
}

/// One that is not ready is not idle: under a gateway that took over it may have work that is not known yet.
fn is_idle(state: &State, life: &UnitLife) -> bool {
    let Some(worker) = state.workers.get(&life.unit) else { return false };
    if !worker.ready || worker.incarnation != life.incarnation {
        return false;
    }
    let name = life.unit.split_once(':').map_or("", |(_, name)| name);
    match worker.role {
        Role::Agent => {
            !state.lanes.is_agent_busy(name)
                && state.turns.values().all(|running| running.agent != name)
                && state.tool_runs.values().all(|owner| *owner != life.unit)
        }
        _ => {
            // A draft that is shown would be left behind: only its worker knows the message that shows it.
            let drafts = |account: &str| channel_unit(account) == life.unit;
            Arc::strong_count(&worker.sending) == 1
                && !state.turns.values().any(|turn| turn.drafted.is_some() && drafts(&turn.account))
        }
    }
}
