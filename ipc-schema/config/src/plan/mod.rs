//! The units that a configuration amounts to, without secrets.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use creel_ipc::msg::egress::EgressBudget;
use serde::{Serialize, Serializer};

use crate::config::{Config, ResolvedAgent};
use crate::found::{EffectiveProvider, Found};
use crate::gateway::{Bind, ReloadMode};
use crate::operation::Supervisor;
use crate::paths::Paths;
use crate::sandbox::{Floor, Prune, SandboxMode, ToolPolicy};
use crate::scalar::Id;
use crate::shape::{Noun, Shape, Show};
use crate::store::{Place, StoreKind};

mod diff;
mod hosts;
mod print;

pub use diff::UnitChange;
pub use hosts::EgressHost;
pub use print::Print;

/// A unit's name: `gateway`, `egress`, `agent:main`, `channel:telegram:default`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnitName {
    /// The gateway.
    Gateway,
    /// The only way out.
    Egress,
    /// One agent.
    Agent(Id),
    /// One platform account.
    Channel {
        /// The channel's id.
        channel: Id,
        /// The account's id.
        account: Id,
    },
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway => f.write_str("gateway"),
            Self::Egress => f.write_str("egress"),
            Self::Agent(id) => write!(f, "agent:{id}"),
            Self::Channel { channel, account } => write!(f, "channel:{channel}:{account}"),
        }
    }
}

/// The text names no unit of a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" names no unit; write gateway, egress, agent:<id> or channel:<channel>:<account>.")]
pub struct NoUnitName(pub String);

impl FromStr for UnitName {
    type Err = NoUnitName;

    fn from_str(text: &str) -> Result<Self, NoUnitName> {
        let parts: Vec<&str> = text.split(':').collect();
        let name = match parts.as_slice() {
            ["gateway"] => Some(Self::Gateway),
            ["egress"] => Some(Self::Egress),
            ["agent", id] => Id::new(id).map(Self::Agent),
            ["channel", channel, account] => Id::new(channel)
                .zip(Id::new(account))
                .map(|(channel, account)| Self::Channel { channel, account }),
            _ => None,
        };
        name.ok_or_else(|| NoUnitName(text.to_owned()))
    }
}

impl Serialize for UnitName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Everything that the supervisor has to know.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The units in the order of starting.
    pub units: Vec<Unit>,
    /// How they are kept running.
    pub supervision: Supervision,
    /// How a changed file is taken up.
    pub reload: ReloadMode,
    /// The whole configuration, as a print.
    #[serde(skip)]
    pub whole: Print,
}

/// One unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unit {
    /// Its name.
    pub name: UnitName,
    /// What it is.
    pub kind: UnitKind,
    /// The hosts that it may reach, sorted.
    pub egress: Vec<EgressHost>,
    /// What its connections may use.
    #[serde(skip)]
    pub budget: EgressBudget,
    /// Memory and threads that it may use; `None` is no limit.
    pub limits: Option<UnitLimits>,
    /// What its worker is told at its start and cannot change later, as a print.
    #[serde(skip)]
    pub settled: Print,
}

/// What a unit is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum UnitKind {
    /// The gateway.
    #[serde(rename_all = "camelCase")]
    Gateway {
        /// TCP port.
        port: u16,
        /// Which addresses it listens on.
        bind: Bind,
        /// The database file.
        database: PathBuf,
        /// Its servers, where the database is not a file.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        servers: Vec<Place>,
    },
    /// The only way out.
    Egress,
    /// An agent.
    #[serde(rename_all = "camelCase")]
    Agent {
        /// The agent's id.
        id: Id,
        /// Its workspace.
        workspace: PathBuf,
        /// Its folder of other files.
        dir: PathBuf,
        /// What one tool run may use.
        tools: Box<ToolPolicy>,
        /// The hosts that a tool run may reach.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_hosts: Vec<EgressHost>,
    },
    /// A platform account.
    #[serde(rename_all = "camelCase")]
    Channel {
        /// The channel's id.
        channel: Id,
        /// The account's id.
        account: Id,
    },
}

/// Memory and threads of one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitLimits {
    /// Bytes.
    pub memory: u64,
    /// Threads.
    pub tasks: u32,
    /// Hundredths of one processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<u32>,
}

/// How units are kept running and isolated.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Supervision {
    /// Restarting, stopping and watching.
    #[serde(serialize_with = "shown")]
    pub rules: Supervisor,
    /// The least measured level of isolation.
    pub floor: Floor,
    /// Whether units are isolated.
    pub mode: SandboxMode,
    /// Whether workers start only with limits on whole units.
    pub require_limits: bool,
    /// When home folders of tool runs are taken away.
    #[serde(skip)]
    pub prune: Prune,
}

