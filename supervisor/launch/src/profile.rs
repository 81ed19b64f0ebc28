//! The policies that are data: `supervisor/profiles/*.json`, compiled into the binary.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::spec::{Limits, Role};

/// What a role gets before its spec adds to it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleProfile {
    /// Why the role is as it is; read by people.
    #[serde(rename = "why")]
    pub(crate) _why: String,
    /// A first process of ours reaps and passes the exit status on; else the unit's program is process 1 itself.
    pub(crate) stub: bool,
    pub(crate) proc: Proc,
    /// A private `/dev/pts`.
    pub(crate) terminal: bool,
    /// Size of `/dev/shm`, 0 = none.
    pub(crate) shm_bytes: u64,
    /// Default size of `/tmp`.
    pub(crate) tmp_bytes: u64,
    /// Folders of the host that every unit of the role sees read-only, where they exist.
    pub(crate) system: Vec<String>,
    /// Configuration of the host that every unit of the role sees read-only, where it exists.
    pub(crate) etc: Vec<String>,
    pub(crate) execute: Execute,
    pub(crate) tcp: Tcp,
    /// Seccomp classes beside the common lists.
    pub(crate) classes: Vec<String>,
    pub(crate) limits: Limits,
}

/// The form of `/proc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Proc {
    /// Whole, with what tells about the host covered.
    Masked,
    /// Only the process's own folder.
    Own,
}

/// What Landlock lets the unit execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Execute {
    /// Everything in its view.
    Views,
    /// Its own program and that program's loader.
    Own,
}

/// Who bounds TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tcp {
    /// The network namespace, in which there is only the unit itself.
    Namespace,
    /// Landlock: the listener's port and no other, no bind.
    Listener,
    /// Landlock: the ports of the spec, if it names any.
    Host,
}

/// The seccomp lists.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "seccomp is Linux"))]
pub(crate) struct SeccompProfile<'a> {
    // Each launch of a command line reads them: nothing is copied out of the text.
    #[serde(borrow)]
    pub(crate) eperm: Vec<Denial<'a>>,
    #[serde(borrow)]
    pub(crate) enosys: Vec<Denial<'a>>,
    #[serde(borrow)]
    pub(crate) classes: BTreeMap<&'a str, Class<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "seccomp is Linux"))]
pub(crate) struct Class<'a> {
    pub(crate) errno: Errno,
    #[serde(borrow)]
    pub(crate) calls: Vec<Denial<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Errno {
    #[serde(rename = "EPERM")]
    Eperm,
    #[serde(rename = "ENOSYS")]
    Enosys,
}

/// One denied system call.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "seccomp is Linux"))]
pub(crate) struct Denial<'a> {
    pub(crate) call: &'a str,
    #[serde(rename = "why")]
    pub(crate) _why: &'a str,
    /// Alternatives; each is a list of conditions that must all hold. Absent: always.
    #[serde(default)]
    pub(crate) when: Vec<Vec<Condition>>,
}

/// A condition on one argument: masked and equal to a value, or unlike every value of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "seccomp is Linux"))]
pub(crate) struct Condition {
    pub(crate) arg: u8,
    #[serde(default)]
    pub(crate) mask: Option<u64>,
    #[serde(default)]
    pub(crate) equals: Option<u64>,
    #[serde(default)]
    pub(crate) unlike: Vec<u64>,
}

const ROLES: &str = include_str!("../../profiles/roles.json");
const SECCOMP: &str = include_str!("../../profiles/seccomp.json");

#[expect(clippy::expect_used, reason = "the text is part of this binary, and a test parses it")]
static ROLE_TABLE: LazyLock<BTreeMap<Role, RoleProfile>> =
    LazyLock::new(|| parse_roles(ROLES).expect("roles.json is in order"));

#[expect(clippy::expect_used, reason = "the text is part of this binary, and a test parses it")]
static SECCOMP_LISTS: LazyLock<SeccompProfile<'static>> =
    LazyLock::new(|| serde_json::from_str(SECCOMP).expect("seccomp.json is in order"));

#[expect(clippy::expect_used, reason = "a test proves that the table has every role")]
pub(crate) fn role(role: Role) -> &'static RoleProfile {
    ROLE_TABLE.get(&role).expect("every role is in roles.json")
}

pub(crate) fn seccomp() -> &'static SeccompProfile<'static> {
    &SECCOMP_LISTS
}

/// What every unit's own root has besides what its role shows of the host.
const MADE: [&str; 7] =
    ["/tmp", "/dev", "/proc", "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf"];

/// Whether a unit of this role has this path, or something below it, in its own root, whatever its spec shows.
#[must_use]
pub fn has_of_its_own(of: Role, path: &Path) -> bool {
    let profile = role(of);
    let mut shown = profile.system.iter().chain(&profile.etc).map(Path::new);
    shown.any(|own| path.starts_with(own) || own.starts_with(path))
        // Below these nothing is the host's.
        || MADE.iter().any(|own| Path::new(own).starts_with(path))
}

fn parse_roles(text: &str) -> serde_json::Result<BTreeMap<Role, RoleProfile>> {
    serde_json::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_in_the_table_and_names_known_classes() {
        for r in Role::ALL {
            for class in &role(r).classes {
                assert!(seccomp().classes.contains_key(class.as_str()), "{} names {class}", r.name());
            }
        }
    }

    #[test]
    fn an_unknown_role_or_field_is_refused() {
        assert!(parse_roles(&ROLES.replacen("\"gateway\"", "\"gatekeeper\"", 1)).is_err());
        assert!(parse_roles(&ROLES.replacen("\"tcp\"", "\"tpc\"", 1)).is_err());
        assert!(
            serde_json::from_str::<SeccompProfile<'_>>(&SECCOMP.replacen("\"eperm\"", "\"eprem\"", 1))
                .is_err()
        );
    }

    #[test]
    fn every_denial_says_why() {
        let lists = seccomp();
        let all =
            lists.eperm.iter().chain(&lists.enosys).chain(lists.classes.values().flat_map(|c| &c.calls));
        for denial in all {
            assert!(!denial._why.is_empty(), "{}", denial.call);
        }
        assert!(lists.classes.values().all(|c| matches!(c.errno, Errno::Eperm | Errno::Enosys)));
    }
}
