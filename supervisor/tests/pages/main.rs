//! The committed man pages and completion scripts are those of this command line.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::path::Path;

#[allow(dead_code, reason = "the example's own main")]
#[path = "../../examples/pages.rs"]
mod pages;

fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let file = |entry: std::fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
    };
    entries.map(file).collect()
}

/// What differs, with its first line that does.
fn differences(name: &str, committed: Option<&String>, made: Option<&String>) -> Option<String> {
    match (committed, made) {
        (None, _) => Some(format!("{name} is missing")),
        (_, None) => Some(format!("{name} is of a command that is no more")),
        (Some(committed), Some(made)) if committed != made => {
            let mut lines = committed
                .lines()
                .map(Some)
                .chain(std::iter::repeat(None))
                .zip(made.lines().map(Some).chain([None]));
            let (number, (old, new)) = (1..).zip(&mut lines).find(|(_, (old, new))| old != new)?;
            let shown = |line: Option<&str>| line.unwrap_or("(its end)").to_owned();
            Some(format!("{name}:{number}\n  - {}\n  + {}", shown(old), shown(new)))
        }
        _ => None,
    }
}

#[test]
fn the_committed_pages_and_completions_are_up_to_date() {
    let fresh = tempfile::tempdir().unwrap();
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging");
    pages::write(&fresh.path().join("man"), &fresh.path().join("completions")).unwrap();
    let mut stale = Vec::new();
    for folder in ["man", "completions"] {
        let (old, new) = (files(&committed.join(folder)), files(&fresh.path().join(folder)));
        assert!(new.len() >= 3, "{folder}: {new:?}");
        let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
        names.sort();
        names.dedup();
        stale.extend(names.into_iter().filter_map(|name| {
            differences(&format!("packaging/{folder}/{name}"), old.get(name), new.get(name))
        }));
    }
    assert!(
        stale.is_empty(),
        "These are made from the command line's help, and it has changed. Write them anew with `cargo xtask pages` and commit \
         them:\n{}",
        stale.join("\n")
    );
}
