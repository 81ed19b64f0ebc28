//! The scenarios: what is done to whom, how often, and which guarantee is switched off to show that the judge would notice.

use serde::Serialize;
use serde_json::{Value, json};

use crate::host::Side;

/// What goes wrong in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Scenario {
    /// Kills and pauses of every kind of process, mixed.
    Storm,
    /// SIGKILL of gateway, egress, agent, channel worker and supervisor.
    Kill,
    /// SIGSTOP and SIGCONT of each, for moments and for longer than the watchdog waits.
    Pause,
    /// The home on a small file system that is filled and freed again, with kills while it is full (needs root).
    Diskfull,
    /// Three hosts on one database: one at a time is cut off from it, from the platform, or from both.
    Partition,
    /// The same three: a host dies with everything that runs on it, or the database's primary dies and its standby takes over.
    Failover,
    /// The wall clock jumps (not built yet).
    Clock,
}

/// A kind of misfortune.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// SIGKILL of the supervisor, and a new one.
    KillSupervisor,
    /// SIGKILL of a unit.
    Kill,
    /// SIGSTOP of the supervisor for from … to milliseconds.
    PauseSupervisor(u64, u64),
    /// SIGSTOP of a unit for from … to milliseconds.
    Pause(u64, u64),
    /// The disk is full for from … to milliseconds.
    Fill(u64, u64),
    /// A host is cut off for from … to milliseconds.
    Cut(Side, u64, u64),
    /// A host dies, and comes back after from … to milliseconds.
    Lose(u64, u64),
    /// The database's standby hears nothing for from … to milliseconds, then its primary dies and the standby takes over.
    FailOver(u64, u64),
}

/// What is switched off in a control by how the hosts are put together, not by their programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Each host has a database of its own, so that no lease keeps two from the same account.
    Divided,
    /// The database's standby is asynchronous, and the hosts were told to take it all the same.
    Asynchronous,
}

/// How a control switches the guarantee off that the scenario tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    /// A gateway built for controls is told by a variable, and says so at its start.
    Gateway {
        /// The variable.
        variable: &'static str,
        /// The sentence.
        says: &'static str,
    },
    /// The same programs are put together differently.
    Topology(Broken),
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Traits {
    /// Kinds by how many in a hundred they are.
    pub kinds: &'static [(u64, Kind)],
    /// Milliseconds from one misfortune to the next.
    pub gap: (u64, u64),
    /// Whether the home lies on a small file system.
    pub small_disk: bool,
    /// Seconds after which the watchdog takes a silent process for hung; the product's own if not given.
    pub watchdog: Option<u32>,
    /// Ends of one unit within a minute that are too many; else nobody counts. Where no process falls by itself, it shows that none
    /// does so again and again.
    pub brake: Option<u32>,
    /// Whether there are three hosts on one PostgreSQL.
    pub cluster: bool,
    /// How the guarantee is switched off.
    pub control: Control,
}

/// What a gateway without fences is told by, and says.
const NO_FENCE: Control =
    Control::Gateway { variable: "CREEL_CHAOS_NO_FENCE", says: "This is a control run without fences" };
/// What a gateway that acknowledges before it has stored is told by, and says.
const HASTY: Control = Control::Gateway {
    variable: "CREEL_CHAOS_HASTY",
    says: "This is a control run that acknowledges what is not stored",
};

/// Longer than this and the watchdog of the scenario `pause` has taken the process for hung.
const HUNG_S: u32 = 6;

static STORM: Traits = Traits {
    kinds: &[(8, Kind::KillSupervisor), (54, Kind::Kill), (38, Kind::Pause(500, 3000))],
    gap: (300, 1800),
    ..CALM
};
static PARTITION: Traits = Traits {
    kinds: &[
        (40, Kind::Cut(Side::Database, 14_000, 20_000)),
        (25, Kind::Cut(Side::Both, 14_000, 20_000)),
        (20, Kind::Cut(Side::Platform, 2000, 8000)),
        (15, Kind::Cut(Side::Database, 500, 4000)),
    ],
    gap: (1500, 5000),
    cluster: true,
    control: Control::Topology(Broken::Divided),
    ..CALM
};
static FAILOVER: Traits = Traits {
    kinds: &[(60, Kind::FailOver(500, 2500)), (40, Kind::Lose(1000, 16_000))],
    gap: (1500, 5000),
    cluster: true,
    control: Control::Topology(Broken::Asynchronous),
    ..CALM
};
static KILL: Traits =
    Traits { kinds: &[(15, Kind::KillSupervisor), (85, Kind::Kill)], gap: (200, 1500), ..CALM };
