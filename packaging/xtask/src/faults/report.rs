//! One verdict for each row.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::rows;

/// What a test prints that finds out that it cannot tell.
const NOT_HERE: &str = "NOT MEASURED HERE: ";

/// Why a test could not tell, in what it printed.
pub(crate) fn not_here(said: &str) -> Option<String> {
    said.lines().find_map(|line| line.split_once(NOT_HERE)).map(|(_, why)| why.to_owned())
}

/// How one test ended.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// Its name.
    pub(crate) test: String,
    /// Where it ran: `host`, `VM as root` …
    pub(crate) place: String,
    /// How.
    pub(crate) verdict: Verdict,
    /// How long it took.
    pub(crate) took: Duration,
}

/// A verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As expected.
    Passed,
    /// Not, with what it said last.
    Failed(String),
    /// It cannot be told here, and why.
    NotMeasured(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match &self.verdict {
            Verdict::Passed => "passed",
            Verdict::Failed(_) => "FAILED",
            Verdict::NotMeasured(_) => "NOT MEASURED",
        };
        write!(f, "{word:>12} {:6.1} s  {} ({})", self.took.as_secs_f64(), self.test, self.place)
    }
}

/// The table.
#[derive(Debug)]
pub(crate) struct Report {
    /// Rows with their outcomes.
    rows: Vec<(rows::Row, Vec<Outcome>)>,
}

impl Report {
    /// Sorts outcomes by row.
    pub(crate) fn new(outcomes: Vec<Outcome>) -> Self {
        let mut by_row: BTreeMap<u32, Vec<Outcome>> = BTreeMap::new();
        for outcome in outcomes {
            if let Some(number) = rows::of(&outcome.test) {
                by_row.entry(number).or_default().push(outcome);
            }
        }
        Self { rows: rows::all().map(|row| (row, by_row.remove(&row.number).unwrap_or_default())).collect() }
    }

    /// The same without the rows that none of them is of.
    pub(crate) fn of_some(outcomes: Vec<Outcome>) -> Self {
        let Self { mut rows } = Self::new(outcomes);
        rows.retain(|(_, outcomes)| !outcomes.is_empty());
        Self { rows }
    }

    /// Numbers of rows of which a test failed, or that no test is named after.
    pub(crate) fn failed(&self) -> Vec<u32> {
        let bad = |outcomes: &[Outcome]| {
            outcomes.is_empty() || outcomes.iter().any(|one| matches!(one.verdict, Verdict::Failed(_)))
        };
        self.rows.iter().filter(|(_, outcomes)| bad(outcomes)).map(|(row, _)| row.number).collect()
    }

    /// Numbers of rows of which something could not be told here.
    pub(crate) fn unmeasured(&self) -> Vec<u32> {
        let open = |one: &Outcome| matches!(one.verdict, Verdict::NotMeasured(_));
        self.rows.iter().filter(|(_, all)| all.iter().any(open)).map(|(row, _)| row.number).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "row  verdict       tests  where                 fault")?;
        for (row, outcomes) in &self.rows {
            let mut places: Vec<&str> = outcomes.iter().map(|one| one.place.as_str()).collect();
            places.sort_unstable();
            places.dedup();
            let places = places.join(", ");
            writeln!(
                f,
                "{:>3}  {:<12} {:>6}  {places:<20}  {}",
                row.number,
                word(outcomes),
                outcomes.len(),
                row.fault
            )?;
        }
        for (row, outcomes) in &self.rows {
            for one in outcomes {
                match &one.verdict {
                    Verdict::Passed => {}
                    Verdict::Failed(said) => {
                        writeln!(f, "\nrow {} FAILED: {} ({})\n{said}", row.number, one.test, one.place)?;
                    }
                    Verdict::NotMeasured(why) => {
                        writeln!(
                            f,
                            "row {} NOT MEASURED HERE: {} ({}): {why}",
                            row.number, one.test, one.place
                        )?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn word(outcomes: &[Outcome]) -> &'static str {
    let any = |is: fn(&Verdict) -> bool| outcomes.iter().any(|one| is(&one.verdict));
    if outcomes.is_empty() {
        "NO TEST"
    } else if any(|verdict| matches!(verdict, Verdict::Failed(_))) {
        "FAILED"
    } else if any(|verdict| matches!(verdict, Verdict::NotMeasured(_))) {
        "NOT MEASURED"
    } else {
        "passed"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(test: &str, verdict: Verdict) -> Outcome {
        Outcome { test: test.to_owned(), place: "host".to_owned(), verdict, took: Duration::ZERO }
    }

    #[test]
    fn no_row_is_forgotten() {
        let all = |n: u32| outcome(&format!("fault_{n:02}_x"), Verdict::Passed);
        assert!(Report::new((1..=57).map(all).collect()).failed().is_empty());
        let mut some: Vec<Outcome> = (1..=56).map(all).collect();
        some.push(outcome("x::fault_03_y", Verdict::Failed("because".into())));
        some.push(outcome("x::fault_04_y", Verdict::NotMeasured("no machine".into())));
        let report = Report::new(some);
        assert_eq!((report.failed(), report.unmeasured()), (vec![3, 57], vec![4]));
        let text = report.to_string();
        assert!(text.contains(" 57  NO TEST") && text.contains("because"), "{text}");
        assert!(text.contains("row 4 NOT MEASURED HERE"), "{text}");
    }
}
