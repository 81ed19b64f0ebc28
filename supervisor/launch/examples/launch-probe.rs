//! Prints what isolation this host gives, as `creel doctor` does; with `--time N`, what tool runs cost a supervisor: how long one
//! takes until it has ended, how many there are in a second, and the memory of the first process beside a running one. Stages are
//! forked by a nursery, as a supervisor's are.

use std::fs::File;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use creel_launch::{LaunchError, LaunchSpec, Launching, Role, Stdio};

/// Runs at the same time when they are counted.
const ABREAST: usize = 4;

fn main() -> ExitCode {
    creel_launch::reenter();
    let mut args = std::env::args().skip(1);
    let text = match (args.next().as_deref(), args.next().and_then(|n| n.parse().ok())) {
        (Some("--time"), Some(n)) => timed(n).unwrap_or_else(|e| e.to_string()),
        _ => serde_json::to_string_pretty(&creel_launch::probe_levels()).unwrap_or_default(),
    };
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}

fn timed(rounds: usize) -> Result<String, LaunchError> {
    creel_launch::open_nursery()?;
    let tool = |argv: &[&str]| {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        LaunchSpec::new("tool:time", Role::Tool, argv)
    };
    let spec = tool(&["/usr/bin/true"]);
    let mut ended = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        let unit = Launching::begin(&spec, nothing())?.wait()?;
        let _ = unit.wait();
        ended.push(start.elapsed().as_secs_f64() * 1e3);
    }
    ended.sort_by(f64::total_cmp);
    let at = |share: f64| ended.get((ended.len() as f64 * share) as usize).copied().unwrap_or_default();

    let begun = Instant::now();
    for _ in 0..rounds.div_ceil(ABREAST) {
        let started: Vec<_> =
            (0..ABREAST).map(|_| Launching::begin(&spec, nothing())).collect::<Result<_, _>>()?;
        for launching in started {
            let _ = launching.wait()?.wait();
        }
    }
    let second = (rounds.div_ceil(ABREAST) * ABREAST) as f64 / begun.elapsed().as_secs_f64();

    let sleeper = Launching::begin(&tool(&["/usr/bin/sleep", "60"]), nothing())?.wait()?;
    std::thread::sleep(Duration::from_millis(200));
    let first_kib = proportional(sleeper.pid);
    let _ = sleeper.end();
    let _ = sleeper.wait();
    Ok(format!(
        "{{\"p50_ms\": {:.3}, \"p99_ms\": {:.3}, \"in_a_second\": {second:.1}, \"first_kib\": {first_kib}}}",
        at(0.5),
        at(0.99)
    ))
}

/// Proportional memory of a process, KiB.
fn proportional(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn nothing() -> Stdio {
    let null = || File::options().read(true).write(true).open("/dev/null").map(Into::into);
    match (null(), null(), null()) {
        (Ok(stdin), Ok(stdout), Ok(stderr)) => Stdio { stdin, stdout, stderr },
        _ => std::process::abort(),
    }
}
