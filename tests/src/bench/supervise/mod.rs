//! Creel beside s6, runit, supervisord and the tokio floor: the same child, the same tests, one run.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Serialize;

mod rig;
mod start;
mod table;
mod trial;

use crate::figure::Figure;
use rig::Kind;

/// What one supervisor was measured at. What it cannot do, or is not asked to, is absent.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    /// The supervisor and its version.
    pub name: String,
    /// Resident memory of the supervisor's side with 10 and with 100 children, in MiB: every process but the children and
    /// Creel's gateway and egress.
    pub rss10_mib: Option<f64>,
    pub rss100_mib: Option<f64>,
    /// The same shared out among its users.
    pub pss100_mib: Option<f64>,
    /// Processes of the supervisor's side.
    pub processes: Option<usize>,
    /// From the start of the supervisor to the first act of the last child, in milliseconds.
    pub start10_ms: Option<f64>,
    pub start100_ms: Option<f64>,
    /// From `kill -9` of one of 100 children to the first act of its successor, in milliseconds.
    pub kill_min_ms: Option<f64>,
    pub kill_p50_ms: Option<f64>,
    pub kill_p99_ms: Option<f64>,
    /// From `kill -9` of 100 children to the first act of the last successor, in milliseconds.
    pub mass_ms: Option<f64>,
    /// Context switches a second of the supervisor's side while 100 children do nothing.
    pub idle_switches: Option<f64>,
    /// Processor time of it in that time, in milliseconds a second.
    pub idle_cpu_ms: Option<f64>,
    /// What a flooding child got rid of, in MB/s.
    pub flood_mb_s: Option<f64>,
    /// Its lines in the log, lines that the log says were left out, and lines of which there is no trace.
    pub flood_logged: Option<u64>,
    pub flood_counted: Option<u64>,
    pub flood_lost: Option<i64>,
    /// Processor time of the supervisor's side for it, in seconds.
    pub flood_cpu_s: Option<f64>,
    /// The highest resident memory while a child writes 100 MiB without a newline.
    pub long_line_peak_mib: Option<f64>,
    /// Children that live a second after the supervisor was killed, of 20.
    pub left_after_kill: Option<usize>,
    /// Daemons of a killed child that live on, of 1.
    pub left_daemons: Option<usize>,
    /// How long the supervisor was away while it became another run of its program, with 100 children, in milliseconds.
    pub upgrade_ms: Option<f64>,
    /// Children that did not live through it.
    pub upgrade_lost: Option<usize>,
    /// What could not be measured, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
}

pub(crate) fn measure() -> Result<Vec<Figure>> {
    let wanted = std::env::var("CREEL_BENCH_KINDS").unwrap_or_default();
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        if !wanted.is_empty() && !wanted.split(',').any(|word| word == kind.key()) {
            continue;
        }
        eprint_line(&format!("measuring {} …", kind.key()));
        rows.push(trial::row(kind));
        // Everything so far: whoever ends it early has that.
        eprint_line(&table::table(&rows));
    }
    let path = results();
    std::fs::create_dir_all(path.parent().context("the results lie in no folder")?)?;
    std::fs::write(&path, serde_json::to_string_pretty(&rows)?)?;
    eprint_line(&format!("written to {}", path.display()));
    Ok(table::figures(&rows))
}

/// Beside the build: `target/bench/supervise.json`.
fn results() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.ancestors().nth(2).map_or_else(PathBuf::new, |target| target.join("bench/supervise.json"))
}

/// Stdout is one JSON object a line; the table is for people.
fn eprint_line(text: &str) {
    let _nobody_reads = std::io::Write::write_all(&mut std::io::stderr(), format!("{text}\n").as_bytes());
}
