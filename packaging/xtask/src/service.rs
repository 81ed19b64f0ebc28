//! `cargo xtask test --suite package` and `--suite service`: the Debian package under systemd, on this machine and on real
//! Debians.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::dist::{self, Stage};
use crate::shell::{command, root, show};
use crate::vm::{self, Guest};

/// Emulated and on a busy machine, it takes this long at most.
const SECONDS: u32 = 1200;
/// What `tests/vm/namespace.sh` leaves with where it cannot work.
const CANNOT: i32 = 77;
/// Said last where it cannot work, so that nobody overlooks it.
const NOT_MEASURED: &str = "NOT MEASURED HERE: the package under this machine's own systemd (why: see above)";

/// Only what this machine can do by itself.
pub(crate) fn here() -> Result<()> {
    if !quick(&share()?)? {
        println!("{NOT_MEASURED}");
    }
    Ok(())
}

/// Installs it, kills its supervisor seven times, upgrades and purges it on this machine; installs, uses, breaks, upgrades and purges it in each guest. A debug build, for it is
/// about the package.
pub(crate) fn run() -> Result<()> {
    vm::install()?;
    let begun = Instant::now();
    let share = share()?;
    let here = quick(&share)?;
    let mut failed = Vec::new();
    for suite in vm::SUITES {
        if let Err(error) = Guest::of(suite)?.run(&share, "bash /mnt/share/service.sh", SECONDS) {
            println!("{error:#}");
            failed.push(suite);
        }
    }
    println!("service: {} guests in {} s", vm::SUITES.len(), begun.elapsed().as_secs());
    if !here {
        println!("{NOT_MEASURED}");
    }
    ensure!(failed.is_empty(), "the package failed on Debian {}", failed.join(", "));
    Ok(())
}

/// The packages and the scripts.
fn share() -> Result<PathBuf> {
    let deb = dist::make_deb(&Stage::make(false)?)?;
    let share = root().join("target/vm/share-service");
    if share.exists() {
        fs::remove_dir_all(&share)?;
    }
    fs::create_dir_all(&share)?;
    fs::rename(dist::newer_deb(&deb)?, share.join("creel-next.deb"))?;
    fs::copy(deb, share.join("creel.deb"))?;
    for script in ["service.sh", "quick.sh", "crash.py"] {
        fs::copy(root().join("tests/vm").join(script), share.join(script))?;
    }
    Ok(share)
}

/// Under a systemd in a namespace; whether that could be done here.
fn quick(share: &Path) -> Result<bool> {
    let mut run = command("tests/vm/namespace.sh", &[]);
    run.arg(share).arg("bash /mnt/share/quick.sh");
    println!("--- systemd in a namespace of this machine");
    let status = run.status().with_context(|| format!("`{}` cannot be started", show(&run)))?;
    ensure!(
        status.success() || status.code() == Some(CANNOT),
        "the service failed under this machine's own systemd: {status}"
    );
    Ok(status.success())
}
