//! The supervisor's part of the tree of cgroups.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::group::{Group, Limits, is_populated};
use super::site::{self, LEAF, PREFIX};
use crate::logs::file::plain;

/// How long what a dead supervisor left may take to end.
const LEFTOVERS: Duration = Duration::from_secs(5);

/// What the kernel can bound for a whole unit here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Controllers {
    /// Memory, and the cause `oom`.
    pub memory: bool,
    /// Processes and threads.
    pub pids: bool,
    /// Processor time.
    pub cpu: bool,
}

impl Controllers {
    /// Those that a folder may use.
    pub(super) fn listed(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
        let has = |name: &str| text.split_whitespace().any(|word| word == name);
        Self { memory: has("memory"), pids: has("pids"), cpu: has("cpu") }
    }

    /// Whether a whole unit has limits on memory and tasks.
    pub fn suffice(self) -> bool {
        self.memory && self.pids
    }

    /// What is missing, one sentence each.
    pub fn gaps(self) -> Vec<String> {
        let mut gaps = Vec::new();
        if !self.memory {
            gaps.push(
                "the cgroup has no memory controller: the memory of several processes together has no limit"
                    .to_owned(),
            );
        }
        if !self.pids {
            gaps.push("the cgroup has no pids controller: processes are counted by RLIMIT_NPROC".to_owned());
        }
        if !self.cpu {
            gaps.push("the cgroup has no cpu controller: processor time is not shared out".to_owned());
        }
        gaps
    }
}

/// A folder for each incarnation.
#[derive(Debug)]
pub struct Groups {
    /// The cgroup that Creel was started in.
    top: PathBuf,
    /// Ours within it.
    base: PathBuf,
    controllers: Controllers,
    /// Folders that could not be removed yet.
    left: RefCell<Vec<PathBuf>>,
}

impl Groups {
    /// Takes the place that belongs to a state folder.
    ///
    /// # Errors
    /// A sentence on why there is none.
    pub(super) fn open(state: &Path, fresh: bool) -> Result<Self, String> {
        let id = fs::metadata(state).map_err(|error| format!("{} is gone: {error}.", state.display()))?;
        Self::named(&format!("{:x}-{:x}", id.dev(), id.ino()), fresh)
    }

    /// Takes a place for this process alone.
    ///
    /// # Errors
    /// A sentence on why there is none.
    pub(super) fn alone() -> Result<Self, String> {
        Self::named(&format!("run-{}", std::process::id()), true)
    }

    fn named(name: &str, fresh: bool) -> Result<Self, String> {
        let top = site::find()?;
        let base = top.join(format!("{PREFIX}{name}"));
        let failed = |what: &str, error: io::Error| format!("{what} in {}: {error}.", top.display());
        // Another Creel may be sweeping: what is empty counts as left behind until we are in it.
        let mut tries = 0;
        while let Err(error) = if is_settled(&base) { Ok(()) } else { settle(&base) } {
            tries += 1;
            if tries == 3 {
                return Err(failed("No cgroup can be made", error));
            }
        }
        let units = base.join("units");
        if !units.join("cgroup.kill").exists() {
            return Err("This kernel cannot end a cgroup as a whole (Linux 5.14 can).".to_owned());
        }
        if fresh {
            sweep(&top, &base);
            end_leftovers(&units);
        }
        let controllers = Controllers {
            memory: enable("memory", &top, &base, &units),
            pids: enable("pids", &top, &base, &units),
            cpu: enable("cpu", &top, &base, &units),
        };
        Ok(Self { top, base, controllers, left: RefCell::default() })
    }

    /// Our folder.
    pub fn path(&self) -> &Path {
        &self.base
    }

    /// What can be bound.
    pub fn controllers(&self) -> Controllers {
        self.controllers
    }

