//! `sandbox`: what tool runs may touch, and the least isolation under which workers start at all.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::endpoint::HostPattern;
use crate::noun::{noun, within, within_if_given, word};
use crate::scalar::Bytes;

pub mod bind;
pub mod docker;

pub use bind::Bind;
pub use docker::Docker;

noun! {
    /// Isolation of workers, and the policy of tool runs that agents inherit.
    pub struct Sandbox {
        /// The least measured level; below it workers are not started.
        "floor" => floor: Floor = Floor::default();
        /// `off` runs workers and tools without isolation, `non-main` the commands of main sessions. Only the operator can
        /// write that.
        "mode" => mode: SandboxMode = SandboxMode::default();
        /// Whether workers start only where the memory and the tasks of whole units can be bounded (cgroup v2 with
        /// the controllers memory and pids).
        "requireLimits" => require_limits: bool = false;
        /// What a tool run sees of the agent's own workspace.
        "workspaceAccess" => workspace_access: WorkspaceAccess = WorkspaceAccess::default();
        /// Who shares the home folder of tool runs, which outlives them.
        "scope" => scope: SandboxScope = SandboxScope::default();
        /// Folders and files of the host inside tool runs, each as `/host:/inside:ro` or `:rw`. Secrets, Creel's own folders,
        /// other agents' workspaces and sockets are refused.
        "binds" => binds: Vec<Bind> = Vec::new();
        /// Variables of tool runs. Whoever can ask the agent can read them: no place for secrets.
        "env" => env: BTreeMap<String, String> = BTreeMap::new(), check variables;
        /// Bytes that the workspace of an agent may hold before its commands can write no more; the home folder of tool runs
        /// as many. Needs level L2, or a file system with project quota.
        "disk" => disk: Option<Bytes> = None, check within_disk;
        /// Files and folders that the workspace of an agent may hold; the home folder of tool runs as many. Needs level L2, or
        /// a file system with project quota.
        "inodes" => inodes: Option<u64> = None, check within_if_given(1, 100_000_000);
        /// What a tool run reaches of the network.
        "network" => network: ToolNetwork = ToolNetwork::default();
        /// Hosts that a tool run reaches with `network: "allow-list"`, written as in `egress.allow`. One on this machine or
        /// in a private network has to be in `egress.allowPrivate` too.
        "allow" => allow: Vec<HostPattern> = Vec::new();
        /// Memory of one tool run; without a control group of its own, of each of its processes.
        "memory" => memory: Bytes = Bytes(512 << 20), check within_bytes;
        /// Processes of one tool run.
        "pids" => pids: u32 = 256, check within(1, 65_536);
        /// Processor time of one tool run in hundredths of one processor; without it there is no limit. Needs cgroup v2
        /// with the controller cpu.
        "cpuPercent" => cpu_percent: Option<u32> = None, check within_if_given(1, 100_000);
        /// Seconds after which a tool run is ended, unless the run asks for less.
        "wallSeconds" => wall_seconds: u32 = 30, check within(1, 86_400);
        /// Bytes of output that are kept of a tool run.
        "outputBytes" => output_bytes: Bytes = Bytes(1 << 20);
        /// Processes that one agent may have in the background.
        "backgroundRuns" => background_runs: u32 = 8, check within(0, 64);
        /// Seconds after which a process in the background is ended.
        "backgroundSeconds" => background_seconds: u32 = 3600, check within(1, 604_800);
        /// A line for `/bin/sh`, run once in the sandbox before the first command of each home (see `scope`), and again when
        /// it is another line. Until it has ended with exit code 0 no command of that home runs. An empty one is none.
        "setupCommand" => setup_command: Option<String> = None, check line_if_given;
        /// Seconds after which `setupCommand` is ended and has failed.
        "setupSeconds" => setup_seconds: u32 = 300, check within(1, 86_400);
        /// When home folders of tool runs are taken away that nobody uses any more.
        "prune" => prune: Prune = Prune::default();
    }
}

