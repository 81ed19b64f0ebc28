//! The seccomp program of a unit, compiled from the profile.

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

/// Asked about before all others: the one call that every program makes often and that has to be looked into. What is allowed
/// whatever its arguments the kernel answers from a table.
const OFTEN: [i64; 1] = [libc::SYS_openat];

/// The program of a role in namespaces: [`program`] of its classes, compiled once in this process and its forks.
pub(crate) fn of_role(role: Role) -> Result<BpfProgram, LaunchError> {
    static COMPILED: [OnceLock<BpfProgram>; Role::ALL.len()] = [const { OnceLock::new() }; Role::ALL.len()];
    let cell = COMPILED.get(role as usize);
    if let Some(compiled) = cell.and_then(OnceLock::get) {
        return Ok(compiled.clone());
    }
    let classes: Vec<&str> = profile::role(role).classes.iter().map(String::as_str).collect();
    let compiled = program(profile::seccomp(), &classes)?;
    let _ = cell.map(|cell| cell.set(compiled.clone()));
    Ok(compiled)
}

/// One program for both classes, EPERM and ENOSYS: the kernel walks through every program of a process at each call. It kills
/// the process when a call comes from another architecture's table.
pub(crate) fn program(profile: &SeccompProfile<'_>, classes: &[&str]) -> Result<BpfProgram, LaunchError> {
    let mut denied: Vec<&Denial<'_>> = profile.eperm.iter().collect();
    let mut absent: Vec<&Denial<'_>> = profile.enosys.iter().collect();
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
    let (denied, absent) = (rules(&denied)?, rules(&absent)?);
    if let Some(both) = denied.keys().find(|number| absent.contains_key(number)) {
        return Err(LaunchError::new(
            Stage::Seccomp,
            format!("The profile answers the system call {both} with two errors; let it be in one class."),
        ));
    }
    let errnos = [(denied, libc::EPERM), (absent, libc::ENOSYS)];
    let mut table: BTreeMap<i64, (i32, Vec<SeccompRule>)> = errnos
        .into_iter()
        .flat_map(|(rules, errno)| rules.into_iter().map(move |(number, rule)| (number, (errno, rule))))
        .collect();
    let often: Vec<_> = OFTEN.iter().filter_map(|number| table.remove_entry(number)).collect();
    let leaves = pieces(table).into_iter().map(|(first, errno, rules)| Ok((first, leaf(rules, errno)?)));
    let mut program = tree(leaves.collect::<Result<_, LaunchError>>()?);
    if cfg!(target_arch = "x86_64") {
        program.splice(0..0, no_x32());
    }
    for (number, (errno, rule)) in often {
        let found = leaf(Rules::from([(number, rule)]), errno)?;
        let first = [
            sock_filter { code: JUMP_IF_EQUAL, jt: 1, jf: 0, k: word(number) },
            sock_filter { code: JUMP, jt: 0, jf: 0, k: size(found.len()) },
        ];
        program.splice(0..0, first.into_iter().chain(found));
    }
    program.insert(0, sock_filter { code: LOAD_WORD, jt: 0, jf: 0, k: 0 });
    Ok(program)
}

/// What is denied of each call.
fn rules(denials: &[&Denial<'_>]) -> Result<Rules, LaunchError> {
    let mut rules = Rules::new();
    let mut always = Vec::new();
    for denial in denials {
        let number = calls::number(denial.call).ok_or_else(|| {
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
            entry.push(rule(alternative).map_err(|e| broken(denial.call, &e))?);
        }
    }
    for number in always {
        // An unconditional denial swallows the conditional ones of the same call.
        rules.insert(number, Vec::new());
    }
    Ok(rules)
}

/// A complete program that answers these calls with an error and allows all others.
fn leaf(rules: Rules, errno: i32) -> Result<BpfProgram, LaunchError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| broken("the architecture", &e))?;
    let action = SeccompAction::Errno(errno.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, action, arch)
        .and_then(BpfProgram::try_from)
        .map_err(|e| broken("the program", &e))
}

const LOAD_WORD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const JUMP_IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

/// How many calls one leaf of the tree compares one after the other.
const LEAF: usize = 8;

/// The calls in pieces, by number, each with its first number and its one error.
fn pieces(table: BTreeMap<i64, (i32, Vec<SeccompRule>)>) -> Vec<(i64, i32, Rules)> {
    let mut all: Vec<(i64, i32, Rules)> = Vec::new();
    for (number, (errno, rule)) in table {
        match all.last_mut() {
            Some((_, error, rules)) if *error == errno && rules.len() < LEAF => {
                rules.insert(number, rule);
            }
            _ => all.push((number, errno, Rules::from([(number, rule)]))),
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
    let pivot = upper.first().map_or(i64::MAX, |(first, _)| *first);
    let (lower, upper) = (tree(leaves), tree(upper));
    let mut joined = vec![
        sock_filter { code: JUMP_IF_AT_LEAST, jt: 0, jf: 1, k: word(pivot) },
        sock_filter { code: JUMP, jt: 0, jf: 0, k: size(lower.len()) },
    ];
    joined.extend(lower);
    joined.extend(upper);
    joined
}

fn word(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn size(instructions: usize) -> u32 {
    u32::try_from(instructions).unwrap_or(u32::MAX)
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
fn no_x32() -> BpfProgram {
    let errno = libc::ENOSYS.unsigned_abs();
    vec![
        sock_filter { code: JUMP_IF_ANY_BIT, jt: 0, jf: 1, k: 0x4000_0000 },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_ERRNO | errno },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_of_every_role_compiles() {
        for role in Role::ALL {
            let program = of_role(role).unwrap();
            assert_eq!(program, of_role(role).unwrap());
            // The kernel's limit is 4096 instructions.
            assert!((4..4096).contains(&program.len()), "{}", role.name());
        }
    }

    #[test]
    fn every_class_compiles() {
        for class in profile::seccomp().classes.keys() {
            program(profile::seccomp(), &[class]).unwrap();
        }
    }

    #[test]
    fn a_call_with_two_errors_is_refused() {
        let text = r#"{"eperm": [{"call": "bpf", "why": "one"}], "enosys": [{"call": "bpf", "why": "two"}], "classes": {}}"#;
        let profile: SeccompProfile<'_> = serde_json::from_str(text).unwrap();
        assert!(program(&profile, &[]).unwrap_err().sentence.contains("two errors"));
    }

    #[test]
    fn an_unknown_call_or_class_is_refused() {
        let error = program(profile::seccomp(), &["no_such_class"]).unwrap_err();
        assert_eq!(error.stage, Stage::Seccomp);
        let text = r#"{"eperm": [{"call": "ptarce", "why": "typo"}], "enosys": [], "classes": {}}"#;
        let profile: SeccompProfile<'_> = serde_json::from_str(text).unwrap();
        assert!(program(&profile, &[]).unwrap_err().sentence.contains("ptarce"));
    }
}
