//! What these tests stand on: a cgroup that a service manager delegated to this test.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::home::Home;

/// The delegated cgroup; this process has a leaf of its own in it.
pub(crate) struct Ground {
    top: PathBuf,
}

impl Ground {
    /// Takes the place.
    pub(crate) fn take() -> Self {
        let own = own_cgroup("self");
        let top = own.parent().filter(|_| own.ends_with("test")).unwrap_or(&own).to_owned();
        let leaf = top.join("test");
        std::fs::create_dir_all(&leaf).unwrap_or_else(|error| {
            panic!("{}: {error}; run this below `systemd-run -p Delegate=yes`", leaf.display())
        });
        std::fs::write(leaf.join("cgroup.procs"), "0").unwrap();
        std::fs::write(top.join("cgroup.subtree_control"), "+memory +pids +cpu").unwrap();
        Self { top }
    }

    /// A home whose supervisor starts in a delegated cgroup of its own.
    pub(crate) fn home(&self, config: &str) -> (Home, PathBuf) {
        let mut home = Home::new(config);
        let place = self.place(&mut home);
        (home, place)
    }

    /// Lets the next supervisor of a home start in a new cgroup, as a service manager does.
    pub(crate) fn place(&self, home: &mut Home) -> PathBuf {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let place = self.top.join(format!("run{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir(&place).unwrap();
        if rustix::process::geteuid().is_root() {
            rustix::fs::setxattr(&place, "trusted.delegate", b"1", rustix::fs::XattrFlags::empty()).unwrap();
        }
        let script = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", place.display());
        home.prefix = ["/bin/sh", "-c", &script, "sh"].map(str::to_owned).to_vec();
        place
    }

    /// The same, started, with these units running, at the level that only cgroups give.
    pub(crate) fn up(&self, config: &str, units: &[&str]) -> (Home, PathBuf) {
        let (mut home, place) = self.home(config);
        home.start();
        for unit in units {
            home.wait_state(unit, "running");
        }
        (home, place)
    }
}

/// The folder of a process's cgroup.
pub(crate) fn own_cgroup(pid: &str) -> PathBuf {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let own = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap().to_owned();
    Path::new("/sys/fs/cgroup").join(own)
}

/// A number of `/proc/PID/oom_score_adj`.
pub(crate) fn oom_score_adj(pid: u32) -> i32 {
    std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim().parse().unwrap()
}
