//! What a unit is to be given: the policy that travels to the launcher stage as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything one launch needs to know. Paths and arguments are UTF-8; nothing of it reaches an argv.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchSpec {
    /// The unit id, e.g. `agent:main`.
    pub unit: String,
    /// Selects the profile: view of the system, seccomp classes, first process.
    pub role: Role,
    /// Program and arguments. The program is an absolute path inside the unit's view; for a tool it may also be a
    /// bare name, which is searched in the `PATH` of [`LaunchSpec::env`].
    pub argv: Vec<String>,
    /// The whole environment of the unit; nothing is inherited.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The working directory inside the unit's view.
    pub cwd: PathBuf,
    /// What the unit sees of the host beside the system folders of its role.
    #[serde(default)]
    pub fs: Vec<View>,
    /// The way to the network.
    #[serde(default)]
    pub net: Net,
    /// Resource limits per process.
    #[serde(default)]
    pub limits: Limits,
    /// Size of the private `/tmp`, bytes.
    pub tmp_bytes: u64,
    /// The isolation level to apply. Exactly this one, or the launch fails.
    pub level: Level,
    /// Ports to allow where Landlock restricts TCP.
    #[serde(default)]
    pub landlock: LandlockExtras,
    /// Re-bind `.git` of every writable view read-only.
    #[serde(default)]
    pub protect_git: bool,
    /// Paths below every writable view that are shown read-only where they exist. The folders above them stay writable, but
    /// keep their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protect: Vec<String>,
    /// Writable views whose changes are kept apart and bounded. Needs level 2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Layer>,
    /// The host uid and gid of the unit when the supervisor is root; `None` takes [`Ids::for_units`].
    #[serde(default)]
    pub ids: Option<Ids>,
}

impl LaunchSpec {
    /// A spec with the defaults of `role`: no view, no network, the role's limits, level 2; `.git` protected for the roles
    /// that act on workspaces.
    #[must_use]
    pub fn new(unit: impl Into<String>, role: Role, argv: Vec<String>) -> Self {
        let profile = crate::profile::role(role);
        Self {
            unit: unit.into(),
            role,
            argv,
            env: BTreeMap::new(),
            cwd: PathBuf::from("/"),
            fs: Vec::new(),
            net: Net::None,
            limits: profile.limits.clone(),
            tmp_bytes: profile.tmp_bytes,
            level: Level::L2,
            landlock: LandlockExtras::default(),
            protect_git: matches!(role, Role::Tool | Role::Agent),
            protect: Vec::new(),
            layers: Vec::new(),
            ids: None,
        }
    }
}

/// The kind of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// One command of an agent: may fork, has a first process that reaps.
    Tool,
    /// The gateway.
    Gateway,
    /// The only way out to the network.
    Egress,
    /// One agent.
    Agent,
    /// One channel account.
    Channel,
    /// One account of a platform whose library brings a runtime of its own.
    #[serde(rename = "heavy-channel")]
    HeavyChannel,
    /// A stdio MCP server or a plugin: a stranger's program that stays, and may start processes.
    Plugin,
    /// A program beside a channel, such as signal-cli.
    Helper,
}

impl Role {
    /// All roles, for tests and tables.
    pub const ALL: [Self; 8] = [
        Self::Tool,
        Self::Gateway,
        Self::Egress,
        Self::Agent,
        Self::Channel,
        Self::HeavyChannel,
        Self::Plugin,
        Self::Helper,
    ];

    /// Whether units of the role are programs of strangers: they know none of our conventions, and may start processes.
    #[must_use]
    pub fn is_foreign(self) -> bool {
        matches!(self, Self::Tool | Self::Plugin | Self::Helper)
    }

    /// The name in policies and profiles.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Gateway => "gateway",
            Self::Egress => "egress",
            Self::Agent => "agent",
            Self::Channel => "channel",
            Self::HeavyChannel => "heavy-channel",
            Self::Plugin => "plugin",
            Self::Helper => "helper",
        }
    }
}

/// A file or folder of the host inside the unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// The path on the host. Symbolic links are followed: it comes from the operator.
    pub path: PathBuf,
    /// Where the unit finds it (absolute).
    pub at: PathBuf,
    /// Read-only or writable.
    pub access: Access,
}

impl View {
    /// A read-only view at the same path.
    #[must_use]
    pub fn ro(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { at: path.clone(), path, access: Access::Ro }
    }

