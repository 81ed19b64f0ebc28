//! `cargo xtask test --suite service`: the Debian package on real Debians.

use std::fs;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::dist::{self, Stage};
use crate::shell::root;
use crate::vm::{self, Guest};

/// Emulated and on a busy machine, it takes this long at most.
const SECONDS: u32 = 900;

/// Installs, uses, breaks and purges the package in each guest; a debug build, which is about the package and not speed.
pub(crate) fn run() -> Result<()> {
    vm::install()?;
    let begun = Instant::now();
    let deb = dist::make_deb(&Stage::make(false)?)?;
    let share = root().join("target/vm/share-service");
    if share.exists() {
        fs::remove_dir_all(&share)?;
    }
    fs::create_dir_all(&share)?;
    fs::copy(deb, share.join("creel.deb"))?;
    fs::copy(root().join("tests/vm/service.sh"), share.join("service.sh"))?;
    let mut failed = Vec::new();
    for suite in vm::SUITES {
        if let Err(error) = Guest::of(suite)?.run(&share, "bash /mnt/share/service.sh", SECONDS) {
            println!("{error:#}");
            failed.push(suite);
        }
    }
    println!("service: {} guests in {} s", vm::SUITES.len(), begun.elapsed().as_secs());
    ensure!(failed.is_empty(), "the package failed on Debian {}", failed.join(", "));
    Ok(())
}
