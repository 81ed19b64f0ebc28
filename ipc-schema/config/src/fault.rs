//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;
use std::path::PathBuf;

use crate::node::{MAX_DEPTH, Mark, Node, Path, Step};
use crate::sources::Sources;

/// One thing that is wrong. `what` says it, `fix` says what to write instead.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Where it stands.
    pub mark: Mark,
    /// The keys on the way to it, when they are known before the tree exists; otherwise found by the mark.
    pub path: Option<Vec<Step>>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub fix: String,
}

impl Fault {
    /// Tables and lists within one another without end.
    pub(crate) fn too_deep(mark: Mark) -> Self {
        Self {
            mark,
            path: None,
            what: format!("this is nested more than {MAX_DEPTH} levels deep"),
            fix: "write it flatter".into(),
        }
    }
}

/// One fault, ready to be shown: `file:line:column: key.path: what is wrong; what to do`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Complaint {
    /// The file it stands in.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The key path, empty when the text could not be read at all.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file.display(), self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}; {}", self.what, self.fix)
    }
}

/// Complaints beyond this number are counted and not shown.
pub const MAX_COMPLAINTS: usize = 100;

/// Everything that is wrong with a configuration, in reading order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.list, *.more))]
pub struct Complaints {
    /// The first [`MAX_COMPLAINTS`] of them; never empty.
    pub list: Vec<Complaint>,
    /// How many more there are.
    pub more: usize,
}

fn lines(list: &[Complaint], more: usize) -> String {
    let mut lines: Vec<String> = list.iter().map(ToString::to_string).collect();
    if more > 0 {
        lines.push(format!("… and {more} more"));
    }
    lines.join("\n")
}

impl Complaints {
    /// Puts faults in reading order, drops repetitions, and gives each its file, line, column and key path.
    pub fn locate(mut faults: Vec<Fault>, tree: &Node, sources: &Sources) -> Self {
        faults.sort_by(|a, b| (a.mark, &a.what).cmp(&(b.mark, &b.what)));
        faults.dedup_by(|a, b| (a.mark, &a.what) == (b.mark, &b.what));
        let more = faults.len().saturating_sub(MAX_COMPLAINTS);
        faults.truncate(MAX_COMPLAINTS);
        let complain = |fault: Fault| {
            let (line, column) = sources.line_column(fault.mark);
            let path = fault.path.or_else(|| tree.path_to(fault.mark)).unwrap_or_default();
            Complaint {
                file: sources.get(fault.mark.file).map(|source| source.path.clone()).unwrap_or_default(),
                line,
                column,
                path: Path(&path).to_string(),
                what: fault.what,
                fix: fault.fix,
            }
        };
        Self { list: faults.into_iter().map(complain).collect(), more }
    }
}

/// The known name that the operator most likely meant.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if given.len() > 64 {
        return None;
    }
    let given = given.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&given, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.len().min(given.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// ` (did you mean "x"?)`, or nothing.
pub fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(given, known).map(|name| format!(" (did you mean \"{name}\"?)")).unwrap_or_default()
}
