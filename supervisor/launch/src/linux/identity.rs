//! Who a unit is, outside and inside.

use super::views;
use crate::error::{At as _, LaunchError, Stage};
use crate::spec::{Ids, LaunchSpec, Level};

/// `Some`: we are root and the unit becomes these; `None`: the unit stays who we are, whatever it is called inside.
pub(crate) fn of(spec: &LaunchSpec) -> Result<Option<Ids>, LaunchError> {
    if spec.level == Level::L0 {
        return Ok(None);
    }
    let own = rustix::process::geteuid();
    let ids = spec.ids.unwrap_or(Ids::FALLBACK);
    if own.is_root() {
        if ids.uid == 0 || ids.gid == 0 {
            return Err(LaunchError::new(
                Stage::Spec,
                "A unit never runs as uid or gid 0; set another `unit_uid`.",
            ));
        }
        return match is_somebody(ids) {
            true => Ok(Some(ids)),
            false if spec.ids.is_none() && spec.level >= Level::L2 => Ok(None),
            false => Err(LaunchError::new(
                Stage::Spec,
                format!(
                    "There is no uid {} in this container, and at level {} a unit can be nobody else than root; give the container a \
                     larger range of ids, or user namespaces for level L2.",
                    ids.uid, spec.level
                ),
            )),
        };
    }
    match spec.ids {
        Some(ids) if ids.uid != own.as_raw() => Err(LaunchError::new(
            Stage::Spec,
            format!("Only root can run a unit as uid {}; take `unit_uid` out or run creel as root.", ids.uid),
        )),
        _ => Ok(None),
    }
}

/// What the unit calls itself where it stays who we are: our name, but for the root of a container that has no other user.
pub(crate) fn inside() -> Ids {
    let (uid, gid) = us();
    if uid == 0 { Ids::FALLBACK } else { Ids { uid, gid } }
}

fn us() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

/// Whether these exist here: `unshare -Ur`, and a container started by an ordinary user without a range of ids, know one user.
pub(crate) fn is_somebody(ids: Ids) -> bool {
    [("uid_map", ids.uid), ("gid_map", ids.gid)].into_iter().all(|(map, id)| {
        // Without /proc nobody can tell; to become it then fails by itself.
        std::fs::read_to_string(format!("/proc/self/{map}")).map_or(true, |text| covers(&text, id))
    })
}

fn covers(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_ascii_whitespace().map(|word| word.parse::<u64>().unwrap_or(0));
        let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
        let first = first.unwrap_or(u64::MAX);
        (first..first.saturating_add(count.unwrap_or(0))).contains(&u64::from(id))
    })
}

/// Writes the maps of the unit's user namespace. `changed`: root maps another user than itself.
pub(crate) fn map(pid: i32, unit: Ids, changed: bool) -> Result<(), LaunchError> {
    if !changed {
        std::fs::write(format!("/proc/{pid}/setgroups"), "deny").at(
            Stage::Namespaces,
            || "The unit's groups cannot be fixed (the creel binary must be readable for its user)",
        )?;
    }
    let (uid, gid) = if changed { (unit.uid, unit.gid) } else { us() };
    for (map, id, outside) in [("uid_map", unit.uid, uid), ("gid_map", unit.gid, gid)] {
        views::write_map(pid, map, id, outside).at(Stage::Namespaces, || {
            format!(
                "The {map} of the unit cannot be written (see `creel doctor`: user namespaces may be restricted by AppArmor)"
            )
        })?;
    }
    Ok(())
}

/// A pipe of root's could be used but not re-opened through /dev/stdout: the unit becomes its owner.
pub(crate) fn own_pipes(ids: Ids) {
    use rustix::fs::{FileType, Gid, Uid, fchown, fstat};
    for fd in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        let pipe = fstat(fd).is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Fifo);
        if pipe || rustix::termios::isatty(fd) {
            let _ = fchown(fd, Some(Uid::from_raw(ids.uid)), Some(Gid::from_raw(ids.gid)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_with_one_user_has_no_other() {
        assert!(covers("         0          0 4294967295\n", 64_742));
        assert!(!covers("         0      12345          1\n", 64_742));
        assert!(
            covers("0 1000 1\n1 100000 65536\n", 64_742) && !covers("0 1000 1\n1 100000 65536\n", 65_537)
        );
        assert!(!covers("", 0));
    }
}
