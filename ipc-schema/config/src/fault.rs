//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;
use std::path::PathBuf;

use crate::node::{Mark, Node, Path, Step};
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

/// Everything that is wrong with a configuration. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct Complaints(pub Vec<Complaint>);

fn lines(complaints: &[Complaint]) -> String {
    complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl Complaints {
    /// Puts faults in reading order, drops repetitions, and gives each its file, line, column and key path.
    pub fn locate(mut faults: Vec<Fault>, tree: &Node, sources: &Sources) -> Self {
        faults.sort_by_key(|fault| fault.mark);
        let mut complaints: Vec<Complaint> = Vec::with_capacity(faults.len());
        for fault in faults {
            let (line, column) = sources.line_column(fault.mark);
            let path = fault.path.or_else(|| tree.path_to(fault.mark)).unwrap_or_default();
            let complaint = Complaint {
                file: sources.get(fault.mark.file).map(|source| source.path.clone()).unwrap_or_default(),
                line,
                column,
                path: Path(&path).to_string(),
                what: fault.what,
                fix: fault.fix,
            };
            if !complaints.contains(&complaint) {
                complaints.push(complaint);
            }
        }
        Self(complaints)
    }
}

/// The known name that the operator most likely meant.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
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
