//! The machine: disk, clock, and what its kernel gives.

use creel_launch::Level;

use super::check::Check;
use super::facts::{Cgroups, Facts};

const MIB: u64 = 1 << 20;
/// Room below which logs and database fill the disk soon, and below which they may fail at any moment.
const ROOM: (u64, u64) = (1024 * MIB, 64 * MIB);
/// Hundredths of the inodes that should be free.
const INODES: u64 = 5;
/// Before this, no release of Creel existed: 2026-01-01.
const FIRST_MS: i64 = 1_767_225_600_000;
/// How far the journal may be ahead of the clock.
const AHEAD_MS: i64 = 60_000;

pub(super) fn disk(facts: &Facts) -> Check {
    const NAME: &str = "disk";
    let Some((free, inodes)) = facts.disk else {
        return Check::warn(NAME, "The home's disk cannot be asked how full it is.", "Look with `df`.");
    };
    let sentence = format!("The home's disk has {} MiB left.", free / MIB);
    let remedy = "Make room, or lower logging.maxFileBytes and logging.maxFiles.";
    if free < ROOM.1 {
        return Check::fail(NAME, sentence, remedy);
    }
    if let Some(inodes) = inodes.filter(|inodes| *inodes < INODES) {
        let sentence = format!("The home's disk has room, but only {inodes} % of its inodes are free.");
        return Check::warn(NAME, sentence, "Remove small files that nobody needs.");
    }
    if free < ROOM.0 { Check::warn(NAME, sentence, remedy) } else { Check::ok(NAME, sentence) }
}

pub(super) fn clock(facts: &Facts) -> Check {
    const NAME: &str = "clock";
    let remedy = "Set the clock, and let a time service keep it: timedatectl set-ntp true.";
    let (now, newest) = facts.clock;
    if now < FIRST_MS {
        let sentence =
            "The clock stands before the first release of Creel; certificates of servers will be refused.";
        return Check::fail(NAME, sentence, remedy);
    }
    match newest.filter(|newest| *newest > now + AHEAD_MS) {
        Some(_) => Check::warn(
            NAME,
            "The newest event of the journal is in the future: the clock was put back.",
            remedy,
        ),
        None => Check::ok(NAME, "The clock makes sense."),
    }
}

pub(super) fn namespaces(facts: &Facts) -> Check {
    const NAME: &str = "user namespaces";
    let level = "without them isolation is L1";
    if facts.max_user_namespaces == Some(0) {
        let sentence = format!("User namespaces are switched off; {level}.");
        return Check::warn(NAME, sentence, "sysctl -w user.max_user_namespaces=15000.");
    }
    if facts.uid != 0 && facts.unprivileged_clone == Some(0) {
        let sentence = format!("User namespaces are reserved to root; {level}.");
        return Check::warn(NAME, sentence, "sysctl -w kernel.unprivileged_userns_clone=1.");
    }
    if facts.uid != 0 && facts.apparmor_restricts == Some(1) && facts.measured.level < Level::L2 {
        let sentence = format!("AppArmor forbids user namespaces to programs without a profile; {level}.");
        let remedy = "Load Creel's profile: apparmor_parser -r /etc/apparmor.d/creel (its Debian package brings it; the sources have \
                      it as packaging/apparmor/creel, to be given the path of this creel). Or, for every program: sysctl -w \
                      kernel.apparmor_restrict_unprivileged_userns=0.";
        return Check::warn(NAME, sentence, remedy);
    }
    Check::ok(NAME, "Namespaces are there for this user.")
}

pub(super) fn landlock(facts: &Facts) -> Check {
    const NAME: &str = "Landlock";
    match facts.measured.isolation.as_ref().map_or(0, |isolation| isolation.landlock_abi) {
        0 => Check::fail(
            NAME,
            "The kernel gave a probe unit no Landlock ruleset.",
            "Use Linux 5.13 or newer with landlock among the modules of /sys/kernel/security/lsm (lsm= at boot).",
        ),
        abi => Check::ok(NAME, format!("Landlock ABI {abi} and seccomp hold.")),
    }
}

