//! One cgroup v2 for each incarnation, where the supervisor has a part of the tree to itself: whoever is in it has the
//! unit's limits together and ends with it, whatever it forks and whichever session it moves to.
//!
//! ```text
//! <the cgroup Creel was started in>/creel-<state folder>/
//!     supervisor/                   this process
//!     units/agent:main.3/           one incarnation
//! ```

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

mod group;
mod groups;
mod site;

pub use group::{Group, Limits};
pub use groups::{Controllers, Groups};

thread_local! {
    /// Where a process is among the cgroups is a property of the process, so there is one of these in it.
    static HERE: RefCell<Result<Rc<Groups>, String>> = const { RefCell::new(Err(String::new())) };
}

/// Moves this process into a part of the tree that belongs to this state folder alone. `fresh`: what an earlier
/// supervisor left in it is ended; otherwise it is ours, from before this program replaced itself. Where there is no such
/// part, units run without cgroups.
pub fn enter(state: &Path, fresh: bool) {
    let found = Groups::open(state, fresh).map(Rc::new);
    match &found {
        Ok(groups) => tracing::info!("Units get cgroups of their own in {}.", groups.path().display()),
        Err(why) => tracing::info!("Units get no cgroups of their own: {why}"),
    }
    HERE.set(found);
}

/// A part of the tree for this process and one run, as long as what this returns lives.
///
/// # Errors
/// A sentence on why there is none in which a whole unit has limits on memory and tasks.
pub fn alone(limits: &Limits) -> Result<Alone, String> {
    let groups = Groups::alone()?;
    let (gaps, suffice) = (groups.controllers().gaps(), groups.controllers().suffice());
    let made = groups.make("run", 1, limits);
    // From here on it is cleared away, whatever comes.
    let alone = |group| Alone { group, groups };
    match made {
        Ok(group) if suffice => Ok(alone(Some(group))),
        Ok(group) => {
            drop(alone(Some(group)));
            Err(format!("The limits of a whole unit cannot be set: {}.", gaps.join("; ")))
        }
        Err(error) => {
            drop(alone(None));
            Err(format!("No cgroup can be made for the run: {error}."))
        }
    }
}

/// What [`alone`] made. Dropping it ends whoever is in it.
#[derive(Debug)]
pub struct Alone {
    group: Option<Group>,
    groups: Groups,
}

impl Alone {
    /// The cgroup of the run.
    pub fn group(&self) -> Option<&Group> {
        self.group.as_ref()
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        drop(self.group.take());
        self.groups.leave();
    }
}

/// The part of the tree that was entered, or a sentence on why there is none.
pub fn here() -> Result<Rc<Groups>, String> {
    HERE.with_borrow(Clone::clone)
}

/// The folder of the cgroup that a supervisor started here would divide.
///
/// # Errors
/// A sentence on why there is none.
pub fn place() -> Result<PathBuf, String> {
    site::find()
}

/// What the units of a running supervisor have, seen from outside; `None` where they have no cgroups of their own.
///
/// # Errors
/// A sentence on why it cannot be seen.
pub fn of_units(supervisor: u32) -> Result<Option<(PathBuf, Controllers)>, String> {
    Ok(site::units(supervisor)?.map(|units| {
        let controllers = Controllers::listed(&units);
        (units, controllers)
    }))
}

/// Leaves no empty folders behind.
pub fn leave() {
    if let Ok(groups) = HERE.replace(Err(String::new())) {
        groups.leave();
    }
}