    /// A cgroup for one incarnation, with its limits in force.
    ///
    /// # Errors
    /// What the system said. No limit that was asked for and can be bound is left out.
    pub fn make(&self, unit: &str, incarnation: u64, limits: &Limits) -> io::Result<Group> {
        self.left.borrow_mut().retain(|path| fs::remove_dir(path).is_err() && path.exists());
        let path = self.base.join("units").join(format!("{}.{incarnation}", plain(unit)));
        if let Err(error) = fs::create_dir(&path) {
            if error.kind() != io::ErrorKind::AlreadyExists {
                return Err(error);
            }
            // Left by an incarnation of that number: it must be empty to be used again.
            fs::remove_dir(&path).and_then(|()| fs::create_dir(&path))?;
        }
        let group = Group::open(path)?;
        group.bound(limits, self.controllers)?;
        Ok(group)
    }

    /// A folder that is not empty yet.
    pub(crate) fn leave_behind(&self, path: PathBuf) {
        self.left.borrow_mut().push(path);
    }

    /// Goes back to where it came from and takes its empty folders away.
    pub(super) fn leave(&self) {
        // Refused where controllers are in force: then a service manager clears up.
        if fs::write(self.top.join("cgroup.procs"), "0").is_ok() {
            remove_empty(&self.base);
        }
    }
}

/// Whether this process is in its leaf, from before it became this program. To move it there again, or to make what is
/// there, would wait for every processor to take notice.
fn is_settled(base: &Path) -> bool {
    let inside = fs::read_to_string(base.join(LEAF).join("cgroup.procs")).unwrap_or_default();
    let own = std::process::id().to_string();
    inside.lines().any(|pid| pid == own) && base.join("units").is_dir()
}

/// Makes the folders and moves this process into its leaf.
fn settle(base: &Path) -> io::Result<()> {
    let made = |path: &Path| match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    };
    made(base)?;
    made(&base.join(LEAF))?;
    fs::write(base.join(LEAF).join("cgroup.procs"), "0")?;
    made(&base.join("units"))
}

/// Hands a controller down to the units; whether they have it.
fn enable(controller: &str, top: &Path, base: &Path, units: &Path) -> bool {
    [top, base, units].into_iter().all(|folder| {
        let lists = |file: &str| {
            let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
            text.split_whitespace().any(|word| word == controller)
        };
        if !lists("cgroup.controllers") {
            return false;
        }
        lists("cgroup.subtree_control")
            || fs::write(folder.join("cgroup.subtree_control"), format!("+{controller}"))
                .inspect_err(|error| {
                    tracing::warn!(
                        "The controller {controller} cannot be used: it cannot be handed down in {}: {error}.",
                        folder.display()
                    );
                })
                .is_ok()
    })
}

/// Ends what is left of the units of a dead supervisor of this state folder, whose lock is ours now.
fn end_leftovers(units: &Path) {
    let deadline = Instant::now() + LEFTOVERS;
    for folder in folders(units) {
        if is_populated(&folder) {
            tracing::warn!("{} was left by an earlier supervisor and is ended.", folder.display());
        }
        let _gone = fs::write(folder.join("cgroup.kill"), "1");
        while is_populated(&folder) && Instant::now() < deadline {
            // Nothing runs yet that could be kept waiting.
            std::thread::sleep(Duration::from_millis(2));
        }
        let _left = fs::remove_dir(&folder);
    }
}

/// Removes what supervisors of other state folders left that are gone for good: nobody is in it.
fn sweep(top: &Path, own: &Path) {
    for folder in folders(top) {
        let ours = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        if ours && folder != own && !is_populated(&folder) {
            remove_empty(&folder);
        }
    }
}

/// Removes a folder and those in it; the kernel refuses where somebody is inside.
fn remove_empty(folder: &Path) {
    for inner in folders(folder) {
        remove_empty(&inner);
    }
    let _somebody = fs::remove_dir(folder);
}

fn folders(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let found = fs::read_dir(folder).into_iter().flatten().flatten();
    found.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}
