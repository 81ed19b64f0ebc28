//! Whether the process behind a link is alive and gets anywhere.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use creel_config::operation::Watchdog;
use creel_ipc::limits::{PING_EVERY_MS, PINGS_MISSED};
use creel_ipc::msg::{Empty, Ping, Pong};
use creel_link::Link;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::suspension::Suspension;

/// How often to ask, and how long work may go on without a step.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    every: Duration,
    stalled: Duration,
}

impl Patience {
    /// From the operator's rules; `None` when the watchdog is off. A unit that is given little time is asked more often.
    pub fn of(rules: &Watchdog) -> Option<Self> {
        let stalled = Duration::from_secs(u64::from(rules.seconds));
        let every = Duration::from_millis(PING_EVERY_MS).min(stalled / PINGS_MISSED);
        rules.enabled.then_some(Self { every, stalled })
    }
}

/// Asks until something is wrong, and says what. Ends silently with the link.
pub async fn watch(link: Link, patience: Patience) -> Option<String> {
    let missed = Rc::new(Cell::new(0_u32));
    let latest = Rc::new(Cell::new(Pong::default()));
    let (mut progress, mut since) = (0, Instant::now());
    let mut ticks = interval_at(in_step(Instant::now(), patience.every), patience.every);
    let mut suspension = Suspension::begin();
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if link.is_closed() {
            return None;
        }
        if suspension.happened() {
            // After the host slept there is one period of grace, not a burst of misses.
            missed.set(0);
            since = Instant::now();
        }
        if missed.get() >= PINGS_MISSED {
            return Some(format!(
                "It did not answer {PINGS_MISSED} pings in {} ms.",
                (patience.every * PINGS_MISSED).as_millis()
            ));
        }
        let pong = latest.get();
        if !pong.busy || pong.progress != progress {
            (progress, since) = (pong.progress, Instant::now());
        } else if since.elapsed() >= patience.stalled {
            return Some(format!("It is busy and made no step for {} s.", patience.stalled.as_secs()));
        }
        missed.set(missed.get() + 1);
        let (link, missed, latest) = (link.clone(), Rc::clone(&missed), Rc::clone(&latest));
        let give_up = patience.every * (PINGS_MISSED + 1);
        tokio::task::spawn_local(async move {
            if let Ok(Ok(pong)) = tokio::time::timeout(give_up, link.call::<Ping>(&Empty {})).await {
                missed.set(0);
                latest.set(pong);
            }
        });
    }
}

/// The next moment of a beat that all watches of this process share: it wakes up once for all of them.
fn in_step(now: Instant, every: Duration) -> Instant {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let first = *FIRST.get_or_init(|| now);
    let beats = now.saturating_duration_since(first).as_nanos() / every.as_nanos().max(1) + 1;
    first + every * u32::try_from(beats).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_that_begin_at_any_time_ask_together() {
        let now = Instant::now();
        let every = Duration::from_secs(2);
        let first = in_step(now, every);
        for later in [1_u64, 700, 1300, 1999] {
            let at = in_step(now + Duration::from_millis(later), every);
            let wait = at - (now + Duration::from_millis(later));
            assert!(wait > Duration::ZERO && wait <= every, "{wait:?}");
            assert!((at.max(first) - at.min(first)).as_nanos().is_multiple_of(every.as_nanos()));
        }
    }
}
