//! What was really applied to a unit, as measured in the unit's own process after it was applied.

use serde::{Deserialize, Serialize};

use crate::spec::Level;

/// The confinement of one running unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// The level that was applied.
    pub level: Level,
    /// The namespaces that differ from the supervisor's (`user`, `mnt`, `pid`, `net`, `ipc`, `uts`, `cgroup`).
    pub namespaces: Vec<String>,
    /// The Landlock ABI all of whose rights are handled; 0 = no Landlock.
    pub landlock_abi: u32,
    /// How many seccomp programs stand before the unit's first instruction.
    pub seccomp_programs: u32,
    /// `no_new_privs` is set.
    pub no_new_privs: bool,
    /// Every capability set including the bounding set is empty.
    pub caps_empty: bool,
    /// User id on the host.
    pub uid: u32,
    /// Group id on the host.
    pub gid: u32,
    /// What is missing, one sentence each.
    pub gaps: Vec<String>,
}

#[cfg(target_os = "linux")]
impl Isolation {
    /// At L1 an ordinary user cannot empty its bounding set; `no_new_privs` makes that harmless.
    pub(crate) fn effective_caps_are_gone(&self) -> bool {
        self.caps_empty || self.level == Level::L1
    }
}
