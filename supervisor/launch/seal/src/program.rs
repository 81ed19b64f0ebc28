//! The two seccomp programs of the seal (one errno per program).

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use crate::SealError;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

pub(crate) fn install() -> Result<(), SealError> {
    for program in [compile(denied()?, libc::EPERM)?, compile(absent(), libc::ENOSYS)?] {
        // All threads: main calls this first, but a constructor of a linked library may have started one.
        seccompiler::apply_filter_all_threads(&program)
            .map_err(|e| SealError::Install { source: Box::new(e) })?;
    }
    Ok(())
}

fn denied() -> Result<Rules, SealError> {
    let not_a_thread = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(libc::CLONE_THREAD as u64),
        0,
    )
    .and_then(|c| SeccompRule::new(vec![c]))
    .map_err(build)?;
    let mut rules = Rules::new();
    rules.insert(libc::SYS_execve, vec![]);
    rules.insert(libc::SYS_execveat, vec![]);
    rules.insert(libc::SYS_clone, vec![not_a_thread]);
    #[cfg(target_arch = "x86_64")]
    for number in [libc::SYS_fork, libc::SYS_vfork] {
        rules.insert(number, vec![]);
    }
    // The same calls under their x32 numbers, which the architecture check lets through. They are 512-based
    // where the x32 table differs (execve 520, execveat 545) and equal otherwise.
    #[cfg(target_arch = "x86_64")]
    for number in [libc::SYS_clone, libc::SYS_fork, libc::SYS_vfork, libc::SYS_clone3, 520, 545] {
        rules.insert(0x4000_0000 | number, vec![]);
    }
    Ok(rules)
}

fn absent() -> Rules {
    Rules::from([(libc::SYS_clone3, vec![])])
}

fn compile(rules: Rules, errno: i32) -> Result<BpfProgram, SealError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(build)?;
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno.unsigned_abs()), arch)
        .and_then(BpfProgram::try_from)
        .map_err(build)
}

fn build(e: seccompiler::BackendError) -> SealError {
    SealError::Build { arch: std::env::consts::ARCH, source: Box::new(e) }
}
