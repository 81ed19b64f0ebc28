//! The table for people, and Creel's lines of it as figures.

use std::fmt::Write as _;

use super::Row;
use crate::figure::{Figure, figure};

type Get = fn(&Row) -> Option<f64>;

/// What is shown: words, value, digits.
const LINES: [(&str, Get, usize); 22] = [
    ("RSS at 10, MiB", |row| row.rss10_mib, 1),
    ("RSS at 100, MiB", |row| row.rss100_mib, 1),
    ("PSS at 100, MiB", |row| row.pss100_mib, 1),
    ("processes", |row| row.processes.map(|n| n as f64), 0),
    ("start of 10, ms", |row| row.start10_ms, 0),
    ("start of 100, ms", |row| row.start100_ms, 0),
    ("kill → exec min, ms", |row| row.kill_min_ms, 2),
    ("kill → exec p50, ms", |row| row.kill_p50_ms, 2),
    ("kill → exec p99, ms", |row| row.kill_p99_ms, 2),
    ("100 killed → all back, ms", |row| row.mass_ms, 0),
    ("idle: switches a second", |row| row.idle_switches, 2),
    ("idle: ms of CPU a second", |row| row.idle_cpu_ms, 3),
    ("flood, MB/s", |row| row.flood_mb_s, 0),
    ("flood: lines logged", |row| row.flood_logged.map(|n| n as f64), 0),
    ("flood: lines counted", |row| row.flood_counted.map(|n| n as f64), 0),
    ("flood: lines lost", |row| row.flood_lost.map(|n| n as f64), 0),
    ("flood: CPU, s", |row| row.flood_cpu_s, 2),
    ("100 MiB line: peak RSS, MiB", |row| row.long_line_peak_mib, 1),
    ("killed: children left of 20", |row| row.left_after_kill.map(|n| n as f64), 0),
    ("daemons left of 1", |row| row.left_daemons.map(|n| n as f64), 0),
    ("upgrade with 100, ms", |row| row.upgrade_ms, 1),
    ("upgrade: children lost", |row| row.upgrade_lost.map(|n| n as f64), 0),
];

/// A line for each measure, a column for each supervisor; then what two of them come to beside the floor.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut line = |what: &str, cells: Vec<String>| {
        let _never = write!(text, "{what:<28}");
        for cell in cells {
            let _never = write!(text, "{cell:>18}");
        }
        text.push('\n');
    };
    line("", rows.iter().map(|row| row.name.clone()).collect());
    for (what, get, digits) in LINES {
        line(what, rows.iter().map(|row| cell(get(row), digits)).collect());
    }
    if let Some(floor) = rows.first() {
        let ratios: [(&str, Get); 4] = [
            ("RSS at 100 / first", |row| row.rss100_mib),
            ("kill → exec p50 / first", |row| row.kill_p50_ms),
            ("all back / first", |row| row.mass_ms),
            ("start of 100 / first", |row| row.start100_ms),
        ];
        for (what, get) in ratios {
            let ratio = |row: &Row| Some(get(row)? / get(floor)?);
            line(what, rows.iter().map(|row| cell(ratio(row), 2)).collect());
        }
    }
    for row in rows {
        for failed in &row.failed {
            let _never = writeln!(text, "{}: not measured: {failed}", row.name);
        }
    }
    text
}

fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// What the specification promises about Creel.
pub(super) fn figures(rows: &[Row]) -> Vec<Figure> {
    let promises: [(&str, Get, &'static str, f64, f64); 8] = [
        ("supervisor RSS with 100 workers", |row| row.rss100_mib, "MiB", 6.0, 6.0),
        ("kill -9 of a worker → its successor's first act, p50", |row| row.kill_p50_ms, "ms", 3.0, 8.0),
        ("100 workers killed at once → all back", |row| row.mass_ms, "ms", 300.0, 300.0),
        ("start of 100 workers", |row| row.start100_ms, "ms", 400.0, 400.0),
        ("100 MiB without a newline: peak RSS", |row| row.long_line_peak_mib, "MiB", 8.0, 8.0),
        (
            "flood of 1 M lines: lost without a trace",
            |row| row.flood_lost.map(|n| n as f64),
            "lines",
            0.0,
            0.0,
        ),
        ("upgrade in place with 100 workers", |row| row.upgrade_ms, "ms", 20.0, 20.0),
        ("idle with 100 workers: context switches a second", |row| row.idle_switches, "", 1.0, 1.0),
    ];
    let mut figures = Vec::new();
    for row in rows.iter().filter(|row| row.name.starts_with("creel")) {
        let off = row.name.ends_with("off");
        for (what, get, unit, target_off, target) in promises {
            let Some(value) = get(row) else { continue };
            let target = if off { target_off } else { target };
            figures.push(figure("supervise", what, (value, unit), target).noting(row.name.clone()));
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_a_dash_and_its_reason_is_told() {
        let row = Row {
            name: "s6".into(),
            rss100_mib: Some(37.25),
            failed: vec!["flood: no disk".into()],
            ..Row::default()
        };
        let text = table(&[row]);
        let cells = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown: Vec<String> = text.lines().map(cells).collect();
        assert!(shown.contains(&"RSS at 100, MiB 37.2".to_owned()), "{text}");
        assert!(shown.contains(&"flood, MB/s -".to_owned()), "{text}");
        assert!(text.contains("s6: not measured: flood: no disk"), "{text}");
    }
}