noun! {
    /// When home folders of tool runs are taken away: those of single sessions, and those that the configuration gives to
    /// nobody any more. One that an agent or all agents share stays as long as it is configured, and none goes while a
    /// command is in it.
    pub struct Prune {
        /// Hours without a tool run; 0 is never.
        "idleHours" => idle_hours: u32 = 168, check within(0, 876_000);
        /// Days since it was made, for those of single sessions; 0 is never.
        "maxAgeDays" => max_age_days: u32 = 0, check within(0, 36_500);
    }
}

noun! {
    /// What one agent has otherwise than `sandbox` says.
    pub struct AgentSandbox {
        /// What a tool run sees of the agent's own workspace.
        "workspaceAccess" => workspace_access: Option<WorkspaceAccess> = None;
        /// Whether its commands are isolated: those of all sessions, of all but the main one, of none.
        "mode" => mode: Option<SandboxMode> = None;
        /// Who shares the home folder of tool runs, which outlives them.
        "scope" => scope: Option<SandboxScope> = None;
        /// Further folders and files of the host inside tool runs.
        "binds" => binds: Vec<Bind> = Vec::new();
        /// Further variables of tool runs.
        "env" => env: BTreeMap<String, String> = BTreeMap::new(), check variables;
        /// What was written for Docker.
        "docker" => docker: Docker = Docker::default();
        /// What a tool run reaches of the network.
        "network" => network: Option<ToolNetwork> = None;
        /// Hosts that a tool run reaches with `network: "allow-list"`, in place of those of `sandbox`.
        "allow" => allow: Option<Vec<HostPattern>> = None;
        /// Memory of one tool run; without a control group of its own, of each of its processes.
        "memory" => memory: Option<Bytes> = None, check within_bytes_if_given;
        /// Processes of one tool run.
        "pids" => pids: Option<u32> = None, check within_if_given(1, 65_536);
        /// Bytes that its workspace may hold.
        "disk" => disk: Option<Bytes> = None, check within_disk;
        /// Files and folders that its workspace may hold.
        "inodes" => inodes: Option<u64> = None, check within_if_given(1, 100_000_000);
        /// Processor time of one tool run in hundredths of one processor.
        "cpuPercent" => cpu_percent: Option<u32> = None, check within_if_given(1, 100_000);
        /// Seconds after which a tool run is ended.
        "wallSeconds" => wall_seconds: Option<u32> = None, check within_if_given(1, 86_400);
        /// Bytes of output that are kept of a tool run.
        "outputBytes" => output_bytes: Option<Bytes> = None;
        /// Processes that it may have in the background.
        "backgroundRuns" => background_runs: Option<u32> = None, check within_if_given(0, 64);
        /// Seconds after which a process in the background is ended.
        "backgroundSeconds" => background_seconds: Option<u32> = None, check within_if_given(1, 604_800);
        /// A line for `/bin/sh`, run once in the sandbox before the first command of each home. An empty one is none.
        "setupCommand" => setup_command: Option<String> = None, check line_if_given;
        /// Seconds after which `setupCommand` is ended and has failed.
        "setupSeconds" => setup_seconds: Option<u32> = None, check within_if_given(1, 86_400);
    }
}

pub(crate) fn line_if_given(line: &Option<String>) -> Result<(), (String, String)> {
    match line {
        Some(line) if line.contains('\0') => {
            Err(("a command cannot contain a NUL character".into(), "take it out".into()))
        }
        _ => Ok(()),
    }
}

fn within_bytes_if_given(bytes: &Option<Bytes>) -> Result<(), (String, String)> {
    bytes.as_ref().map_or(Ok(()), within_bytes)
}

fn within_disk(bytes: &Option<Bytes>) -> Result<(), (String, String)> {
    match bytes {
        Some(bytes) if bytes.0 < 1 << 20 => {
            Err((format!("{} bytes are too few for a workspace", bytes.0), "write at least \"1m\"".into()))
        }
        _ => Ok(()),
    }
}

