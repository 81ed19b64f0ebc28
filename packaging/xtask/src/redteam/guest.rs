//! The attacks in virtual machines: a delegated cgroup, an ordinary user with a login, and kernels with an older Landlock.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::report::{self, Report};
use super::{Level, stage};
use crate::faults::programs;
use crate::shell::{command, must, root};
use crate::vm::{self, Guest};

/// Emulated and on a busy machine, it takes this long at most.
const SECONDS: u32 = 2400;

/// As whom and at which level, as the guest's script calls it, as the table does, and the level.
const RUNS: [(&str, &str, Level); 6] = [
    ("L3-root", "L3 root", Level::L3),
    ("L2-root", "L2 root", Level::L2),
    ("L1-root", "L1 root", Level::L1),
    ("L3-user", "L3 user", Level::L3),
    ("L2-user", "L2 user", Level::L2),
    ("L1-user", "L1 user", Level::L1),
];

/// Makes the attacks at these levels in the machines with these releases.
pub(super) fn run(creel: &Path, suites: &[&'static str], levels: &[Level]) -> Result<()> {
    vm::install()?;
    let mut failed = Vec::new();
    for suite in suites {
        if let Err(error) = one(creel, suite, levels) {
            println!("{error:#}");
            failed.push(*suite);
        }
    }
    ensure!(failed.is_empty(), "the sandbox does not hold on Debian {}", failed.join(", "));
    Ok(())
}

/// Puts the tests of project quota into the share: the kernels of machines that build have none as a rule.
fn quota(creel: &Path, share: &Path) -> Result<()> {
    let folder = share.join("quota");
    fs::create_dir_all(&folder)?;
    let programs = programs::build(&["--package", "creel", "--test", "quota"])?;
    must(&mut command("cargo", &["build", "--package", "creel", "--example", "test-worker"]))?;
    let program =
        programs.iter().find(|program| program.name == "quota").context("cargo built no test of quota")?;
    let worker = creel.with_file_name("examples").join("test-worker");
    for (from, name) in [(creel, "creel"), (&worker, "test-worker"), (&program.file, "tests")] {
        let to = folder.join(name);
        fs::copy(from, &to).with_context(|| format!("{} is not built", from.display()))?;
        // The emulated disk is slow; without debugging information there is a tenth of it. It is only smaller if this works.
        let _as_large = command("strip", &[&to.to_string_lossy()]).status();
    }
    // Made here: the guest has only what every Debian has.
    for (kind, make) in vm::DISKS {
        let file = folder.join(kind);
        fs::File::create(&file)?.set_len(320 << 20)?;
        let [program, options @ ..] = make else { continue };
        must(command(program, options).arg(&file))?;
    }
    Ok(())
}

fn one(creel: &Path, suite: &'static str, levels: &[Level]) -> Result<()> {
    let share = root().join("target/vm").join(format!("share-redteam-{suite}"));
    if share.exists() {
        fs::remove_dir_all(&share)?;
    }
    fs::create_dir_all(&share)?;
    stage(creel, &share)?;
    fs::copy(root().join("tests/vm/redteam.sh"), share.join("redteam.sh"))?;
    fs::copy(root().join("packaging/apparmor/creel"), share.join("apparmor"))?;
    quota(creel, &share)?;
    let begun = Instant::now();
    let runs = || RUNS.into_iter().filter(|(.., level)| levels.contains(level));
    let names: Vec<_> = runs().map(|(file, ..)| file).collect();
    let script = format!("bash /mnt/share/redteam.sh {}", names.join(" "));
    let ended = Guest::of(suite)?.run(&share, &script, SECONDS);
    let mut reports = Vec::new();
    for (file, name, level) in runs() {
        let path = share.join("out").join(format!("{file}.json"));
        // The guest itself says why a level cannot be had on its kernel, and fails when that is not true.
        if path.exists() {
            // The same with limits on the workspace.
            let who = if name.ends_with("root") { "root" } else { "user" };
            let limited = !share.join("out").join(format!("unlimited-{who}")).exists();
            reports.push(Report::read(name, Some(level), limited, &path)?);
        }
    }
    ensure!(!reports.is_empty(), "the guest left no result");
    let seconds = begun.elapsed().as_secs();
    println!("\nDebian {suite}, in {seconds} s\n{}", report::table(&reports)?);
    report::judge(&reports)?;
    ended
}
