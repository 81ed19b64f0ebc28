//! Commands that need no gateway.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use creel_kit::TestHome;

use crate::figure::{Figure, figure, percentile};

const SAMPLES: usize = 60;

pub(crate) async fn measure() -> Result<Vec<Figure>> {
    let home = TestHome::new()?;
    let mut figures = Vec::new();
    for args in [["--version"].as_slice(), &["config", "validate"]] {
        let mut samples = Vec::with_capacity(SAMPLES);
        for _ in 0..SAMPLES {
            samples.push(timed(&home, args)?);
        }
        let what = format!("`creel {}`, wall, p50", args.join(" "));
        figures.push(figure("commands", &what, (percentile(&samples, 0.5), "ms"), 10.0).of(SAMPLES));
    }
    Ok(figures)
}

fn timed(home: &TestHome, args: &[&str]) -> Result<Duration> {
    let mut command = home.command("creel");
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let status = command.status()?;
    let took = started.elapsed();
    ensure!(status.success(), "`creel {}` failed: {status}", args.join(" "));
    Ok(took)
}