fn variables(given: &BTreeMap<String, String>) -> Result<(), (String, String)> {
    let shaped =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let bad =
        given.iter().find(|(name, value)| !shaped(name) || name.starts_with("LD_") || value.contains('\0'));
    match bad {
        None => Ok(()),
        Some((name, _)) => Err((
            format!("\"{name}\" cannot be a variable of tool runs"),
            "use letters, digits and _, and no name that begins with LD_".into(),
        )),
    }
}

fn within_bytes(bytes: &Bytes) -> Result<(), (String, String)> {
    if bytes.0 >= 16 << 20 {
        Ok(())
    } else {
        Err((format!("{} bytes are too few to start a program", bytes.0), "write at least \"16m\"".into()))
    }
}

word! {
    /// The least measured level of isolation.
    pub enum Floor = L1 {
        /// Landlock and seccomp.
        "L1" => L1,
        /// The same with namespaces.
        "L2" => L2,
        /// The same with a control group.
        "L3" => L3,
    }
}

word! {
    /// Whether units are isolated.
    pub enum SandboxMode = All {
        /// All, at the best level that the machine offers.
        "all" => All,
        /// All but the commands of main sessions, which have the rights of Creel itself.
        "non-main" => NonMain,
        /// None.
        "off" => Off,
    }
    formerly: "on" => "all"
}

word! {
    /// Who shares the home folder of tool runs.
    pub enum SandboxScope = Agent {
        /// Each session has its own.
        "session" => Session,
        /// Each agent has its own.
        "agent" => Agent,
        /// All agents share one.
        "shared" => Shared,
    }
}

/// What a session is called where its name is nobody's business, such as in the name of its home: 24 hexadecimal digits.
pub fn session_name(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

word! {
    /// What a tool run sees of the agent's own workspace.
    pub enum WorkspaceAccess = Rw {
        /// Nothing.
        "none" => None,
        /// It may read.
        "ro" => Ro,
        /// It may read and write.
        "rw" => Rw,
    }
}

word! {
    /// What a tool run reaches of the network.
    pub enum ToolNetwork = None {
        /// Nothing.
        "none" => None,
        /// The hosts of `sandbox.allow`, through egress.
        "allow-list" => AllowList,
        /// Every host that is not on this machine or in a private network, through egress.
        "open" => Open,
    }
}

/// What one tool run of an agent may use.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolPolicy {
    /// Whose commands are isolated.
    pub mode: SandboxMode,
    /// Who shares the home folder.
    pub scope: SandboxScope,
    /// What it sees of the host besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub binds: Vec<Bind>,
    /// Variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// What it sees of the agent's workspace.
    pub workspace_access: WorkspaceAccess,
    /// What it reaches of the network.
    pub network: ToolNetwork,
    /// The hosts that it reaches.
    #[serde(skip)]
    pub allow: Vec<HostPattern>,
    /// Bytes of memory.
    pub memory: u64,
    /// Processes.
    pub pids: u32,
    /// Bytes of the workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<u64>,
    /// Files and folders of the workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inodes: Option<u64>,
    /// Hundredths of one processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<u32>,
    /// Seconds until it is ended.
    pub wall_seconds: u32,
    /// Bytes of output that are kept.
    pub output_bytes: u64,
    /// Processes in the background.
    pub background_runs: u32,
    /// Seconds until one of them is ended.
    pub background_seconds: u32,
    /// The line that prepares each home.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setup: Option<String>,
    /// Seconds until that has failed.
    pub setup_seconds: u32,
    /// Whether the operator lists somebody in `tools.elevated`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub elevated: bool,
}

