//! What came of the attacks, and which of them may work.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::Level;
use crate::shell::root;

/// How many attacks there are, beside the controls.
pub(super) const ATTACKS: usize = 104;

/// First letters of the probes.
const FAMILIES: [(char, &str); 10] = [
    ('F', "reading"),
    ('W', "writing"),
    ('L', "links, open files"),
    ('N', "network"),
    ('S', "other processes"),
    ('R', "resources"),
    ('D', "outliving the run"),
    ('K', "kernel surface"),
    ('T', "terminal"),
    ('X', "execution, surroundings"),
];

/// The outcome of one run of the suite.
pub(super) struct Report {
    /// Level and user.
    name: String,
    level: Option<Level>,
    /// Whether the workspace was bounded, where the level can do that.
    limited: bool,
    results: BTreeMap<String, Verdict>,
}

#[derive(Deserialize)]
struct File {
    results: BTreeMap<String, Verdict>,
}

#[derive(Deserialize)]
struct Verdict {
    label: String,
    title: String,
    d: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    levels: Vec<String>,
    /// Where the kernel cannot bound a workspace.
    #[serde(default)]
    unlimited: Vec<String>,
    why: String,
}

impl Report {
    pub(super) fn read(name: &str, level: Option<Level>, limited: bool, path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("{name}: the suite left no result"))?;
        let File { results } = serde_json::from_str(&text)?;
        Ok(Self { name: name.to_owned(), level, limited, results })
    }

    fn of(&self, label: &str) -> impl Iterator<Item = (&str, &Verdict)> {
        self.results.iter().filter(move |(_, v)| v.label == label).map(|(id, v)| (id.as_str(), v))
    }

    pub(super) fn worked(&self) -> impl Iterator<Item = &str> {
        self.of("FAIL").map(|(id, _)| id)
    }

    fn attacks(&self) -> impl Iterator<Item = (&str, &Verdict)> {
        self.results.iter().filter(|(id, _)| !id.starts_with('C')).map(|(id, v)| (id.as_str(), v))
    }
}

fn exceptions() -> Result<BTreeMap<String, Exception>> {
    let text = fs::read_to_string(root().join("tests/redteam/exceptions.json"))?;
    serde_json::from_str(&text).context("tests/redteam/exceptions.json")
}

/// Denied of all, by family, and below it what works and why.
pub(super) fn table(reports: &[Report]) -> Result<String> {
    let mut lines = vec![format!("{:<26}", "denied")];
    let mut cells: Vec<Vec<String>> = vec![reports.iter().map(|report| report.name.clone()).collect()];
    let count = |report: &Report, family: Option<char>| {
        let of = |(id, _): &(&str, &Verdict)| family.is_none_or(|letter| id.starts_with(letter));
        let denied = report.attacks().filter(of).filter(|(_, v)| v.label == "PASS").count();
        format!("{denied}/{}", report.attacks().filter(of).count())
    };
    for (letter, what) in FAMILIES {
        lines.push(format!("{:<26}", format!("{letter} {what}")));
        cells.push(reports.iter().map(|report| count(report, Some(letter))).collect());
    }
    lines.push(format!("{:<26}", "all"));
    cells.push(reports.iter().map(|report| count(report, None)).collect());
    lines.push(format!("{:<26}", "controls"));
    cells.push(reports.iter().map(|report| format!("{}/5", report.of("ok").count())).collect());
    for (line, cells) in lines.iter_mut().zip(cells) {
        for cell in cells {
            line.push_str(&format!("{cell:>14}"));
        }
    }
    let exceptions = exceptions()?;
    let mut seen = BTreeMap::<&str, (Vec<&str>, &Verdict)>::new();
    for report in reports {
        for (id, verdict) in report.of("FAIL") {
            seen.entry(id).or_insert((Vec::new(), verdict)).0.push(&report.name);
        }
    }
    lines.push("\nwhat works:".to_owned());
    for (id, (names, verdict)) in seen {
        let why = exceptions.get(id).map_or("NOT ON THE REVIEWED LIST", |e| e.why.as_str());
        lines.push(format!("  {id} {} ({})\n      {why}", verdict.title, names.join(", ")));
    }
    let quiet: Vec<_> =
        reports.iter().flat_map(|r| r.of("n/a").map(|(id, v)| format!("{id} {}", v.title))).collect();
    if let Some(first) = quiet.first() {
        lines.push(format!("no verdict: {first}"));
    }
    Ok(lines.join("\n"))
}

/// Fails when something works that is not on the list, or when a verdict says nothing.
pub(super) fn judge(reports: &[Report]) -> Result<()> {
    let exceptions = exceptions()?;
    let mut faults = Vec::new();
    for report in reports {
        let level = report.level.map_or("none", Level::name);
        let listed = |id: &str| {
            let has = |list: &[String]| list.iter().any(|l| l == level);
            exceptions.get(id).is_some_and(|e| has(&e.levels) || (!report.limited && has(&e.unlimited)))
        };
        for (id, verdict) in report.of("FAIL").filter(|(id, _)| !listed(id)) {
            faults.push(format!("{}: {id} {} works: {}", report.name, verdict.title, verdict.d));
        }
        for (id, verdict) in report.of("BAD") {
            faults.push(format!("{}: {id} {} says nothing: {}", report.name, verdict.title, verdict.d));
        }
        ensure!(report.attacks().count() == ATTACKS, "{}: not all attacks were made", report.name);
        for (id, _) in report.of("PASS").filter(|(id, _)| listed(id)) {
            println!(
                "{}: {id} was denied this time, though tests/redteam/exceptions.json lists {level} for it",
                report.name
            );
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    bail!("The sandbox does not hold.\n  {}", faults.join("\n  "))
}
