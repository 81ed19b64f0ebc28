//! `cargo xtask test --suite faults`: every row of the fault matrix, with a verdict each.

use anyhow::{Result, bail};

use crate::run;

mod host;
pub(crate) mod programs;
mod report;
mod rows;
mod vm;

use report::Report;

/// The packages whose tests may be named after a row.
const PACKAGES: [&str; 6] = ["--package", "creel", "--package", "creel-launch", "--package", "creel-tests"];

/// Runs them all and prints the table.
pub(crate) fn run(allow_unmeasured: bool) -> Result<()> {
    run::build(false)?;
    let mut tests = Vec::new();
    for program in programs::build(&PACKAGES)? {
        let names = programs::tests(&program)?;
        tests.extend(names.into_iter().map(|name| (program.clone(), name)));
    }
    tests.sort_by_key(|(_, name)| rows::of(name));
    let mut outcomes = host::run(tests)?;
    outcomes.extend(vm::run()?);
    judge(&Report::new(outcomes), allow_unmeasured)
}

/// Runs only those that need a virtual machine.
pub(crate) fn run_in_vm(allow_unmeasured: bool) -> Result<()> {
    run::build(false)?;
    let outcomes = vm::run()?;
    if outcomes.is_empty() {
        bail!("no test of a row was found that needs a virtual machine");
    }
    judge(&Report::of_some(outcomes), allow_unmeasured)
}

fn judge(report: &Report, allow_unmeasured: bool) -> Result<()> {
    println!("\n{report}");
    let (failed, unmeasured) = (report.failed(), report.unmeasured());
    if !failed.is_empty() {
        bail!("rows {failed:?} of the fault matrix do not hold, or no test is named after them");
    }
    if !unmeasured.is_empty() && !allow_unmeasured {
        bail!(
            "rows {unmeasured:?} of the fault matrix could not be measured here (--allow-unmeasured lets that pass)"
        );
    }
    Ok(())
}
