//! Rows that need a machine of their own: the same kind of tests, in a virtual machine, as root and as an ordinary user.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::programs::{self, Program};
use super::report::{Outcome, Verdict, not_here};
use crate::run::target;
use crate::shell::command;
use crate::vm;

/// What the whole machine may take.
const LONGEST_S: u32 = 1500;

/// Runs one test and notes how it ended.
const SCRIPT: &str = r#"#!/bin/bash
cd /mnt/share && mkdir -p out /opt/creel && cp creel test-worker faults_vm /opt/creel && chmod -R 755 /opt/creel
while read -r user test; do
  began=$SECONDS
  systemd-run -q --wait --pipe -p Delegate=yes -p User="$user" -p TasksMax=2000 -p RuntimeMaxSec=240 -E CREEL_TEST_PROGRAMS=/opt/creel \
    -E PATH="$PATH" /opt/creel/faults_vm --exact "$test" --nocapture </dev/null >"out/$user-$test.log" 2>&1
  echo "$user $test $? $((SECONDS - began))" >>out/verdicts
done <tests
"#;

/// Who runs tests of a module.
fn users(test: &str) -> &'static [&'static str] {
    match test.split("::").next() {
        Some("root") => &["root"],
        _ => &["root", "alice"],
    }
}

/// Runs them all; where there can be no such machine, each outcome says why.
pub(crate) fn run() -> Result<Vec<Outcome>> {
    let programs = programs::build(&["--package", "creel", "--test", "faults_vm"])?;
    let program = programs.first().context("cargo built no faults_vm")?;
    let tests = programs::tests(program)?;
    let wanted: Vec<(&str, &str)> =
        tests.iter().flat_map(|test| users(test).iter().map(move |user| (*user, test.as_str()))).collect();
    // The older one: it boots in half the time.
    let guest = match vm::install().and_then(|()| vm::Guest::of(vm::SUITES[0])) {
        Ok(guest) => guest,
        Err(why) => {
            return Ok(wanted
                .iter()
                .map(|(user, test)| unmeasured(user, test, &format!("{why:#}")))
                .collect());
        }
    };
    let share = target().join("vm/faults");
    let _absent = fs::remove_dir_all(&share);
    fs::create_dir_all(&share)?;
    fill(&share, program, &wanted)?;
    // Whatever became of the machine: what was told before counts, and what was not counts too.
    let end = match guest.run(&share, "bash /mnt/share/run.sh", LONGEST_S) {
        Ok(()) => "in order".to_owned(),
        Err(error) => format!("{error:#}"),
    };
    let verdicts = fs::read_to_string(share.join("out/verdicts")).unwrap_or_default();
    let outcomes: Vec<Outcome> =
        wanted.iter().map(|(user, test)| outcome(&share, &verdicts, user, test, &end)).collect();
    for outcome in &outcomes {
        println!("{outcome}");
    }
    Ok(outcomes)
}

fn fill(share: &Path, program: &Program, wanted: &[(&str, &str)]) -> Result<()> {
    let built = target().join("debug");
    let files = [
        (built.join("creel"), "creel"),
        (built.join("examples/test-worker"), "test-worker"),
        (program.file.clone(), "faults_vm"),
    ];
    for (from, name) in files {
        let to = share.join(name);
        fs::copy(&from, &to).with_context(|| format!("{} is not built", from.display()))?;
        // The emulated disk is slow; without debugging information there is a tenth of it. It is only smaller if this works.
        let _as_large = command("strip", &[&to.to_string_lossy()]).status();
    }
    let mut list = String::new();
    for (user, test) in wanted {
        writeln!(list, "{user} {test}")?;
    }
    fs::write(share.join("tests"), list)?;
    fs::write(share.join("run.sh"), SCRIPT)?;
    Ok(())
}

fn unmeasured(user: &str, test: &str, why: &str) -> Outcome {
    let verdict = Verdict::NotMeasured(format!("it needs a virtual machine, and there is none: {why}"));
    Outcome { test: test.to_owned(), place: place(user), verdict, took: Duration::ZERO }
}

fn place(user: &str) -> String {
    match user {
        "root" => "VM as root".to_owned(),
        _ => "VM as a user".to_owned(),
    }
}

fn outcome(share: &Path, verdicts: &str, user: &str, test: &str, end: &str) -> Outcome {
    let said = fs::read_to_string(share.join(format!("out/{user}-{test}.log"))).unwrap_or_default();
    let line = verdicts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let found = line.into_iter().find(|words| words.get(..2) == Some(&[user, test]));
    let code = found.as_ref().and_then(|words| words.get(2)?.parse::<i32>().ok());
    let seconds = found.as_ref().and_then(|words| words.get(3)?.parse().ok()).unwrap_or(0);
    let verdict = match (code, not_here(&said)) {
        (Some(0), Some(why)) => Verdict::NotMeasured(why),
        (Some(0), None) if said.contains("1 passed") => Verdict::Passed,
        (Some(code), _) => Verdict::Failed(format!("exit code {code}\n{said}")),
        (None, _) => {
            Verdict::Failed(format!("the virtual machine ended ({end}) before this test did\n{said}"))
        }
    };
    Outcome { test: test.to_owned(), place: place(user), verdict, took: Duration::from_secs(seconds) }
}
