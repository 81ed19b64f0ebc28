//! `sandbox`: what tool runs may touch, and the least isolation under which workers start at all.

use crate::endpoint::HostPattern;
use crate::noun::{noun, within, within_if_given, word};
use crate::scalar::Bytes;

noun! {
    /// Isolation of workers, and the policy of tool runs that agents inherit.
    pub struct Sandbox {
        /// The least measured level; below it workers are not started.
        "floor" => floor: Floor = Floor::default();
        /// `off` runs workers and tools without isolation. Only the operator can write that.
        "mode" => mode: SandboxMode = SandboxMode::default();
        /// Whether workers start only where the memory and the tasks of whole units can be bounded (cgroup v2 with
        /// the controllers memory and pids).
        "requireLimits" => require_limits: bool = false;
        /// What a tool run sees of the agent's own workspace.
        "workspaceAccess" => workspace_access: WorkspaceAccess = WorkspaceAccess::default();
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
    }
}

noun! {
    /// What one agent has otherwise than `sandbox` says.
    pub struct AgentSandbox {
        /// What a tool run sees of the agent's own workspace.
        "workspaceAccess" => workspace_access: Option<WorkspaceAccess> = None;
        /// What a tool run reaches of the network.
        "network" => network: Option<ToolNetwork> = None;
        /// Hosts that a tool run reaches with `network: "allow-list"`, in place of those of `sandbox`.
        "allow" => allow: Option<Vec<HostPattern>> = None;
        /// Memory of one tool run; without a control group of its own, of each of its processes.
        "memory" => memory: Option<Bytes> = None, check |given: &Option<Bytes>| given.as_ref().map_or(Ok(()), within_bytes);
        /// Processes of one tool run.
        "pids" => pids: Option<u32> = None, check within_if_given(1, 65_536);
        /// Processor time of one tool run in hundredths of one processor.
        "cpuPercent" => cpu_percent: Option<u32> = None, check within_if_given(1, 100_000);
        /// Seconds after which a tool run is ended.
        "wallSeconds" => wall_seconds: Option<u32> = None, check within_if_given(1, 86_400);
        /// Bytes of output that are kept of a tool run.
        "outputBytes" => output_bytes: Option<Bytes> = None;
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
    pub enum SandboxMode = On {
        /// At the best level that the machine offers.
        "on" => On,
        /// Not at all.
        "off" => Off,
    }
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
    /// Hundredths of one processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<u32>,
    /// Seconds until it is ended.
    pub wall_seconds: u32,
    /// Bytes of output that are kept.
    pub output_bytes: u64,
}

impl ToolPolicy {
    /// The policy of one agent: its own words first, then `agents.defaults.sandbox`, then `sandbox`.
    pub fn compose(base: &Sandbox, defaults: &AgentSandbox, own: &AgentSandbox) -> Self {
        Self {
            workspace_access: own
                .workspace_access
                .or(defaults.workspace_access)
                .unwrap_or(base.workspace_access),
            network: own.network.or(defaults.network).unwrap_or(base.network),
            allow: own.allow.as_ref().or(defaults.allow.as_ref()).unwrap_or(&base.allow).clone(),
            memory: own.memory.or(defaults.memory).unwrap_or(base.memory).0,
            pids: own.pids.or(defaults.pids).unwrap_or(base.pids),
            cpu_percent: own.cpu_percent.or(defaults.cpu_percent).or(base.cpu_percent),
            wall_seconds: own.wall_seconds.or(defaults.wall_seconds).unwrap_or(base.wall_seconds),
            output_bytes: own.output_bytes.or(defaults.output_bytes).unwrap_or(base.output_bytes).0,
        }
    }
}