    /// A writable view at the same path.
    #[must_use]
    pub fn rw(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { at: path.clone(), path, access: Access::Rw }
    }
}

/// A writable view that the unit changes in a layer above it only, in memory; [`crate::Launched::layers`] hands the layer out,
/// and whoever launched the unit brings it into the folder when the unit has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// The `at` of the view, a folder.
    pub at: PathBuf,
    /// Bytes that the layer may hold. Never more than the memory of the unit's limits.
    pub bytes: Option<u64>,
    /// Files, folders and marks of deletion that it may hold.
    pub inodes: Option<u64>,
}

/// What may be done in a [`View`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Read and execute.
    Ro,
    /// Also write.
    Rw,
}

/// The unit's way to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Net {
    /// None.
    #[default]
    None,
    /// A loopback listener of its own, handed out by [`crate::Launched::listener`] and named to the unit in `HTTPS_PROXY`.
    Listener,
    /// The host's network. Only [`Role::Egress`] may have it.
    Host,
}

/// Limits per process (`None` = as inherited). Core dumps are always off.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Open files.
    pub nofile: Option<u64>,
    /// Largest file, bytes.
    pub fsize: Option<u64>,
    /// Private writable memory, bytes.
    pub data: Option<u64>,
    /// Processes and threads of the unit.
    pub nproc: Option<u64>,
    /// CPU time, seconds.
    pub cpu_seconds: Option<u64>,
    /// Processor time of the whole unit in hundredths of one processor: for whoever makes its cgroup, the stage knows no
    /// such limit.
    pub cpu_percent: Option<u32>,
}

/// TCP ports a Landlock-restricted unit may use beside its listener.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LandlockExtras {
    /// Ports to connect to. For [`Role::Egress`] an empty list means every port.
    pub connect_ports: Vec<u16>,
}

/// How strong the isolation is (the architecture's D3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// None: only where the operator wrote `mode: "off"`.
    L0,
    /// Landlock and seccomp without namespaces.
    L1,
    /// Namespaces, private root, Landlock, seccomp.
    L2,
    /// The same, inside a delegated cgroup.
    L3,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::L0 => "L0",
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
        })
    }
}

/// User and group of a unit on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ids {
    /// User id, never 0.
    pub uid: u32,
    /// Group id, never 0.
    pub gid: u32,
}

impl Ids {
    /// What a root supervisor gives its units when there is no user `creel`: above every range that distributions
    /// hand out to people and services, below `nobody`.
    pub const FALLBACK: Self = Self { uid: 64_742, gid: 64_742 };

    /// The ids of the user `creel` when the host has one, else [`Ids::FALLBACK`]. Read once per process.
    #[must_use]
    pub fn for_units() -> Self {
        static FOUND: std::sync::OnceLock<Ids> = std::sync::OnceLock::new();
        *FOUND.get_or_init(|| {
            let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
            Self::in_passwd(&passwd, "creel").unwrap_or(Self::FALLBACK)
        })
    }

    fn in_passwd(passwd: &str, user: &str) -> Option<Self> {
        let mut fields = passwd.lines().map(|l| l.split(':').collect::<Vec<_>>());
        let entry = fields.find(|f| f.first() == Some(&user))?;
        let ids = Self { uid: entry.get(2)?.parse().ok()?, gid: entry.get(3)?.parse().ok()? };
        (ids.uid != 0 && ids.gid != 0).then_some(ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_survives_json_and_an_unknown_role_does_not() {
        let spec = LaunchSpec::new("agent:main", Role::Agent, vec!["/usr/libexec/creel-agent".into()]);
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<LaunchSpec>(&text).unwrap(), spec);
        let foreign = text.replace("\"agent\"", "\"root\"");
        assert!(serde_json::from_str::<LaunchSpec>(&foreign).is_err());
    }

    #[test]
    fn unit_ids_come_from_the_user_creel_unless_it_is_root() {
        let passwd = "root:x:0:0::/:/bin/sh\ncreel:x:990:991::/var/lib/creel:/bin/false\n";
        assert_eq!(Ids::in_passwd(passwd, "creel"), Some(Ids { uid: 990, gid: 991 }));
        assert_eq!(Ids::in_passwd(passwd, "root"), None);
        assert_eq!(Ids::in_passwd(passwd, "nobody"), None);
    }
}
