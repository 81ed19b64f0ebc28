//! Becomes a command for which this machine lacks something: `deprived landlock|namespaces|clone3|seccomp PROGRAM ARGS…`.
//!
//! A seccomp program makes the kernel answer like one that does not have it, or whose administrator forbade it.
#![allow(clippy::print_stderr, clippy::exit, reason = "a tool of the tests")]

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1);
    let what = args.next().unwrap_or_default();
    for (rules, errno) in programs(&what)? {
        let arch = TargetArch::try_from(std::env::consts::ARCH)?;
        let filter = SeccompFilter::new(
            rules,
            SeccompAction::Allow,
            SeccompAction::Errno(errno.unsigned_abs()),
            arch,
        )?;
        seccompiler::apply_filter(&BpfProgram::try_from(filter)?)?;
    }
    let program = args.next().ok_or("deprived landlock|namespaces|clone3|seccomp PROGRAM ARGS")?;
    Err(std::process::Command::new(program).args(args).exec().into())
}

fn programs(what: &str) -> Outcome<Vec<(Rules, i32)>> {
    let always = |calls: &[i64]| calls.iter().map(|call| (*call, Vec::new())).collect::<Rules>();
    Ok(match what {
        // A kernel without it, or whose lsm= does not name it.
        "landlock" => vec![(always(&[libc::SYS_landlock_create_ruleset]), libc::ENOSYS)],
        // A kernel whose administrator forbids user namespaces; what cannot be looked into is absent.
        "namespaces" => {
            let user = || masked(0, u64::from(libc::CLONE_NEWUSER.unsigned_abs()));
            let rules = Rules::from([(libc::SYS_clone, vec![user()?]), (libc::SYS_unshare, vec![user()?])]);
            vec![(rules, libc::EPERM), (always(&[libc::SYS_clone3]), libc::ENOSYS)]
        }
        // A container whose runtime hides what it cannot look into.
        "clone3" => vec![(always(&[libc::SYS_clone3]), libc::ENOSYS)],
        // A kernel without filters. This is the last filter that it takes.
        "seccomp" => {
            let filter = SeccompRule::new(vec![equal(0, 22)?])?;
            let rules = Rules::from([(libc::SYS_seccomp, Vec::new()), (libc::SYS_prctl, vec![filter])]);
            vec![(rules, libc::EINVAL)]
        }
        other => return Err(format!("nothing is called {other:?}").into()),
    })
}

fn masked(arg: u8, mask: u64) -> Outcome<SeccompRule> {
    let op = SeccompCmpOp::MaskedEq(mask);
    Ok(SeccompRule::new(vec![SeccompCondition::new(arg, SeccompCmpArgLen::Dword, op, mask)?])?)
}

fn equal(arg: u8, value: u64) -> Outcome<SeccompCondition> {
    Ok(SeccompCondition::new(arg, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?)
}
