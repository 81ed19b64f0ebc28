//! Resource limits, as the last thing before the credentials go: the stage itself needs more than some units.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{At as _, LaunchError, Stage};
use crate::spec::Limits;

/// Applies `limits`. Inside its own user namespace only: before that, the kernel would count every process of the uid
/// on the host against `nproc`.
pub(crate) fn apply(limits: &Limits) -> Result<(), LaunchError> {
    set(Resource::Core, 0, "core")?;
    set(Resource::Memlock, 8 << 20, "memlock")?;
    set(Resource::Msgqueue, 0, "msgqueue")?;
    let table = [
        (Resource::Nofile, limits.nofile, "nofile"),
        (Resource::Fsize, limits.fsize, "fsize"),
        (Resource::Data, limits.data, "data"),
        (Resource::Nproc, limits.nproc, "nproc"),
        (Resource::Cpu, limits.cpu_seconds, "cpu_seconds"),
    ];
    for (resource, value, name) in table {
        if let Some(value) = value {
            set(resource, value, name)?;
        }
    }
    Ok(())
}

fn set(resource: Resource, value: u64, name: &str) -> Result<(), LaunchError> {
    // A limit the supervisor is under already cannot be raised; it stays the lower one.
    let ceiling = getrlimit(resource).maximum.map_or(value, |hard| hard.min(value));
    setrlimit(resource, Rlimit { current: Some(ceiling), maximum: Some(ceiling) })
        .at(Stage::Limits, || format!("The limit {name} = {value} cannot be set"))
}