static PAUSE: Traits = Traits {
    kinds: &[
        (12, Kind::PauseSupervisor(300, 4000)),
        (70, Kind::Pause(200, 4000)),
        (18, Kind::Pause(9000, 13_000)),
    ],
    gap: (400, 2500),
    watchdog: Some(HUNG_S),
    ..CALM
};
static DISKFULL: Traits = Traits {
    kinds: &[(60, Kind::Fill(4000, 9000)), (34, Kind::Kill), (6, Kind::KillSupervisor)],
    gap: (1500, 5000),
    small_disk: true,
    brake: Some(10),
    control: HASTY,
    ..CALM
};
const CALM: Traits = Traits {
    kinds: &[],
    gap: (1000, 1000),
    small_disk: false,
    watchdog: None,
    brake: None,
    cluster: false,
    control: NO_FENCE,
};

impl Scenario {
    /// Its row.
    ///
    /// # Errors
    /// A sentence, where it is not built.
    pub(crate) fn traits(self) -> Result<&'static Traits, String> {
        let missing = |what: &str, needs: &str| {
            Err(format!("The scenario `{what}` is not built yet: {needs}. Nothing was run."))
        };
        match self {
            Self::Storm => Ok(&STORM),
            Self::Kill => Ok(&KILL),
            Self::Pause => Ok(&PAUSE),
            Self::Diskfull => Ok(&DISKFULL),
            Self::Partition => Ok(&PARTITION),
            Self::Failover => Ok(&FAILOVER),
            Self::Clock => missing("clock", "it needs a machine whose clock may be set"),
        }
    }

    /// What the command line calls it.
    pub(crate) fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self)
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl Traits {
    /// What is configured differently from other runs. Setting a message aside is another test's matter, and there is
    /// nobody to ask about an interrupted command.
    pub(crate) fn config(&self) -> Value {
        let mut config = json!({
            "logging": {"level": "info"}, "messages": {"inbound": {"parkAfter": 100}}, "supervisor": {},
            "agents": {"defaults": {"tools": {"exec": {"askInterruptedMinutes": 0}}}},
        });
        if let Some(seconds) = self.watchdog {
            config["supervisor"]["watchdog"] = json!({"seconds": seconds});
        }
        if let Some(crashes) = self.brake {
            config["supervisor"]["brake"] = json!({"crashes": crashes, "windowSeconds": 60});
        }
        config
    }

    /// What a control puts together differently.
    pub(crate) fn broken(&self, control: bool) -> Option<Broken> {
        match self.control {
            Control::Topology(broken) if control => Some(broken),
            Control::Topology(_) | Control::Gateway { .. } => None,
        }
    }

    /// Whether a process that is stopped for so long is taken for hung and killed.
    pub(crate) fn hung_after(&self, ms: u64) -> bool {
        self.watchdog.is_some_and(|seconds| ms > u64::from(seconds) * 1000)
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_row_is_whole_and_what_is_not_built_is_refused_by_its_name() {
        for scenario in Scenario::value_variants() {
            match scenario.traits() {
                Ok(traits) => {
                    assert_eq!(traits.kinds.iter().map(|(share, _)| share).sum::<u64>(), 100, "{scenario:?}");
                    assert!(traits.gap.0 < traits.gap.1);
                }
                Err(sentence) => assert!(sentence.contains(&scenario.name()), "{sentence}"),
            }
        }
        assert!(PAUSE.hung_after(9000) && !PAUSE.hung_after(4000) && !STORM.hung_after(60_000));
    }
}
