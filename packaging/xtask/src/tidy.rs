//! `cargo xtask tidy`: rules that compilers do not know.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::shell::root;

/// Lines after which a source file must be two; most have less than 400.
const MAX_LINES: usize = 500;

/// Which of Creel's crates a crate may depend on. An edge that is not here needs a decision, not a line in a
/// manifest.
const EDGES: [(&str, &[&str]); 13] = [
    ("ipc-schema", &[]),
    ("ipc-schema/link", &["creel-ipc"]),
    ("ipc-schema/config", &["creel-ipc"]),
    ("supervisor/launch", &[]),
    ("supervisor/launch/seal", &[]),
    ("supervisor", &["creel-ipc", "creel-link", "creel-config", "creel-launch"]),
    ("gateway", &["creel-ipc", "creel-link", "creel-config", "creel-seal"]),
    ("gateway/egress", &["creel-ipc", "creel-link", "creel-seal"]),
    ("agent-worker", &["creel-ipc", "creel-link", "creel-seal"]),
    ("channel-workers/core", &["creel-ipc", "creel-link"]),
    ("channel-workers/thin", &["creel-ipc", "creel-link", "creel-seal", "creel-channel-core"]),
    ("packaging/xtask", &["creel-ipc"]),
    // They see the processes from outside, as clients and platforms do.
    ("tests", &["creel-ipc"]),
];

pub(crate) fn run() -> Result<()> {
    let mut faults = Vec::new();
    edges(&mut faults)?;
    sizes(&mut faults)?;
    unsafe_code(&mut faults)?;
    if faults.is_empty() {
        println!("tidy");
        return Ok(());
    }
    bail!("not tidy:\n  {}", faults.join("\n  "));
}

fn edges(faults: &mut Vec<String>) -> Result<()> {
    for (folder, allowed) in EDGES {
        let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml"))?;
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        for line in dependencies.lines().filter(|line| line.starts_with("creel-")) {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if !allowed.contains(&name) {
                faults.push(format!("{folder}/Cargo.toml: {folder} must not depend on {name}"));
            }
        }
    }
    Ok(())
}

fn sizes(faults: &mut Vec<String>) -> Result<()> {
    for file in sources()? {
        let lines = std::fs::read_to_string(&file)?.lines().count();
        if lines > MAX_LINES && !file.ends_with("tests.rs") {
            faults.push(format!(
                "{}: {lines} lines; split it by its nouns (the limit is {MAX_LINES})",
                shown(&file)
            ));
        }
    }
    Ok(())
}

/// `unsafe` lives in the launcher and nowhere else; the compiler forbids it crate by crate, this checks that no
/// crate lifted the lint.
fn unsafe_code(faults: &mut Vec<String>) -> Result<()> {
    for file in sources()? {
        let name = shown(&file);
        let text = std::fs::read_to_string(&file)?;
        let has = text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or_default();
            code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl")
        });
        if has && !name.starts_with("supervisor/launch/") && name != "packaging/xtask/src/tidy.rs" {
            faults.push(format!("{name}: `unsafe` belongs in supervisor/launch"));
        }
    }
    Ok(())
}

fn shown(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).display().to_string()
}

/// Every Rust source of the repository.
fn sources() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
                folders.push(path);
            } else if name.ends_with(".rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_of_ours_has_its_edges_and_no_edge_is_only_imagined() {
        let workspace = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        let members = workspace.split("members").nth(1).unwrap().split(']').next().unwrap();
        let known: Vec<&str> = EDGES.iter().map(|(folder, _)| *folder).collect();
        for member in members.split('"').skip(1).step_by(2).filter(|member| !member.contains("/fake-")) {
            assert!(known.contains(&member), "{member} has no line in EDGES");
        }
        for (folder, allowed) in EDGES {
            let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
            for name in allowed {
                assert!(manifest.contains(&format!("\n{name}")), "{folder} does not use {name}");
            }
        }
        let mut faults = Vec::new();
        edges(&mut faults).unwrap();
        assert_eq!(faults, Vec::<String>::new());
    }
}
