//! The seccomp programs of a unit, compiled from the profile.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

use super::calls;
use crate::error::{LaunchError, Stage};
use crate::profile::{self, Condition, Denial, Errno, SeccompProfile};
use crate::spec::Role;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The programs of a role in namespaces: [`programs`] of its classes, compiled once in this process and its forks.
pub(crate) fn of_role(role: Role) -> Result<Vec<BpfProgram>, LaunchError> {
    static COMPILED: [OnceLock<Vec<BpfProgram>>; Role::ALL.len()] =
        [const { OnceLock::new() }; Role::ALL.len()];
    let cell = COMPILED.get(role as usize);
    if let Some(compiled) = cell.and_then(OnceLock::get) {
        return Ok(compiled.clone());
    }
    let classes: Vec<&str> = profile::role(role).classes.iter().map(String::as_str).collect();
    let compiled = programs(profile::seccomp(), &classes)?;
    let _ = cell.map(|cell| cell.set(compiled.clone()));
    Ok(compiled)
}

/// The programs in the order of installation: EPERM class, ENOSYS class.
/// Both kill the process when a call comes from another architecture's table.
pub(crate) fn programs(profile: &SeccompProfile, classes: &[&str]) -> Result<Vec<BpfProgram>, LaunchError> {
    let mut denied: Vec<&Denial> = profile.eperm.iter().collect();
    let mut absent: Vec<&Denial> = profile.enosys.iter().collect();
    for name in classes {
        let class = profile.classes.get(*name).ok_or_else(|| {
            LaunchError::new(
                Stage::Seccomp,
                format!("The profile names the unknown seccomp class \"{name}\"."),
            )
        })?;
        match class.errno {
            Errno::Eperm => denied.extend(&class.calls),
            Errno::Enosys => absent.extend(&class.calls),
        }
    }
    let mut first = compile(&denied, libc::EPERM)?;
    if cfg!(target_arch = "x86_64") {
        first = no_x32(first);
    }
    Ok(vec![first, compile(&absent, libc::ENOSYS)?])
}

fn compile(denials: &[&Denial], errno: i32) -> Result<BpfProgram, LaunchError> {
    let mut rules = Rules::new();
    let mut always = Vec::new();
    for denial in denials {
        let number = calls::number(&denial.call).ok_or_else(|| {
            LaunchError::new(
                Stage::Seccomp,
                format!("The profile names the unknown system call \"{}\".", denial.call),
            )
        })?;
        let Some(number) = number else { continue };
        let entry = rules.entry(number).or_default();
        if denial.when.is_empty() {
            always.push(number);
        }
        for alternative in &denial.when {
            entry.push(rule(alternative).map_err(|e| broken(&denial.call, &e))?);
        }
    }
    for number in always {
        // An unconditional denial swallows the conditional ones of the same call.
        rules.insert(number, Vec::new());
    }
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| broken("the architecture", &e))?;
    let leaves = chunks(rules)
        .into_iter()
        .map(|rules| {
            let first = rules.keys().next().copied().unwrap_or(0);
            let action = SeccompAction::Errno(errno.unsigned_abs());
            SeccompFilter::new(rules, SeccompAction::Allow, action, arch)
                .and_then(BpfProgram::try_from)
                .map(|program| (first, program))
                .map_err(|e| broken("the program", &e))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut program = vec![sock_filter { code: LOAD_WORD, jt: 0, jf: 0, k: 0 }];
    program.extend(tree(leaves));
    Ok(program)
}

const LOAD_WORD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const JUMP_IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

/// How many calls one leaf of the tree compares one after the other.
const LEAF: usize = 8;

fn chunks(rules: Rules) -> Vec<Rules> {
    let mut all = vec![Rules::new()];
    for (number, alternatives) in rules {
        if all.last().is_some_and(|last| last.len() == LEAF) {
            all.push(Rules::new());
        }
        if let Some(last) = all.last_mut() {
            last.insert(number, alternatives);
        }
    }
    all
}

/// Joins complete programs to one that finds the right one by halving. A plain chain of a hundred comparisons would be
/// walked through by the kernel for each of its calls when the program is installed, and for each call that a program
/// looks into at run time. The accumulator holds the number of the call; a leaf loads what it needs itself.
fn tree(mut leaves: Vec<(i64, BpfProgram)>) -> BpfProgram {
    if leaves.len() < 2 {
        return leaves.pop().map(|(_, program)| program).unwrap_or_default();
    }
    let upper = leaves.split_off(leaves.len() / 2);
    let pivot = upper.first().map_or(0, |(first, _)| u32::try_from(*first).unwrap_or(u32::MAX));
    let (lower, upper) = (tree(leaves), tree(upper));
    let skip = u32::try_from(lower.len()).unwrap_or(u32::MAX);
    let mut joined = vec![
        sock_filter { code: JUMP_IF_AT_LEAST, jt: 0, jf: 1, k: pivot },
        sock_filter { code: JUMP, jt: 0, jf: 0, k: skip },
    ];
    joined.extend(lower);
    joined.extend(upper);
    joined
}

fn rule(conditions: &[Condition]) -> Result<SeccompRule, seccompiler::BackendError> {
    let mut all = Vec::new();
    for c in conditions {
        // All arguments we look at are 32 bits wide; the kernel ignores the upper half of the register.
        if let Some(value) = c.equals {
            let op = c.mask.map_or(SeccompCmpOp::Eq, SeccompCmpOp::MaskedEq);
            all.push(SeccompCondition::new(c.arg, SeccompCmpArgLen::Dword, op, value)?);
        }
        for value in &c.unlike {
            all.push(SeccompCondition::new(c.arg, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *value)?);
        }
    }
    SeccompRule::new(all)
}

fn broken(what: &str, error: &seccompiler::BackendError) -> LaunchError {
    LaunchError::new(Stage::Seccomp, format!("The seccomp program cannot be built at {what}: {error}."))
}

/// x32 calls carry the x86_64 architecture mark and bit 30 in their number: all of them are absent.
fn no_x32(program: BpfProgram) -> BpfProgram {
    let errno = libc::ENOSYS.unsigned_abs();
    let mut all = vec![
        sock_filter { code: LOAD_WORD, jt: 0, jf: 0, k: 0 },
        sock_filter { code: JUMP_IF_ANY_BIT, jt: 0, jf: 1, k: 0x4000_0000 },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_ERRNO | errno },
    ];
    all.extend(program);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_of_every_role_compile() {
        for role in Role::ALL {
            let programs = of_role(role).unwrap();
            assert_eq!(programs, of_role(role).unwrap());
            // The kernel's limit is 4096 instructions per program.
            assert!(programs.iter().all(|p| (4..4096).contains(&p.len())), "{}", role.name());
        }
    }

    #[test]
    fn every_class_compiles() {
        for class in profile::seccomp().classes.keys() {
            programs(profile::seccomp(), &[class]).unwrap();
        }
    }

    #[test]
    fn an_unknown_call_or_class_is_refused() {
        let error = programs(profile::seccomp(), &["no_such_class"]).unwrap_err();
        assert_eq!(error.stage, Stage::Seccomp);
        let text = r#"{"eperm": [{"call": "ptarce", "why": "typo"}], "enosys": [], "classes": {}}"#;
        let profile: SeccompProfile = serde_json::from_str(text).unwrap();
        assert!(programs(&profile, &[]).unwrap_err().sentence.contains("ptarce"));
    }
}
