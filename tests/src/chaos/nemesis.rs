//! What is done to whom, and when: decided by the scenario and the seed alone, before anything runs.

use std::time::Duration;

use creel_kit::random::Random;
use serde::Serialize;

use crate::host::Side;
use crate::scenario::{Kind, Traits};

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
    /// SIGSTOP of the supervisor, and SIGCONT after so many milliseconds.
    PauseSupervisor(u64),
    /// No room on the home's disk for so many milliseconds, but for a few KiB.
    Fill {
        /// How long.
        ms: u64,
        /// What stays free.
        leave_kib: u64,
    },
    /// A host is cut off for so many milliseconds.
    Cut(Whom, Side, u64),
    /// SIGKILL of everything on a host, which is started again after so many milliseconds.
    Lose(Whom, u64),
    /// The database's standby hears nothing for so many milliseconds; then its primary dies, and the standby takes over.
    FailOver {
        /// How long it heard nothing.
        deaf_ms: u64,
        /// Milliseconds after which the one that died comes back.
        dead_ms: u64,
        /// Whether it first comes back as one that takes writes, too.
        knows_nothing: bool,
    },
}

/// A host among several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Whom {
    /// Who polled the platform last.
    Owner,
    /// One of them, whatever it has.
    Host(usize),
}

impl Whom {
    /// Mostly the one that matters.
    fn pick(random: &mut Random) -> Self {
        if random.within(0, 4) == 0 { Self::Host(random.within(0, 3) as usize) } else { Self::Owner }
    }
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

    /// Whether its end cuts what is just being sent.
    pub(crate) fn sends(self) -> bool {
        matches!(self, Self::Egress | Self::Channel)
    }
}

/// For a server that came back to be copied and to follow.
const FOLLOWING_MS: u64 = 5000;

/// The whole schedule, by the time since the start.
pub(crate) fn schedule(traits: &Traits, seed: u64, length: Duration) -> Vec<(Duration, Blow)> {
    let mut random = Random::new(seed);
    let mut at = Duration::from_millis(random.within(1000, 2000));
    let mut full_until = Duration::ZERO;
    let mut blows = Vec::new();
    while at < length {
        let victim = random.pick(&Victim::ALL).copied().unwrap_or(Victim::Gateway);
        let blow = match pick(traits, random.within(0, 100)) {
            Kind::KillSupervisor => Blow::KillSupervisor,
            Kind::Kill => Blow::Kill(victim),
            Kind::PauseSupervisor(from, to) => Blow::PauseSupervisor(random.within(from, to)),
            Kind::Pause(from, to) => Blow::Pause(victim, random.within(from, to)),
            // A disk cannot be filled twice: somebody is hit while it is full.
            Kind::Fill(..) if at < full_until => Blow::Kill(victim),
            Kind::Fill(from, to) => {
                let ms = random.within(from, to);
                full_until = at + Duration::from_millis(ms + 1000);
                Blow::Fill { ms, leave_kib: random.within(0, 3) * random.within(0, 64) }
            }
            Kind::Cut(side, from, to) => {
                let (whom, ms) = (Whom::pick(&mut random), random.within(from, to));
                blows.push((at, Blow::Cut(whom, side, ms)));
                // One at a time: who is cut off together with the last that could take over shows nothing.
                at += Duration::from_millis(ms + random.within(traits.gap.0, traits.gap.1));
                continue;
            }
            Kind::Lose(from, to) => {
                let (whom, ms) = (Whom::pick(&mut random), random.within(from, to));
                blows.push((at, Blow::Lose(whom, ms)));
                at += Duration::from_millis(ms + random.within(traits.gap.0, traits.gap.1));
                continue;
            }
            Kind::FailOver(from, to) => {
                let (deaf_ms, dead_ms) = (random.within(from, to), random.within(2000, 6000));
                let knows_nothing = random.within(0, 2) == 0;
                blows.push((at, Blow::FailOver { deaf_ms, dead_ms, knows_nothing }));
                // Until it follows again, there is only one.
                let whole = deaf_ms + dead_ms * (1 + u64::from(knows_nothing)) + FOLLOWING_MS;
                at += Duration::from_millis(whole + random.within(traits.gap.0, traits.gap.1));
                continue;
            }
        };
        blows.push((at, blow));
        at += Duration::from_millis(random.within(traits.gap.0, traits.gap.1));
    }
    blows
}

