//! Prints what isolation this host gives, as `creel doctor` does; with `--time N`, how long N launches of `true` take as
//! seen by a supervisor: until the program runs, and until it has ended.

use std::fs::File;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use creel_launch::{LaunchError, LaunchSpec, Launching, Role, Stdio};

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
    let mut lines = Vec::new();
    for role in [Role::Tool, Role::Agent] {
        let spec = LaunchSpec::new("tool:time", role, vec!["/usr/bin/true".into()]);
        let (mut running, mut ended) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let start = Instant::now();
            let unit = Launching::begin(&spec, nothing())?.wait()?;
            running.push(start.elapsed().as_secs_f64() * 1e3);
            let _ = unit.wait();
            ended.push(start.elapsed().as_secs_f64() * 1e3);
        }
        lines.push(format!("{}: runs after {}, ended after {}", role.name(), spread(running), spread(ended)));
    }
    Ok(lines.join("\n"))
}

fn nothing() -> Stdio {
    let null = || File::options().read(true).write(true).open("/dev/null").map(Into::into);
    match (null(), null(), null()) {
        (Ok(stdin), Ok(stdout), Ok(stderr)) => Stdio { stdin, stdout, stderr },
        _ => std::process::abort(),
    }
}

fn spread(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
    format!("p50 {:.2} p99 {:.2} ms", at(0.5), at(0.99))
}