impl ToolPolicy {
    /// The policy of one agent: its own words first, then `agents.defaults.sandbox`, then `sandbox`.
    pub fn compose(base: &Sandbox, defaults: &AgentSandbox, own: &AgentSandbox) -> Self {
        let layers = [own, defaults];
        let docker = layers.map(|layer| &layer.docker);
        let (mut binds, mut env) = (base.binds.clone(), base.env.clone());
        for layer in layers.into_iter().rev() {
            binds.extend(layer.docker.binds.iter().flatten().chain(&layer.binds).cloned());
            env.extend(layer.docker.env.iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
            env.extend(layer.env.clone());
        }
        // What is said once more, nearer to the agent, wins.
        let mut seen = std::collections::BTreeSet::new();
        binds.reverse();
        binds.retain(|bind| seen.insert(bind.inside.clone()));
        binds.reverse();
        let [own_docker, defaults_docker] = docker;
        let own_memory = own.memory.or(own_docker.memory);
        let own_pids = own.pids.or(own_docker.pids_limit);
        let own_cpu = own.cpu_percent.or(own_docker.cpu_percent());
        Self {
            mode: own.mode.or(defaults.mode).unwrap_or(base.mode),
            scope: own.scope.or(defaults.scope).unwrap_or(base.scope),
            binds,
            env,
            workspace_access: own
                .workspace_access
                .or(defaults.workspace_access)
                .unwrap_or(base.workspace_access),
            network: own
                .network
                .or(own_docker.network)
                .or(defaults.network)
                .or(defaults_docker.network)
                .unwrap_or(base.network),
            allow: own.allow.as_ref().or(defaults.allow.as_ref()).unwrap_or(&base.allow).clone(),
            memory: own_memory.or(defaults.memory).or(defaults_docker.memory).unwrap_or(base.memory).0,
            pids: own_pids.or(defaults.pids).or(defaults_docker.pids_limit).unwrap_or(base.pids),
            disk: own.disk.or(defaults.disk).or(base.disk).map(|bytes| bytes.0),
            inodes: own.inodes.or(defaults.inodes).or(base.inodes),
            cpu_percent: own_cpu
                .or(defaults.cpu_percent)
                .or(defaults_docker.cpu_percent())
                .or(base.cpu_percent),
            wall_seconds: own.wall_seconds.or(defaults.wall_seconds).unwrap_or(base.wall_seconds),
            output_bytes: own.output_bytes.or(defaults.output_bytes).unwrap_or(base.output_bytes).0,
            background_runs: own.background_runs.or(defaults.background_runs).unwrap_or(base.background_runs),
            background_seconds: own
                .background_seconds
                .or(defaults.background_seconds)
                .unwrap_or(base.background_seconds),
            setup: own
                .setup_command
                .as_ref()
                .or(own_docker.setup_command.as_ref())
                .or(defaults.setup_command.as_ref())
                .or(defaults_docker.setup_command.as_ref())
                .or(base.setup_command.as_ref())
                .filter(|line| !line.trim().is_empty())
                .cloned(),
            setup_seconds: own.setup_seconds.or(defaults.setup_seconds).unwrap_or(base.setup_seconds),
            elevated: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_line_prepares_a_home_and_an_empty_one_is_none() {
        let line = |line: &str| Some(line.to_owned());
        let docker = |line| Docker { setup_command: line, ..Docker::default() };
        let of = |own: AgentSandbox, defaults: AgentSandbox| {
            let base = Sandbox { setup_command: line("base"), ..Sandbox::default() };
            ToolPolicy::compose(&base, &defaults, &own).setup
        };
        let agent = |setup_command, docker| AgentSandbox { setup_command, docker, ..AgentSandbox::default() };
        let none = AgentSandbox::default;
        assert_eq!(of(none(), none()), line("base"));
        let defaults = agent(line("defaults"), docker(line("their docker")));
        assert_eq!(of(none(), defaults.clone()), line("defaults"));
        assert_eq!(of(agent(None, docker(line("docker"))), defaults.clone()), line("docker"));
        assert_eq!(of(agent(line("own"), docker(line("docker"))), defaults.clone()), line("own"));
        assert_eq!(of(agent(line(" "), Docker::default()), defaults), None);
    }
}
