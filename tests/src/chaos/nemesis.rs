//! What is done to whom, and when: decided by the seed alone, before anything runs.

use std::time::Duration;

use creel_kit::random::Random;
use serde::Serialize;

/// One misfortune.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Blow {
    /// SIGKILL of a unit.
    Kill(Victim),
    /// SIGSTOP of a unit, and SIGCONT after so many milliseconds.
    Pause(Victim, u64),
    /// SIGKILL of the supervisor, and a new one.
    KillSupervisor,
}

/// A kind of process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Victim {
    /// The gateway.
    Gateway,
    /// The way out.
    Egress,
    /// The agent.
    Agent,
    /// Telegram's worker.
    Channel,
}

impl Victim {
    pub(crate) const ALL: [Self; 4] = [Self::Gateway, Self::Egress, Self::Agent, Self::Channel];

    /// The unit's name.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Egress => "egress",
            Self::Agent => "agent:main",
            Self::Channel => "channel:telegram:default",
        }
    }
}

/// The whole schedule, by the time since the start.
pub(crate) fn schedule(seed: u64, length: Duration) -> Vec<(Duration, Blow)> {
    let mut random = Random::new(seed);
    let mut at = Duration::from_millis(random.within(1000, 2000));
    let mut blows = Vec::new();
    while at < length {
        let victim = random.pick(&Victim::ALL).copied().unwrap_or(Victim::Gateway);
        let blow = match random.within(0, 100) {
            0..8 => Blow::KillSupervisor,
            8..62 => Blow::Kill(victim),
            _ => Blow::Pause(victim, random.within(500, 3000)),
        };
        blows.push((at, blow));
        at += Duration::from_millis(random.within(300, 1800));
    }
    blows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_schedule_and_everybody_has_a_turn() {
        let minute = Duration::from_secs(120);
        let blows = schedule(3, minute);
        assert_eq!(blows, schedule(3, minute));
        assert_ne!(blows, schedule(4, minute));
        assert!(blows.len() > 60 && blows.is_sorted_by_key(|(at, _)| *at));
        for victim in Victim::ALL {
            assert!(blows.iter().any(|(_, blow)| *blow == Blow::Kill(victim)), "{victim:?}");
            assert!(
                blows.iter().any(|(_, blow)| matches!(blow, Blow::Pause(v, _) if *v == victim)),
                "{victim:?}"
            );
        }
        assert!(blows.iter().any(|(_, blow)| *blow == Blow::KillSupervisor));
    }
}