fn shown<S: Serializer>(rules: &Supervisor, serializer: S) -> Result<S::Ok, S::Error> {
    rules.show(Show::Redacted).serialize(serializer)
}

impl Plan {
    /// The unit of this name.
    pub fn unit(&self, name: &UnitName) -> Option<&Unit> {
        self.units.iter().find(|unit| unit.name == *name)
    }

    /// The workspaces of all agents.
    pub fn workspaces(&self) -> Vec<&std::path::Path> {
        self.units
            .iter()
            .filter_map(|unit| match &unit.kind {
                UnitKind::Agent { workspace, .. } => Some(workspace.as_path()),
                _ => None,
            })
            .collect()
    }
}

impl Config {
    /// The units of this configuration. Secrets enter only as prints, which no one can read back.
    pub fn plan(&self, paths: &Paths, found: &Found) -> Plan {
        let plain = |name, kind| Unit {
            name,
            kind,
            egress: Vec::new(),
            budget: EgressBudget::default(),
            limits: None,
            settled: Print::default(),
        };
        let gateway = UnitKind::Gateway {
            port: self.gateway.port,
            bind: self.gateway.bind,
            database: paths.database(self),
            servers: match self.store.kind {
                StoreKind::Sqlite => Vec::new(),
                StoreKind::Postgres => self.store.postgres.places(),
            },
        };
        let stored = Print::of(&(self.store.show(Show::Revealed), self.cluster.show(Show::Revealed)));
        let gateway = Unit { settled: stored, ..plain(UnitName::Gateway, gateway) };
        let mut units = vec![gateway, plain(UnitName::Egress, UnitKind::Egress)];
        let providers = self.providers(found);
        units.extend(self.agents().iter().map(|agent| self.agent_unit(agent, paths, found, &providers)));
        units.extend(self.channel_units());
        Plan {
            units,
            supervision: Supervision {
                rules: self.supervisor.clone(),
                floor: self.sandbox.floor,
                mode: self.sandbox.mode,
                require_limits: self.sandbox.require_limits,
                prune: self.sandbox.prune.clone(),
            },
            reload: self.gateway.reload.mode,
            whole: Print::of(&(self.show(Show::Revealed), print::found(found))),
        }
    }

    fn worker_limits(&self) -> Option<UnitLimits> {
        Some(UnitLimits {
            memory: self.supervisor.worker_memory.0,
            tasks: self.supervisor.worker_tasks,
            cpu_percent: self.supervisor.worker_cpu_percent,
        })
    }

    fn agent_unit(
        &self,
        agent: &ResolvedAgent,
        paths: &Paths,
        found: &Found,
        providers: &BTreeMap<Id, EffectiveProvider>,
    ) -> Unit {
        Unit {
            name: UnitName::Agent(agent.id.clone()),
            kind: UnitKind::Agent {
                id: agent.id.clone(),
                workspace: paths.workspace(agent),
                dir: paths.agent_dir(&agent.id),
                tools: Box::new(agent.tool_policy.clone()),
                tool_hosts: self.tool_hosts(agent),
            },
            egress: self.agent_hosts(agent, found, providers),
            budget: self.egress.budget.terms(),
            limits: self.worker_limits(),
            settled: print::providers(providers),
        }
    }

    fn channel_units(&self) -> Vec<Unit> {
        let accounts = self.channels.enabled();
        let unit = |account: &crate::channels::AccountView<'_>| {
            let channel = Id::new(account.channel)?;
            let name = UnitName::Channel { channel: channel.clone(), account: account.id.clone() };
            let source = format!("channels.{}.accounts.{}", account.channel, account.id);
            let mut settings = account.settings(Show::Revealed);
            if let Some(settings) = settings.as_object_mut() {
                // What all platforms have in common is the gateway's business and can change at any time.
                settings.retain(|key, _| !crate::channels::Common::KEYS.contains(&key.as_str()));
            }
            Some(Unit {
                name,
                kind: UnitKind::Channel { channel, account: account.id.clone() },
                egress: hosts::merged(
                    account
                        .endpoints()
                        .into_iter()
                        .map(|endpoint| hosts::written(endpoint, source.clone()))
                        .collect(),
                ),
                budget: self.egress.budget.terms(),
                limits: self.worker_limits(),
                settled: Print::of(&settings),
            })
        };
        accounts.iter().filter_map(unit).collect()
    }
}
