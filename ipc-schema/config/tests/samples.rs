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

#[test]
fn toml_and_json5_say_the_same() {
    let files = samples("valid");
    let json5 = load(&files, Path::new("twin.json5")).unwrap();
    let toml = load(&files, Path::new("twin.toml")).unwrap();
    assert_eq!(json5.config, toml.config);
}

#[test]
fn included_files_are_merged_in_order() {
    let files = samples("valid");
    let loaded = load(&files, Path::new("include.json5")).unwrap();
    assert_eq!(loaded.config.gateway.port, 3);
    assert_eq!(loaded.config.gateway.bind.word(), "lan");
    let ids: Vec<String> = loaded.config.agents().iter().map(|agent| agent.id.to_string()).collect();
    assert_eq!(ids, ["first", "second", "third"]);
    let watched: Vec<_> = loaded.files.iter().map(|path| path.display().to_string()).collect();
    assert_eq!(watched, ["include.json5", "part-base.json5", "part-over.json5"]);
}

#[test]
fn a_second_default_agent_is_a_warning() {
    let loaded = load(&samples("valid"), Path::new("two-defaults.json5")).unwrap();
    assert_eq!(loaded.config.default_agent().as_str(), "a");
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(warnings.join("\n"));
}

#[test]
fn what_nothing_uses_is_a_warning() {
    let loaded = load(&samples("valid"), Path::new("everything.json5")).unwrap();
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(warnings.join("\n"));
}

#[test]
fn the_place_of_the_other_store_is_a_warning() {
    let files = samples("valid");
    let all = ["other-store.json5", "other-store-postgres.json5"]
        .map(|name| load(&files, Path::new(name)).unwrap());
    let warnings: Vec<_> = all.iter().flat_map(|loaded| &loaded.warnings).map(ToString::to_string).collect();
    insta::assert_snapshot!(warnings.join("\n"));
}

#[test]
fn everything_shown_without_secrets() {
    let loaded = load(&samples("valid"), Path::new("everything.json5")).unwrap();
    let shown = serde_json::to_string_pretty(&creel_config::shape::Shape::show(
        &loaded.config,
        creel_config::Show::Redacted,
    ));
    let shown = shown.unwrap();
    for secret in ["g-secret", "a-secret", "2:default", "1:work", "\"s3\"", "\"home\""] {
        assert!(!shown.contains(secret), "{secret} is shown");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn valid_samples_fit_the_schema() {
    let schema = creel_config::schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let files = samples("valid");
    for name in files.keys().filter(|name| is_main(name)) {
        let tree = creel_config::load::tree(&files[name], name).unwrap().to_json();
        let errors: Vec<_> =
            validator.iter_errors(&tree).map(|e| format!("{} at {}", e, e.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", name.display());
    }
    assert!(!validator.is_valid(&serde_json::json!({"gateway": {"prot": 1}})));
}
