//! `sandbox.docker` of an agent: the words of a configuration that ran commands in Docker. What has a meaning here is obeyed,
//! the rest has no effect and is named in a warning.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::bind::Bind;
use super::{ToolNetwork, line_if_given, within_bytes_if_given};
use crate::node::Node;
use crate::noun::{noun, within_if_given};
use crate::scalar::Bytes;
use crate::shape::{Reading, Shape, Show};

/// A key whose value means nothing without containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Meaningless;

impl Meaningless {
    /// The keys of this kind.
    pub(crate) const KEYS: &[&str] = &[
        "image",
        "containerPrefix",
        "workdir",
        "readOnlyRoot",
        "tmpfs",
        "user",
        "capDrop",
        "memorySwap",
        "ulimits",
        "seccompProfile",
        "apparmorProfile",
        "dns",
        "extraHosts",
    ];
}

impl Shape for Meaningless {
    fn read(_: &Node, _: &mut Reading<'_>) -> Option<Self> {
        Some(Self)
    }
    fn show(&self, _: Show) -> Value {
        Value::Null
    }
    fn schema() -> Value {
        json!({})
    }
}

noun! {
    /// Settings of a sandbox in Docker, as far as they mean something without it.
    pub struct Docker {
        /// Processors of one tool run.
        "cpus" => cpus: Option<f64> = None, check within_if_given(0.01, 1000.0);
        /// Memory of one tool run.
        "memory" => memory: Option<Bytes> = None, check within_bytes_if_given;
        /// Processes of one tool run.
        "pidsLimit" => pids_limit: Option<u32> = None, check within_if_given(1, 65_536);
        /// What a tool run reaches of the network.
        "network" => network: Option<ToolNetwork> = None;
        /// Folders of the host inside tool runs.
        "binds" => binds: Option<Vec<Bind>> = None;
        /// Variables of tool runs.
        "env" => env: Option<BTreeMap<String, String>> = None;
        /// A line for `/bin/sh`, run once before the first command of each home.
        "setupCommand" => setup_command: Option<String> = None, check line_if_given;
        /// Without effect: tool runs need no image.
        "image" => image: Meaningless = Meaningless;
        /// Without effect: there are no containers.
        "containerPrefix" => container_prefix: Meaningless = Meaningless;
        /// Without effect: commands run in the workspace, at its own path.
        "workdir" => workdir: Meaningless = Meaningless;
        /// Without effect: the root is always read-only.
        "readOnlyRoot" => read_only_root: Meaningless = Meaningless;
        /// Without effect: /tmp is always private and in memory.
        "tmpfs" => tmpfs: Meaningless = Meaningless;
        /// Without effect: Creel chooses the user of each agent.
        "user" => user: Meaningless = Meaningless;
        /// Without effect: tool runs never have capabilities.
        "capDrop" => cap_drop: Meaningless = Meaningless;
        /// Without effect: tool runs may not swap beyond their memory.
        "memorySwap" => memory_swap: Meaningless = Meaningless;
        /// Without effect: limits are `memory`, `pids` and the built-in ones.
        "ulimits" => ulimits: Meaningless = Meaningless;
        /// Without effect: the policy of system calls is Creel's own.
        "seccompProfile" => seccomp_profile: Meaningless = Meaningless;
        /// Without effect: tool runs are confined by Landlock and seccomp.
        "apparmorProfile" => apparmor_profile: Meaningless = Meaningless;
        /// Without effect: names are resolved by egress.
        "dns" => dns: Meaningless = Meaningless;
        /// Without effect: names are resolved by egress.
        "extraHosts" => extra_hosts: Meaningless = Meaningless;
    }
}

impl Docker {
    /// Hundredths of one processor.
    pub(super) fn cpu_percent(&self) -> Option<u32> {
        // Within 1 and 100,000, as checked.
        self.cpus.map(|cpus| (cpus * 100.0).round() as u32)
    }
}
