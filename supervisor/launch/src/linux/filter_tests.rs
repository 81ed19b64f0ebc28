//! What is in the profile does something, and the compiled program does what the profile says.

use std::collections::{BTreeMap, BTreeSet};

use seccompiler::{BpfProgram, sock_filter};

use super::{calls, filter};
use crate::profile::{self, Condition, Denial, Errno};
use crate::spec::Role;

/// Registers of a call.
type Args = [u64; 6];

/// Every set of classes that a unit can be given: that of its role, and at level 1 with what stands in for namespaces.
fn compositions() -> Vec<Vec<&'static str>> {
    let mut all = Vec::new();
    for role in Role::ALL {
        let own: Vec<&str> = profile::role(role).classes.iter().map(String::as_str).collect();
        let alone = ["no_shared_ipc"].as_slice();
        for more in [&[], alone, &["no_shared_ipc", "no_socket"], &["no_shared_ipc", "stream_only"]] {
            all.push(own.iter().copied().chain(more.iter().copied()).collect());
        }
    }
    all
}

/// The denials of a composition: (which of the profile's, which of its alternatives, errno class, denial).
fn denials(classes: &[&str]) -> Vec<(String, Errno, &'static Denial<'static>)> {
    let lists = profile::seccomp();
    let named = |list: &str, denial: &Denial<'_>| format!("{list}: {}", denial.call);
    let mut all: Vec<_> =
        lists.eperm.iter().map(|denial| (named("eperm", denial), Errno::Eperm, denial)).collect();
    all.extend(lists.enosys.iter().map(|denial| (named("enosys", denial), Errno::Enosys, denial)));
    for name in classes {
        let class = &lists.classes[*name];
        all.extend(class.calls.iter().map(|denial| (named(name, denial), class.errno, denial)));
    }
    all
}

fn holds(condition: &Condition, args: &Args) -> bool {
    let value = args[usize::from(condition.arg)] & 0xffff_ffff;
    let equal = condition.equals.is_none_or(|wanted| match condition.mask {
        Some(mask) => value & mask == wanted,
        None => value == wanted,
    });
    equal && condition.unlike.iter().all(|other| value != *other)
}

/// Alternatives of a denial; one that always holds is one without conditions.
fn alternatives<'a>(denial: &'a Denial<'_>) -> Vec<&'a [Condition]> {
    if denial.when.is_empty() { vec![&[]] } else { denial.when.iter().map(Vec::as_slice).collect() }
}

/// Arguments at which a rule about this call may change its mind.
fn arguments(call: &str) -> Vec<Args> {
    let lists = profile::seccomp();
    let all = lists.eperm.iter().chain(&lists.enosys).chain(lists.classes.values().flat_map(|c| &c.calls));
    let mut values: BTreeMap<usize, BTreeSet<u64>> = BTreeMap::new();
    for condition in all.filter(|denial| denial.call == call).flat_map(|denial| denial.when.iter().flatten())
    {
        let values = values.entry(usize::from(condition.arg)).or_insert_with(|| BTreeSet::from([0]));
        values.extend(condition.equals);
        // The other side of a test of bits, and a value that is in no list.
        values.extend(condition.mask);
        values.extend(condition.unlike.iter().copied());
        values.insert(0x0001_0101);
    }
    values.into_iter().fold(vec![[0; 6]], |found, (arg, values)| {
        let with = |args: &Args, value: u64| {
            let mut args = *args;
            args[arg] = value;
            args
        };
        found.iter().flat_map(|args| values.iter().map(move |value| with(args, *value))).collect()
    })
}

#[test]
fn no_rule_is_said_already_by_others() {
    let lists = profile::seccomp();
    let mut idle = BTreeSet::new();
    let mut busy = BTreeSet::new();
    for classes in compositions() {
        let denials = denials(&classes);
        for (i, (name, _, denial)) in denials.iter().enumerate() {
            for (j, alternative) in alternatives(denial).into_iter().enumerate() {
                let others = |args: &Args| {
                    denials.iter().enumerate().filter(|(_, (_, _, d))| d.call == denial.call).any(
                        |(k, (_, _, d))| {
                            alternatives(d)
                                .into_iter()
                                .enumerate()
                                .any(|(l, a)| (k, l) != (i, j) && a.iter().all(|c| holds(c, args)))
                        },
                    )
                };
                let alone = arguments(denial.call)
                    .iter()
                    .any(|args| alternative.iter().all(|c| holds(c, args)) && !others(args));
                let rule = format!("{name}, alternative {j}");
                if alone {
                    busy.insert(rule)
                } else {
                    idle.insert(rule)
                };
            }
        }
    }
    let redundant: Vec<_> = idle.difference(&busy).collect();
    assert!(redundant.is_empty(), "these rules deny nothing that others do not deny anyway: {redundant:#?}");
    let used: BTreeSet<&str> = compositions().into_iter().flatten().collect();
    let unused: Vec<_> = lists.classes.keys().filter(|name| !used.contains(*name)).collect();
    assert!(unused.is_empty(), "no role has the classes {unused:?}");
}

