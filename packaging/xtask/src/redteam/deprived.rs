//! The same machines, booted without Landlock: nothing may run there that cannot be confined, and nothing may be claimed.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::shell::root;
use crate::vm::Guest;

/// Emulated and on a busy machine, it takes this long at most.
const SECONDS: u32 = 600;
/// What Debian's kernels have, without Landlock.
const ARGUMENTS: &str = "lsm=lockdown,yama,integrity,apparmor";

pub(super) fn run(creel: &Path, suites: &[&'static str]) -> Result<()> {
    let mut failed = Vec::new();
    for suite in suites {
        if let Err(error) = one(creel, suite) {
            println!("{error:#}");
            failed.push(*suite);
        }
    }
    ensure!(
        failed.is_empty(),
        "without Landlock more runs or is claimed than may be on Debian {}",
        failed.join(", ")
    );
    Ok(())
}

fn one(creel: &Path, suite: &'static str) -> Result<()> {
    let share = root().join("target/vm").join(format!("share-deprived-{suite}"));
    if share.exists() {
        fs::remove_dir_all(&share)?;
    }
    fs::create_dir_all(&share)?;
    fs::copy(creel, share.join("creel"))?;
    fs::copy(root().join("tests/vm/deprived.sh"), share.join("deprived.sh"))?;
    Guest::of(suite)?.with(ARGUMENTS).run(&share, "bash /mnt/share/deprived.sh", SECONDS)
}
