//! The attacks in virtual machines: a delegated cgroup, an ordinary user with a login, and kernels with an older Landlock.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use super::report::{self, Report};
use super::{Level, stage};
use crate::shell::root;
use crate::vm::{self, Guest};

/// Emulated and on a busy machine, it takes this long at most.
const SECONDS: u32 = 3300;

const RUNS: [(&str, &str, Level); 3] =
    [("L3-root", "L3 root", Level::L3), ("L2-user", "L2 user", Level::L2), ("L1-user", "L1 user", Level::L1)];

pub(super) fn run(creel: &Path, suites: &[&'static str]) -> Result<()> {
    vm::install()?;
    let mut failed = Vec::new();
    for suite in suites {
        if let Err(error) = one(creel, suite) {
            println!("{error:#}");
            failed.push(*suite);
        }
    }
    ensure!(failed.is_empty(), "the sandbox does not hold on Debian {}", failed.join(", "));
    Ok(())
}

fn one(creel: &Path, suite: &'static str) -> Result<()> {
    let share = root().join("target/vm").join(format!("share-redteam-{suite}"));
    if share.exists() {
        fs::remove_dir_all(&share)?;
    }
    fs::create_dir_all(&share)?;
    stage(creel, &share)?;
    fs::copy(root().join("tests/vm/redteam.sh"), share.join("redteam.sh"))?;
    fs::copy(root().join("packaging/apparmor/creel"), share.join("apparmor"))?;
    let ended = Guest::of(suite)?.run(&share, "bash /mnt/share/redteam.sh", SECONDS);
    let mut reports = Vec::new();
    for (file, name, level) in RUNS {
        let path = share.join("out").join(format!("{file}.json"));
        // The guest itself says why a level cannot be had on its kernel, and fails when that is not true.
        if path.exists() {
            reports.push(Report::read(name, Some(level), &path)?);
        }
    }
    ensure!(!reports.is_empty(), "the guest left no result");
    println!("\nDebian {suite}\n{}", report::table(&reports)?);
    report::judge(&reports)?;
    ended
}
