//! Every sample is read: the valid ones without a complaint, the invalid ones with the expected ones.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use creel_config::{Complaints, Env, Loaded, Loader};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name)
}

fn samples(name: &str) -> BTreeMap<PathBuf, String> {
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        (PathBuf::from(path.file_name().unwrap()), text)
    };
    std::fs::read_dir(folder(name)).unwrap().map(read).collect()
}

fn env() -> Env {
    [("GATEWAY_TOKEN", "g-secret"), ("ANTHROPIC_API_KEY", "a-secret"), ("HOME", "/home/kim")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn load(files: &BTreeMap<PathBuf, String>, name: &Path) -> Result<Loaded, Complaints> {
    Loader::new(files, &env()).text(files[name].clone(), name)
}

fn is_main(path: &Path) -> bool {
    let stem = path.file_stem().unwrap().to_string_lossy();
    !stem.starts_with("part-") && path.extension().is_some_and(|e| e == "json5" || e == "toml")
}

#[test]
fn valid_samples_are_accepted() {
    let files = samples("valid");
    for name in files.keys().filter(|name| is_main(name)) {
        if let Err(complaints) = load(&files, name) {
            panic!("{}:\n{complaints}", name.display());
        }
    }
}

#[test]
fn complaints_of_invalid_samples() {
    let files = samples("invalid");
    let mut shown = String::new();
    for name in files.keys().filter(|name| is_main(name)) {
        match load(&files, name) {
            Ok(_) => panic!("{} was accepted", name.display()),
            Err(complaints) => shown += &format!("{complaints}\n\n"),
        }
    }
    insta::assert_snapshot!(shown);
}
