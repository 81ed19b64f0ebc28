//! The files of the workspace that make up an agent's character and memory.

use std::io::Read;

use crate::tools::workspace::Workspace;

/// Characters of one file.
pub const MAX_ONE: usize = 20_000;
/// Characters of all files.
pub const MAX_ALL: usize = 60_000;

const NAMES: [&str; 5] = ["AGENTS.md", "SOUL.md", "USER.md", "TOOLS.md", "IDENTITY.md"];
/// Private: only the main session reads it.
const MEMORY: &str = "MEMORY.md";

/// A file, as far as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its name.
    pub name: &'static str,
    /// Its text.
    pub text: String,
    /// Its whole length in characters, when not all of it is shown.
    pub cut_from: Option<usize>,
}

/// Reads the files that exist. One that is missing, empty or no file at all is simply not there.
pub fn notes(workspace: &Workspace, main: bool) -> Vec<Note> {
    let names = NAMES.into_iter().chain(main.then_some(MEMORY));
    let mut room = MAX_ALL;
    let mut out = Vec::new();
    for name in names {
        let Some(text) = text(workspace, name).filter(|text| !text.trim().is_empty()) else { continue };
        let whole = text.chars().count();
        let shown: String = text.chars().take(MAX_ONE.min(room)).collect();
        let length = whole.min(MAX_ONE.min(room));
        room -= length;
        out.push(Note { name, text: shown, cut_from: (length < whole).then_some(whole) });
    }
    out
}

fn text(workspace: &Workspace, name: &str) -> Option<String> {
    let (file, _) = workspace.read(name).ok()?;
    let mut bytes = Vec::new();
    file.take(1024 * 1024).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_are_cut_and_memory_is_for_the_main_session() {
        let home = tempfile::tempdir().unwrap();
        for name in NAMES.into_iter().chain([MEMORY]) {
            std::fs::write(home.path().join(name), "é".repeat(MAX_ONE + 5)).unwrap();
        }
        std::fs::write(home.path().join("SOUL.md"), " \n").unwrap();
        let workspace = Workspace::open(home.path().to_str().unwrap()).unwrap();
        let seen: Vec<_> = notes(&workspace, true)
            .iter()
            .map(|note| (note.name, note.text.chars().count(), note.cut_from))
            .collect();
        let cut = Some(MAX_ONE + 5);
        assert_eq!(
            seen,
            [
                ("AGENTS.md", MAX_ONE, cut),
                ("USER.md", MAX_ONE, cut),
                ("TOOLS.md", MAX_ONE, cut),
                ("IDENTITY.md", 0, cut),
                ("MEMORY.md", 0, cut)
            ]
        );
        assert!(notes(&workspace, false).iter().all(|note| note.name != MEMORY));
    }
}
