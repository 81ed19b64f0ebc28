//! What a change of the configuration does to the units that run.

use creel_ipc::msg::egress::EgressBudget;
use serde::Serialize;

use super::{Plan, Unit, UnitKind, UnitName};

/// One action. Units that are kept keep their pids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "do")]
pub enum UnitChange {
    /// A new unit.
    Start {
        /// Which.
        unit: UnitName,
    },
    /// A unit that is no longer there.
    Stop {
        /// Which.
        unit: UnitName,
    },
    /// A unit whose process has to be replaced.
    Restart {
        /// Which.
        unit: UnitName,
        /// Why, for the operator.
        reason: String,
    },
    /// A unit that runs on and has to take up the change: the gateway reads its configuration again, egress gets
    /// its lists of hosts again.
    Notify {
        /// Which.
        unit: UnitName,
    },
    /// A unit that the change does not touch.
    Keep {
        /// Which.
        unit: UnitName,
    },
}

impl UnitChange {
    /// The unit it is about.
    pub fn unit(&self) -> &UnitName {
        match self {
            Self::Start { unit }
            | Self::Stop { unit }
            | Self::Restart { unit, .. }
            | Self::Notify { unit }
            | Self::Keep { unit } => unit,
        }
    }
}

impl Plan {
    /// The actions that lead from `old` to `new`, one for each unit of either: first what stops, then the rest
    /// in the order of starting.
    pub fn diff(old: &Self, new: &Self) -> Vec<UnitChange> {
        let stopped = old.units.iter().filter(|unit| new.unit(&unit.name).is_none());
        let stopped = stopped.map(|unit| UnitChange::Stop { unit: unit.name.clone() });
        let rest = new.units.iter().map(|unit| {
            let name = unit.name.clone();
            let Some(before) = old.unit(&name) else {
                return UnitChange::Start { unit: name };
            };
            if let Some(reason) = replaced(before, unit, old, new) {
                return UnitChange::Restart { unit: name, reason };
            }
            let told = match name {
                UnitName::Gateway => old.whole != new.whole,
                UnitName::Egress => hosts(old) != hosts(new),
                UnitName::Agent(_) | UnitName::Channel { .. } => false,
            };
            if told { UnitChange::Notify { unit: name } } else { UnitChange::Keep { unit: name } }
        });
        stopped.chain(rest).collect()
    }
}

/// What egress has to know.
fn hosts(plan: &Plan) -> Vec<(&UnitName, [&[super::EgressHost]; 2], &EgressBudget)> {
    let told = plan.units.iter().map(|unit| {
        let tools = match &unit.kind {
            UnitKind::Agent { tool_hosts, .. } => tool_hosts.as_slice(),
            _ => &[],
        };
        (&unit.name, [unit.egress.as_slice(), tools], &unit.budget)
    });
    told.filter(|(_, hosts, _)| hosts.iter().any(|hosts| !hosts.is_empty())).collect()
}

/// Why the process has to be replaced.
fn replaced(before: &Unit, after: &Unit, old: &Plan, new: &Plan) -> Option<String> {
    match (&before.kind, &after.kind) {
        (
            UnitKind::Gateway { port, bind, database, servers },
            UnitKind::Gateway {
                port: new_port,
                bind: new_bind,
                database: new_database,
                servers: new_servers,
            },
        ) => {
            if port != new_port {
                return Some(format!("gateway.port changed from {port} to {new_port}"));
            }
            if bind != new_bind {
                return Some(format!("gateway.bind changed from {} to {}", bind.word(), new_bind.word()));
            }
            if (database, servers) != (new_database, new_servers) {
                return Some("the database moved".to_owned());
            }
            (before.settled != after.settled).then(|| "store or cluster changed".to_owned())
        }
        (UnitKind::Egress, UnitKind::Egress) => None,
        (after_kind_before, after_kind) => {
            if old.supervision.mode != new.supervision.mode {
                return Some(format!("sandbox.mode changed to {}", new.supervision.mode.word()));
            }
            if before.limits != after.limits {
                return Some("its limits changed".into());
            }
            match (after_kind_before, after_kind) {
                (
                    UnitKind::Agent { workspace, dir, .. },
                    UnitKind::Agent { workspace: new_workspace, dir: new_dir, .. },
                ) => {
                    if (workspace, dir) != (new_workspace, new_dir) {
                        return Some("its workspace moved".into());
                    }
                    (before.settled != after.settled).then(|| "its model providers changed".to_owned())
                }
                _ => (before.settled != after.settled).then(|| "its connection settings changed".to_owned()),
            }
        }
    }
}
