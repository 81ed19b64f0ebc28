//! A unit that floods its stderr: every line that the kernel accepted is in the log, or counted as left out.

use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use creel_kit::{TestHome, binaries, until};
use serde_json::json;

use crate::figure::{Figure, figure};

const LINES: u64 = 1_000_000;
const LAST: &str = "flood is over";

/// Whether this process was started as the agent of a home whose programs are ours.
pub(crate) fn is_the_unit() -> bool {
    let name = std::env::args_os().next();
    name.is_some_and(|name| Path::new(&name).file_name().is_some_and(|name| name == "creel-agent"))
}

/// The agent that only writes to stderr, and then waits for the end of its stdin.
pub(crate) fn be_the_unit() -> Result<()> {
    let mut out = BufWriter::with_capacity(64 * 1024, std::io::stderr().lock());
    for n in 0..LINES {
        writeln!(out, "flood line {n}")?;
    }
    out.flush()?;
    // What was left out is told with the next line that fits the budget.
    std::thread::sleep(Duration::from_secs(2));
    writeln!(out, "{LAST}")?;
    out.flush()?;
    drop(out);
    let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
    Ok(())
}

pub(crate) async fn measure() -> Result<Vec<Figure>> {
    let real = binaries::folder()?;
    let programs = tempfile::Builder::new().prefix("creel-flood-").tempdir_in("/tmp")?;
    for name in binaries::NAMES {
        let from = if name == "creel-agent" { std::env::current_exe()? } else { real.join(name) };
        std::fs::copy(from, programs.path().join(name))?;
    }
    let folder = programs.path().to_string_lossy().into_owned();
    let home = TestHome::with_env([("CREEL_LIBEXEC", folder.as_str())])?;
    home.configure(json!({"logging": {"maxFileBytes": "1g", "level": "info"}}))?;
    let creel = home.launch()?;
    let log = until("the flood is over", Duration::from_secs(60), async || {
        let log = home.log("agent:main");
        Ok(log.contains(LAST).then_some(log))
    })
    .await
    .with_context(|| format!("the log has {} lines", home.log("agent:main").lines().count()))?;
    // It never says ready, so its end is not what is looked at here.
    drop_quietly(creel).await?;
    let kept = log.lines().filter(|line| line.contains("flood line ")).count() as u64;
    let counted: u64 = log.lines().filter(|line| !line.contains("flood line ")).filter_map(left_out).sum();
    ensure!(kept > 0, "no line of the flood is in the log");
    let missing = LINES as f64 - kept as f64 - counted as f64;
    let what = "stderr flood: lines neither logged nor counted, of 1 M";
    Ok(vec![
        figure("flood", what, (missing, "lines"), 0.0).noting(format!("{kept} logged, {counted} counted")),
    ])
}

async fn drop_quietly(creel: creel_kit::Creel) -> Result<()> {
    let before = creel.kill_supervisor().await?;
    creel_kit::creel::left_of(&before, Duration::from_secs(2)).await;
    Ok(())
}

/// The number in a line that says how many were left out: `[creel: N lines, M bytes were over …]`.
fn left_out(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("[creel: ")?;
    rest.split_once(" lines")?.0.parse().ok()
}