pub(super) fn cgroups(facts: &Facts) -> Check {
    const NAME: &str = "cgroups";
    let remedy = "Run Creel as a systemd service, whose unit says Delegate=memory pids cpu (`creel service install`); in a \
                  container, mount cgroup v2 so that it can be written.";
    match &facts.cgroups {
        Cgroups::Theirs(folder, controllers) if controllers.gaps().is_empty() => Check::ok(
            NAME,
            format!(
                "Units have cgroups of their own, with limits on memory, tasks and processor time, in {}.",
                folder.display()
            ),
        ),
        Cgroups::Theirs(folder, controllers) => Check::warn(
            NAME,
            format!(
                "Units have cgroups of their own in {}, but {}.",
                folder.display(),
                controllers.gaps().join("; ")
            ),
            remedy,
        ),
        Cgroups::None => Check::warn(
            NAME,
            "Units have no cgroups of their own: Creel was started where none is delegated to it.",
            remedy,
        ),
        Cgroups::Possible(Ok(folder)) => Check::ok(
            NAME,
            format!("Nothing runs; started from here, Creel would divide {}.", folder.display()),
        ),
        Cgroups::Possible(Err(why)) => {
            Check::warn(NAME, format!("Nothing runs; started from here: {why}"), remedy)
        }
        Cgroups::Unknown(why) => {
            Check::warn(NAME, why.clone(), "Look again as the user that Creel runs as, or as root.")
        }
    }
}

pub(super) fn isolation(facts: &Facts) -> Check {
    const NAME: &str = "isolation";
    let measured = &facts.measured;
    // The supervisor may have a delegated cgroup that this terminal has not.
    let level =
        facts.running.as_ref().map_or_else(|| measured.level.to_string(), |running| running.level.clone());
    let why = || format!("{} {}", measured.reasons.join(" "), measured.remedies.join(" "));
    match level.as_str() {
        "L3" => Check::ok(NAME, "Units get isolation level L3: everything, limits of whole units included."),
        "L2" => Check::warn(
            NAME,
            "Units get isolation level L2: all walls stand, but memory and tasks are bounded for each process, not for \
             a whole unit.",
            "Run Creel as a systemd service with Delegate=yes, so that it has cgroups of its own.",
        ),
        "L1" if facts.uid == 0 => Check::fail(
            NAME,
            format!("Units would get isolation level L1, and none of root's starts at it. {}", why()),
            crate::tree::ROOT_AT_L1,
        ),
        "L1" => Check::warn(
            NAME,
            format!("Units get isolation level L1. {}", why()),
            "See the lines on user namespaces.",
        ),
        _ => Check::fail(
            NAME,
            format!("Units get no isolation ({level}). {}", why()),
            "Mend what is named, or write sandbox.mode = \"off\" if you accept that every tool has your rights.",
        ),
    }
}

pub(super) fn users(facts: &Facts) -> Check {
    const NAME: &str = "users";
    match &facts.users {
        None => Check::ok(
            NAME,
            "All units run as the user that starts Creel, apart by namespaces and Landlock alone; started by root, each has a \
             user id of its own.",
        ),
        Some(Ok(ids)) => match (ids.iter().min(), ids.iter().max()) {
            (Some(first), Some(last)) => Check::ok(
                NAME,
                format!("Each unit has a user id of its own, from {first} to {last} (state/uids.json)."),
            ),
            _ => Check::ok(NAME, "Each unit gets a user id of its own when it is started."),
        },
        Some(Err(why)) => Check::warn(
            NAME,
            format!("All units run as one user: {why}."),
            "Put that right and restart Creel: then what belongs to one agent belongs to no other.",
        ),
    }
}