#[test]
fn a_redundant_rule_would_be_found() {
    // The check above, by hand: an unconditional rule beside a conditional one of the same call leaves it no work.
    let text = r#"[{"call": "socket", "why": "all"}, {"call": "socket", "why": "one", "when": [[{"arg": 0, "equals": 1}]]}]"#;
    let both: Vec<Denial<'_>> = serde_json::from_str(text).unwrap();
    let says = |denial: &Denial<'_>, args: &Args| {
        alternatives(denial).into_iter().any(|a| a.iter().all(|c| holds(c, args)))
    };
    assert!(!arguments("socket").iter().any(|args| says(&both[1], args) && !says(&both[0], args)));
    assert!(arguments("socket").iter().any(|args| says(&both[0], args) && !says(&both[1], args)));
}

/// What the profile says of a call with these arguments.
fn wanted(denials: &[(String, Errno, &Denial<'_>)], call: &str, args: &Args) -> u32 {
    let denied = |denial: &Denial<'_>| {
        denial.call == call
            && alternatives(denial).into_iter().any(|a| a.iter().all(|condition| holds(condition, args)))
    };
    match denials.iter().find(|(_, _, denial)| denied(denial)) {
        Some((_, Errno::Eperm, _)) => libc::SECCOMP_RET_ERRNO | libc::EPERM as u32,
        Some((_, Errno::Enosys, _)) => libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32,
        None => libc::SECCOMP_RET_ALLOW,
    }
}

#[test]
fn the_program_says_what_the_profile_says() {
    for classes in compositions() {
        let program = filter::program(profile::seccomp(), &classes).unwrap();
        let denials = denials(&classes);
        let calls: BTreeSet<&str> = denials.iter().map(|(_, _, denial)| denial.call).collect();
        let known: BTreeSet<i64> = calls.iter().filter_map(|call| calls::number(call).unwrap()).collect();
        for call in calls {
            let Some(number) = calls::number(call).unwrap() else { continue };
            for args in arguments(call) {
                let wanted = wanted(&denials, call, &args);
                assert_eq!(run(&program, OWN, number, &args), wanted, "{classes:?} {call} {args:x?}");
            }
            assert_eq!(run(&program, FOREIGN, number, &[0; 6]), libc::SECCOMP_RET_KILL_PROCESS, "{call}");
        }
        // All that nobody named, whatever its arguments.
        for number in (0..600).filter(|number| !known.contains(number)) {
            assert_eq!(run(&program, OWN, number, &[u64::MAX; 6]), libc::SECCOMP_RET_ALLOW, "{number}");
            assert_eq!(run(&program, FOREIGN, number, &[0; 6]), libc::SECCOMP_RET_KILL_PROCESS, "{number}");
        }
        #[cfg(target_arch = "x86_64")]
        for number in [libc::SYS_read, libc::SYS_openat, libc::SYS_ptrace] {
            let wanted = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
            assert_eq!(run(&program, OWN, number | 0x4000_0000, &[0; 6]), wanted, "x32 {number}");
        }
    }
}

/// Marks of architectures, as the kernel puts them into a call: this one's, and that of its 32-bit programs.
const OWN: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
const FOREIGN: u32 = if cfg!(target_arch = "x86_64") { 0x4000_0003 } else { 0x4000_0028 };

/// What the kernel would do with a program: the instructions that ours have.
fn run(program: &BpfProgram, architecture: u32, number: i64, args: &Args) -> u32 {
    let word = |offset: u32| match offset {
        0 => u32::try_from(number).unwrap(),
        4 => architecture,
        _ => {
            let value = args[(offset as usize - 16) / 8];
            if offset.is_multiple_of(8) { value as u32 } else { (value >> 32) as u32 }
        }
    };
    let (mut at, mut accumulator) = (0_usize, 0_u32);
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        at += 1;
        let jump = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            0x20 => accumulator = word(k),
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => at += jump(accumulator == k),
            0x25 => at += jump(accumulator > k),
            0x35 => at += jump(accumulator >= k),
            0x45 => at += jump(accumulator & k != 0),
            0x06 => return k,
            other => panic!("instruction {other:#x}"),
        }
    }
}
