//! Who the unit is: its ids, no capabilities, no way to get new ones.

use rustix::process::{
    DumpableBehavior, Gid, Signal, Uid, set_dumpable_behavior, set_parent_process_death_signal,
};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    no_new_privs, set_capabilities, set_capabilities_secure_bits, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use super::sys;
use crate::error::{At as _, LaunchError, Stage};
use crate::spec::Ids;

/// Die with the process (more exactly: its thread) that started us. Every change of ids clears it.
pub(crate) fn die_with_parent() -> Result<(), LaunchError> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .at(Stage::Session, || "The death signal cannot be set")
}

/// For a first process on the host, which takes this signal for "end everything at once": the death of the supervisor
/// then ends the whole unit, not this process alone.
pub(crate) fn sweep_with_parent() -> Result<(), LaunchError> {
    set_parent_process_death_signal(Some(Signal::QUIT))
        .at(Stage::Session, || "The death signal cannot be set")
}

/// Becomes `ids`, for good and without supplementary groups. The process stays dumpable: its own `/proc` files must
/// open, and only processes of its own pid namespace could use that.
pub(crate) fn become_unit(ids: Ids) -> Result<(), LaunchError> {
    let (uid, gid) = (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid));
    set_thread_groups(&[])
        .and_then(|()| set_thread_res_gid(gid, gid, gid))
        .and_then(|()| set_thread_res_uid(uid, uid, uid))
        .at(Stage::Credentials, || format!("The unit cannot become uid {} gid {}", ids.uid, ids.gid))?;
    set_dumpable_behavior(DumpableBehavior::Dumpable)
        .at(Stage::Credentials, || "The unit cannot be made dumpable")?;
    die_with_parent()
}

/// Empties every capability set and closes the ways back. `in_namespace`: the process holds the capabilities of its own
/// user namespace, which the bounding set and the securebits need.
pub(crate) fn drop_all(in_namespace: bool) -> Result<(), LaunchError> {
    if in_namespace || has_setpcap() {
        let bits = CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
        set_capabilities_secure_bits(bits).at(Stage::Credentials, || "The securebits cannot be locked")?;
        sys::empty_bounding_set().at(Stage::Credentials, || "The bounding set cannot be emptied")?;
    }
    clear_ambient_capability_set().at(Stage::Credentials, || "The ambient capabilities cannot be cleared")?;
    set_no_new_privs(true).at(Stage::Credentials, || "no_new_privs cannot be set")?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .at(Stage::Credentials, || "The capabilities cannot be dropped")
}

fn has_setpcap() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SETPCAP))
}

/// What the kernel says about this process now: (`no_new_privs`, all capability sets empty).
pub(crate) fn measured() -> (bool, bool) {
    let sets = capabilities(None)
        .is_ok_and(|s| s.effective.is_empty() && s.permitted.is_empty() && s.inheritable.is_empty());
    (no_new_privs().unwrap_or(false), sets && sys::bounding_set_is_empty())
}
