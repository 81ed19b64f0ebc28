//! Tests on this machine: each in a process of its own, a few at a time, none without an end.

use std::collections::VecDeque;
use std::fs::File;
use std::process::{Child, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::programs::Program;
use super::report::{Outcome, Verdict, not_here};
use crate::run::target;
use crate::shell::command;

/// What one test may take. Each has deadlines of its own that come first.
const LONGEST: Duration = Duration::from_secs(240);

/// Runs tests and says how each ended. What they printed is in `target/faults`.
pub(crate) fn run(tests: Vec<(Program, String)>) -> Result<Vec<Outcome>> {
    let folder = target().join("faults");
    std::fs::create_dir_all(&folder)?;
    let queue = Mutex::new(VecDeque::from(tests));
    let outcomes = Mutex::new(Vec::new());
    // Most of the time a test waits for processes.
    let at_once = std::thread::available_parallelism().map_or(2, usize::from) + 1;
    let work = || -> Result<()> {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some((program, test)) = next else { return Ok(()) };
            let outcome = one(&program, &test, &folder)?;
            println!("{outcome}");
            outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| anyhow::bail!("a test runner broke")))
    })?;
    Ok(outcomes.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn one(program: &Program, test: &str, folder: &std::path::Path) -> Result<Outcome> {
    let path = folder.join(format!("{}-{}.log", program.name, test.replace("::", "-")));
    let log = File::create(&path)?;
    let began = Instant::now();
    let child = command(&program.file.to_string_lossy(), &["--exact", test, "--nocapture"])
        .current_dir(&program.folder)
        .env("CARGO_MANIFEST_DIR", &program.folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("{} cannot be run", program.file.display()))?;
    let passed = ended(child)?;
    let said = std::fs::read_to_string(&path).unwrap_or_default();
    let verdict = match (passed, not_here(&said)) {
        (Some(true), Some(why)) => Verdict::NotMeasured(why),
        (Some(true), None) if said.contains("1 passed") => Verdict::Passed,
        (Some(_), _) => Verdict::Failed(last_lines(&said)),
        (None, _) => {
            Verdict::Failed(format!("It did not end within {} s.\n{}", LONGEST.as_secs(), last_lines(&said)))
        }
    };
    Ok(Outcome { test: test.to_owned(), place: "host".to_owned(), verdict, took: began.elapsed() })
}

fn ended(mut child: Child) -> Result<Option<bool>> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        if began.elapsed() > LONGEST {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("at ")).collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}
