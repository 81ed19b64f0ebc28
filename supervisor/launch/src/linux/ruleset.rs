//! The Landlock ruleset of a unit. Every right and scope of the running ABI is handled, as a hard requirement.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort, PathBeneath,
    PathFd, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetStatus, Scope,
};

use super::sys;
use crate::error::{LaunchError, Stage};

/// What is wrong where there is none, and what to do.
pub(crate) const NO_LANDLOCK: &str =
    "The kernel has no Landlock. Boot it with lsm=landlock,... or use a kernel from 5.13 on.";

/// What a rule grants below a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grant {
    Read,
    ReadExecute,
    /// Also pipes and sockets: for folders that no other process of the host looks into.
    Write,
    WriteExecute,
    /// Plain files, folders and links only: what lies in a view is met by processes of the host, which a pipe or
    /// a socket in place of a file would hang.
    WriteView,
    WriteExecuteView,
}

/// TCP as Landlock sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ports {
    /// Not restricted here.
    Any,
    /// No bind; connect to these ports.
    Connect(Vec<u16>),
}

/// The rules to apply.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    paths: Vec<(PathBuf, Grant)>,
}

impl Rules {
    /// Adds a rule; a path that does not exist when the rules are applied is left out.
    pub(crate) fn allow(&mut self, path: impl Into<PathBuf>, grant: Grant) {
        self.paths.push((path.into(), grant));
    }

    /// Restricts this process and all it becomes. Returns the ABI that is enforced.
    pub(crate) fn apply(&self, ports: &Ports) -> Result<u32, LaunchError> {
        let running = sys::landlock_abi();
        let abi = ABI::from(running);
        if abi == ABI::Unsupported {
            return Err(LaunchError::new(Stage::Landlock, NO_LANDLOCK));
        }
        self.restrict(abi, ports).map_err(|e| {
            let errno = std::io::Error::last_os_error().raw_os_error();
            LaunchError {
                stage: Stage::Landlock,
                errno,
                sentence: format!("Landlock (ABI {running}) cannot be applied: {e}."),
            }
        })?;
        Ok(abi as u32)
    }

    fn restrict(&self, abi: ABI, ports: &Ports) -> Result<(), landlock::RulesetError> {
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(abi))?;
        let net = AccessNet::from_all(abi);
        if *ports != Ports::Any && !net.is_empty() {
            ruleset = ruleset.handle_access(net)?;
        }
        let scopes = Scope::from_all(abi);
        if !scopes.is_empty() {
            ruleset = ruleset.scope(scopes)?;
        }
        let mut created = ruleset.create()?;
        for (path, grant) in &self.paths {
            created = add(created, path, *grant, abi)?;
        }
        if let Ports::Connect(ports) = ports
            && net.contains(AccessNet::ConnectTcp)
        {
            for port in ports {
                created = created.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
            }
        }
        let status = created.restrict_self()?;
        if status.ruleset == RulesetStatus::FullyEnforced {
            return Ok(());
        }
        // HardRequirement makes this unreachable; should the crate ever change, it stays an error.
        Err(landlock::RulesetError::from(landlock::CreateRulesetError::MissingHandledAccess))
    }
}

fn add(
    created: RulesetCreated,
    path: &Path,
    grant: Grant,
    abi: ABI,
) -> Result<RulesetCreated, landlock::RulesetError> {
    let Ok(fd) = PathFd::new(path) else { return Ok(created) };
    let is_dir = std::fs::metadata(path).is_ok_and(|m| m.is_dir());
    let mut rights = rights(grant, abi);
    if !is_dir {
        rights &= AccessFs::from_file(abi);
    }
    created.add_rule(PathBeneath::new(fd, rights))
}

fn rights(grant: Grant, abi: ABI) -> BitFlags<AccessFs> {
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    let special = AccessFs::MakeFifo | AccessFs::MakeSock | AccessFs::MakeChar | AccessFs::MakeBlock;
    match grant {
        Grant::Read => read,
        Grant::ReadExecute => read | AccessFs::Execute,
        Grant::Write => read | AccessFs::from_write(abi),
        Grant::WriteExecute => AccessFs::from_all(abi),
        Grant::WriteView => rights(Grant::Write, abi) & !special,
        Grant::WriteExecuteView => rights(Grant::WriteExecute, abi) & !special,
    }
}
