//! What a role gets by the reviewed profiles, for those who explain a sandbox.

use crate::profile::{self, Class, Denial, Errno};
use crate::spec::{Level, Net, Role};

/// A role's part of every sandbox, whatever its spec adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Folders and files of the host that it sees read-only, where they exist.
    pub system: Vec<&'static str>,
    /// Bytes of `/dev/shm`; 0 = none.
    pub shm_bytes: u64,
    /// Whether it executes nothing but its own program.
    pub own_program_only: bool,
    /// Denied system calls.
    pub calls: Vec<Calls>,
}

/// System calls that are answered with one errno.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    /// The list: `common`, or a class such as `no_fork`.
    pub class: String,
    /// `EPERM` or `ENOSYS`.
    pub errno: &'static str,
    /// The calls; one with a `*` is denied for some arguments only.
    pub names: Vec<String>,
}

/// What the profiles say of a role at a level.
#[must_use]
pub fn outline(role: Role, level: Level, net: Net) -> Outline {
    let (own, seccomp) = (profile::role(role), profile::seccomp());
    let mut calls = Vec::new();
    if level > Level::L0 {
        calls.push(list("common", "EPERM", &seccomp.eperm));
        calls.push(list("common", "ENOSYS", &seccomp.enosys));
        let beside: &[&str] = match (level, net) {
            (Level::L1, Net::None) => &["no_shared_ipc", "no_socket"],
            (Level::L1, Net::Listener) => &["no_shared_ipc", "stream_only"],
            (Level::L1, Net::Host) => &["no_shared_ipc"],
            _ => &[],
        };
        let names = own.classes.iter().map(String::as_str).chain(beside.iter().copied());
        calls.extend(names.filter_map(|name| {
            let Class { errno, calls } = seccomp.classes.get(name)?;
            let errno = if *errno == Errno::Eperm { "EPERM" } else { "ENOSYS" };
            Some(list(name, errno, calls))
        }));
    }
    Outline {
        system: own.system.iter().chain(&own.etc).map(String::as_str).collect(),
        shm_bytes: own.shm_bytes,
        own_program_only: own.execute == profile::Execute::Own,
        calls,
    }
}

fn list(class: &str, errno: &'static str, calls: &[Denial<'_>]) -> Calls {
    let name = |denial: &Denial<'_>| {
        if denial.when.is_empty() { denial.call.to_owned() } else { format!("{}*", denial.call) }
    };
    Calls { class: class.to_owned(), errno, names: calls.iter().map(name).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_may_fork_and_a_worker_may_not() {
        let classes = |role, level| -> Vec<String> {
            outline(role, level, Net::None).calls.into_iter().map(|calls| calls.class).collect()
        };
        assert_eq!(classes(Role::Tool, Level::L2), ["common", "common", "no_openat2"]);
        assert!(classes(Role::Agent, Level::L2).contains(&"no_fork".to_owned()));
        assert!(classes(Role::Tool, Level::L1).contains(&"no_socket".to_owned()));
        assert!(classes(Role::Tool, Level::L0).is_empty());
        let common = &outline(Role::Tool, Level::L2, Net::None).calls[0];
        assert!(common.names.contains(&"mount".to_owned()) && common.names.contains(&"socket*".to_owned()));
    }
}
