//! `cargo xtask test --suite store`: one conformance suite for every store, with one line for each, then the simulation of
//! several gateways.

use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::peers::install_postgres;
use crate::shell::{command, show};

/// The parts: what each is called and which tests belong to it.
const PARTS: [(&str, &str); 4] = [
    ("memory", "store::conformance::memory::"),
    ("sqlite", "store::conformance::sqlite::"),
    ("postgres", "store::conformance::postgres::"),
    ("servers", "store::postgres::"),
];

/// Several gateways on the memory store, and how many histories are tried.
const SIMULATION: &str = "store::simulation::";
const SEEDS: &str = "1500";

pub(crate) fn run() -> Result<()> {
    install_postgres()?;
    let mut failed = Vec::new();
    let mut lines = Vec::new();
    for (name, tests) in PARTS {
        let line = part(name, tests)?;
        if !line.held {
            failed.push(name);
        }
        lines.push(line.text);
    }
    let line = part("simulation", SIMULATION)?;
    if !line.held {
        failed.push("the simulation");
    }
    lines.push(line.text);
    println!("\n{}", lines.join("\n"));
    if failed.is_empty() { Ok(()) } else { bail!("the store suite does not hold for {}", failed.join(", ")) }
}

struct Line {
    held: bool,
    text: String,
}

fn part(name: &str, tests: &str) -> Result<Line> {
    let mut run = command(
        "cargo",
        &["test", "--quiet", "--package", "creel-gateway", "--lib", tests, "--", "--nocapture"],
    );
    if tests == SIMULATION && std::env::var_os("CREEL_SEEDS").is_none() {
        run.env("CREEL_SEEDS", SEEDS);
    }
    println!("$ {}", show(&run));
    let begun = Instant::now();
    let output = run.output().context("cargo cannot be started")?;
    let seconds = begun.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stdout);
    let (passed, failed) = counts(&said).unwrap_or_default();
    let held = output.status.success() && passed > 0;
    if !held {
        println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    }
    let verdict = if held { "holds" } else { "DOES NOT HOLD" };
    let tried = said.lines().find(|line| line.contains(" seeds, ")).map(|line| line.trim_start_matches('.'));
    let tried = tried.map(|line| format!("; {line}")).unwrap_or_default();
    let text = format!(
        "store {name:<10} {verdict}: {passed} tests passed, {failed} failed, {seconds:.1} s with the build{tried}"
    );
    Ok(Line { held, text })
}

/// Tests that passed and failed, by the summary of cargo's runner.
fn counts(said: &str) -> Option<(u32, u32)> {
    let summary = said.lines().rev().find(|line| line.starts_with("test result:"))?;
    let number = |word: &str| {
        let parts = summary.split([';', '.']).map(str::trim);
        parts.filter_map(|part| part.strip_suffix(word)).find_map(|part| part.trim().parse().ok())
    };
    Some((number("passed")?, number("failed")?))
}

#[cfg(test)]
mod tests {
    use super::counts;

    #[test]
    fn the_summary_of_a_run_is_read() {
        let said = "\nrunning 2 tests\n..\ntest result: ok. 28 passed; 1 failed; 0 ignored; 0 measured; 170 filtered out\n";
        assert_eq!(counts(said), Some((28, 1)));
        assert_eq!(counts("error: could not compile"), None);
    }
}