fn pick(traits: &Traits, roll: u64) -> Kind {
    let mut left = roll;
    for (share, kind) in traits.kinds {
        if left < *share {
            return *kind;
        }
        left -= share;
    }
    Kind::Kill
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn planned(scenario: Scenario, seed: u64) -> Vec<(Duration, Blow)> {
        schedule(scenario.traits().unwrap(), seed, Duration::from_secs(120))
    }

    #[test]
    fn a_seed_is_a_schedule_and_everybody_has_a_turn() {
        for scenario in [Scenario::Storm, Scenario::Kill, Scenario::Pause, Scenario::Diskfull] {
            let blows = planned(scenario, 3);
            assert_eq!(blows, planned(scenario, 3));
            assert_ne!(blows, planned(scenario, 4));
            assert!(blows.len() > 30 && blows.is_sorted_by_key(|(at, _)| *at), "{}", blows.len());
        }
        let all = |scenario| planned(scenario, 3).into_iter().map(|(_, blow)| blow).collect::<Vec<_>>();
        let (storm, kill, pause) = (all(Scenario::Storm), all(Scenario::Kill), all(Scenario::Pause));
        for victim in Victim::ALL {
            assert!(storm.contains(&Blow::Kill(victim)) && kill.contains(&Blow::Kill(victim)), "{victim:?}");
            let paused = |from: u64| move |blow: &Blow| matches!(blow, Blow::Pause(v, ms) if *v == victim && *ms >= from);
            assert!(storm.iter().any(paused(0)) && pause.iter().any(paused(9000)), "{victim:?}");
        }
        assert!(storm.contains(&Blow::KillSupervisor) && kill.contains(&Blow::KillSupervisor));
        assert!(pause.iter().any(|blow| matches!(blow, Blow::PauseSupervisor(_))));
        assert!(!pause.iter().any(|blow| matches!(blow, Blow::Kill(_) | Blow::KillSupervisor)));
    }

    #[test]
    fn one_host_at_a_time_is_cut_off_mostly_the_one_that_has_the_account() {
        let blows = planned(Scenario::Partition, 1);
        assert_eq!(blows, planned(Scenario::Partition, 1));
        assert_ne!(blows, planned(Scenario::Partition, 2));
        let mut mended = Duration::ZERO;
        for (at, blow) in blows {
            let Blow::Cut(_, _, ms) = blow else { panic!("{blow:?}") };
            assert!(at > mended);
            mended = at + Duration::from_millis(ms);
        }
        let all: Vec<_> = (0..20).flat_map(|seed| planned(Scenario::Partition, seed)).collect();
        for side in [Side::Database, Side::Platform, Side::Both] {
            let whom = |wanted: Whom| {
                all.iter()
                    .filter(
                        |(_, blow)| matches!(blow, Blow::Cut(whom, on, _) if *whom == wanted && *on == side),
                    )
                    .count()
            };
            assert!(whom(Whom::Owner) > whom(Whom::Host(2)) && whom(Whom::Host(2)) > 0, "{side:?}");
        }
    }

    #[test]
    fn a_disk_that_is_full_is_not_filled_again() {
        let mut free_at = Duration::ZERO;
        let mut hit_while_full = 0;
        for (at, blow) in planned(Scenario::Diskfull, 1) {
            if let Blow::Fill { ms, .. } = blow {
                assert!(at >= free_at);
                free_at = at + Duration::from_millis(ms);
            } else {
                hit_while_full += u32::from(at < free_at);
            }
        }
        assert!(hit_while_full > 3, "{hit_while_full}");
    }
}
