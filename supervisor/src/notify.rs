//! What a service manager is told, when there is one (`NOTIFY_SOCKET`).

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use creel_ipc::msg::unit::UnitState;
use sd_notify::NotifyState;

/// A sentence is told at most this often.
const PACE: Duration = Duration::from_millis(250);

/// The tree is up.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The tree is about to end.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The configuration is read again; [`ready`] must follow.
pub(crate) fn reloading() {
    // Without the time systemd could take a late READY=1 for the end of this reload.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_no_clock) => tell(&[NotifyState::Reloading]),
    }
}

/// The supervisor's loop goes round.
pub(crate) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often the service manager wants to hear [`alive`]: twice in the time that it gives.
pub(crate) fn watchdog_every() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|given| !given.is_zero()).map(|given| given / 2)
}

/// Best effort: a service manager that does not listen is its own problem.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        log_failure(&error, state);
    }
}

fn log_failure(error: &io::Error, state: &[NotifyState<'_>]) {
    let told: Vec<String> = state.iter().map(|state| state.to_string().trim_end().to_owned()).collect();
    tracing::warn!("The service manager could not be told {}: {error}.", told.join(" "));
}

/// Keeps the sentence that `systemctl status` shows up to date, without a word for each of a hundred units.
#[derive(Debug, Default)]
pub(crate) struct Herald {
    changed: bool,
    told_at: Option<Duration>,
    told: String,
}

impl Herald {
    /// The state of a unit is another one.
    pub(crate) fn changed(&mut self) {
        self.changed = true;
    }

    /// When there is something to tell; a point of the supervisor's own clock.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.changed.then(|| self.told_at.map_or(Duration::ZERO, |at| at + PACE))
    }

    /// Tells the sentence if it is time and it is a new one.
    pub(crate) fn tick(&mut self, now: Duration, states: impl Iterator<Item = UnitState>) {
        if self.deadline().is_none_or(|at| at > now) {
            return;
        }
        self.changed = false;
        let sentence = sentence(states);
        if sentence != self.told {
            tell(&[NotifyState::Status(&sentence)]);
            (self.told, self.told_at) = (sentence, Some(now));
        }
    }
}

/// `12 units up, 1 in backoff`.
fn sentence(states: impl Iterator<Item = UnitState>) -> String {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for state in states {
        *counts.entry(place(state)).or_default() += 1;
    }
    let up = counts.remove(&0).unwrap_or(0);
    let others = counts.into_iter().map(|(place, count)| format!(", {count} {}", WORDS[place]));
    format!("{up} {} {}{}", if up == 1 { "unit" } else { "units" }, WORDS[0], others.collect::<String>())
}

const WORDS: [&str; 6] = ["up", "starting", "in backoff", "quarantined", "stopping", "stopped"];

fn place(state: UnitState) -> usize {
    match state {
        UnitState::Running => 0,
        UnitState::Starting => 1,
        UnitState::Backoff => 2,
        UnitState::Quarantined => 3,
        UnitState::Stopping => 4,
        UnitState::Stopped => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_counts_every_state() {
        use UnitState::{Backoff, Quarantined, Running, Starting};
        assert_eq!(sentence([Running, Running, Backoff].into_iter()), "2 units up, 1 in backoff");
        assert_eq!(
            sentence([Quarantined, Starting, Running].into_iter()),
            "1 unit up, 1 starting, 1 quarantined"
        );
        assert_eq!(sentence(std::iter::empty()), "0 units up");
    }

    #[test]
    fn a_hundred_changes_at_once_are_one_sentence() {
        let mut herald = Herald::default();
        for _ in 0..100 {
            herald.changed();
        }
        assert_eq!(herald.deadline(), Some(Duration::ZERO));
        herald.tick(Duration::from_secs(1), std::iter::once(UnitState::Starting));
        assert_eq!((herald.told.as_str(), herald.deadline()), ("0 units up, 1 starting", None));
        herald.changed();
        assert_eq!(herald.deadline(), Some(Duration::from_millis(1250)));
        herald.tick(Duration::from_millis(1100), std::iter::once(UnitState::Running));
        assert_eq!(herald.told, "0 units up, 1 starting", "told before its time");
        herald.tick(Duration::from_millis(1250), std::iter::once(UnitState::Running));
        assert_eq!(herald.told, "1 unit up");
    }
}
