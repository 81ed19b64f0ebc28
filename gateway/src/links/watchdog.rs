//! Is a worker alive, and does it get anywhere?

use std::time::Duration;

use creel_ipc::limits::{PING_EVERY_MS, PINGS_MISSED};
use creel_ipc::msg::{Empty, Ping, Pong};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::worker::Attached;

/// What the answers so far amount to. Knows no link.
#[derive(Debug)]
struct Pulse {
    missed: u32,
    progress: Option<u64>,
    since: Instant,
}

impl Pulse {
    fn new(now: Instant) -> Self {
        Self { missed: 0, progress: None, since: now }
    }

    /// Takes an answer, or its absence; a sentence means that the worker must be replaced.
    fn beat(&mut self, answer: Option<Pong>, now: Instant, stuck_after: Duration) -> Option<String> {
        let Some(pong) = answer else {
            self.missed += 1;
            let dead = self.missed >= PINGS_MISSED;
            return dead.then(|| format!("It left {PINGS_MISSED} pings in a row unanswered."));
        };
        self.missed = 0;
        if !pong.busy || self.progress != Some(pong.progress) {
            self.progress = Some(pong.progress);
            self.since = now;
            return None;
        }
        let still = now.duration_since(self.since);
        (still >= stuck_after)
            .then(|| format!("It has been busy for {} s without getting anywhere.", still.as_secs()))
    }
}

/// How often to ask: a worker that is given little time is asked more often, as the supervisor asks its own.
fn every(stuck_after: Duration) -> Duration {
    Duration::from_millis(PING_EVERY_MS).min(stuck_after / PINGS_MISSED)
}

/// Pings until the link ends or the worker must be replaced.
pub(super) async fn watch(this: Attached, faults: mpsc::Sender<String>) {
    let mut pulse = Pulse::new(Instant::now());
    let mut next = Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = this.gone.cancelled() => return,
            () = this.core.stopping.cancelled() => return,
        }
        let rules = this.core.settings().config.supervisor.watchdog.clone();
        let stuck_after = Duration::from_secs(u64::from(rules.seconds));
        let every = every(stuck_after);
        next = Instant::now() + every;
        let answer = tokio::time::timeout(every, this.link.call::<Ping>(&Empty {})).await;
        let answer = answer.ok().and_then(Result::ok);
        let verdict = pulse.beat(answer, Instant::now(), stuck_after);
        if let (true, Some(detail)) = (rules.enabled && !this.gone.is_cancelled(), verdict) {
            // The link's task takes it or has ended.
            let _ended = faults.send(detail).await;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUCK: Duration = Duration::from_secs(60);

    fn pong(progress: u64, busy: bool) -> Option<Pong> {
        Some(Pong { progress, busy })
    }

    #[test]
    fn who_is_given_little_time_is_asked_more_often() {
        assert_eq!([6, 60, 600].map(|seconds| every(Duration::from_secs(seconds)).as_secs()), [2, 10, 10]);
    }

    #[tokio::test]
    async fn silence_is_death_and_a_single_answer_is_life() {
        let now = Instant::now();
        let mut pulse = Pulse::new(now);
        assert_eq!(pulse.beat(None, now, STUCK), None);
        assert_eq!(pulse.beat(None, now, STUCK), None);
        assert_eq!(pulse.beat(pong(0, false), now, STUCK), None);
        assert_eq!(pulse.beat(None, now, STUCK), None);
        assert_eq!(pulse.beat(None, now, STUCK), None);
        assert!(pulse.beat(None, now, STUCK).is_some());
    }

    #[tokio::test]
    async fn busy_without_progress_is_stuck_and_idle_is_not() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut pulse = Pulse::new(start);
        for seconds in (0..600).step_by(10) {
            assert_eq!(pulse.beat(pong(7, false), after(seconds), STUCK), None, "idle");
        }
        for seconds in (600..1200).step_by(10) {
            assert_eq!(pulse.beat(pong(seconds, true), after(seconds), STUCK), None, "at work");
        }
        assert_eq!(pulse.beat(pong(5, true), after(1200), STUCK), None);
        assert_eq!(pulse.beat(pong(5, true), after(1250), STUCK), None);
        assert!(pulse.beat(pong(5, true), after(1260), STUCK).is_some());
    }
}
