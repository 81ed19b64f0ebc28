//! Reading and writing single keys.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use creel_config::disk::Disk;
use creel_config::edit::{Edit, EditError, edit, edit_file, edit_text, get, parse_value};
use creel_config::{Config, Env, Loader, Show};
use serde_json::{Value, json};

const FILE: &str = r##"// Kim's home
{
  gateway: {
    port: 18789, // the usual one
    /* who */
    auth: { token: "t0p" },
  },
  "agents": {
    "list": [
      { "id": "main" }, // the first
      { "id": "work" }
    ]
  },
  channels: { irc: { host: "irc.example.org", nick: "creel", groups: { "#a.b": {} } } },
}
"##;

fn config(text: &str) -> Config {
    let files: BTreeMap<PathBuf, String> = BTreeMap::new();
    Loader::new(&files, &Env::new()).text(text.to_owned(), Path::new("creel.json")).unwrap().config
}

fn set(path: &str, value: Value) -> String {
    edit_text(FILE, path, &Edit::Set(value)).unwrap()
}

#[test]
fn edits_keep_comments_and_layout() {
    let mut shown = String::new();
    for (path, value) in [
        ("gateway.port", json!(19000)),
        ("gateway.bind", json!("lan")),
        ("gateway.reload.mode", json!("off")),
        ("agents.list[1].name", json!("Work")),
        ("agents.list[2]", json!({"id": "play"})),
        ("agents.list[0]", json!({"id": "solo", "tools": {"deny": ["exec", "it's \"quoted\"\n"]}})),
        ("channels.irc.groups.\"#a.b\".requireMention", json!(false)),
        ("logging", json!({"level": "debug"})),
    ] {
        let text = set(path, value);
        config(&text);
        shown += &format!("=== {path}\n{text}\n");
    }
    for path in ["gateway.port", "gateway.auth", "agents.list[0]", "channels", "no.such.key"] {
        let text = edit_text(FILE, path, &Edit::Unset).unwrap();
        config(&text);
        shown += &format!("=== unset {path}\n{text}\n");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn a_new_file_and_an_empty_one_take_a_key() {
    for text in ["", "// only a comment\n", "{}", "\u{feff}{}"] {
        let new = edit_text(text, "agents.list[0].id", &Edit::Set(json!("main"))).unwrap();
        assert_eq!(config(&new).agents()[0].id.as_str(), "main", "{new}");
    }
}

#[test]
fn values_are_shown_with_defaults_and_without_secrets() {
    let config = config(FILE);
    assert_eq!(get(&config, "gateway.port", Show::Redacted).unwrap(), json!(18789));
    assert_eq!(get(&config, "gateway.auth.token", Show::Redacted).unwrap(), json!("(secret)"));
    assert_eq!(get(&config, "gateway.auth.token", Show::Revealed).unwrap(), json!("t0p"));
    assert_eq!(get(&config, "agents.list[1].id", Show::Redacted).unwrap(), json!("work"));
    assert_eq!(get(&config, "channels.irc.nick", Show::Redacted).unwrap(), json!("creel"));
    assert_eq!(
        get(&config, "channels.irc.groups.\"#a.b\".requireMention", Show::Redacted).unwrap(),
        json!(true)
    );
    assert!(get(&config, "", Show::Redacted).unwrap().is_object());
}

#[test]
fn what_cannot_be_read_or_written_is_said() {
    let config = config(FILE);
    let mut shown = String::new();
    for path in [
        "gateway.prot",
        "agents.list[7].id",
        "gatway",
        "a..b",
        "agents.list[x]",
        "a.\"b",
        "gateway.",
        "gateway.port.x",
    ] {
        shown += &format!("{}\n", get(&config, path, Show::Redacted).unwrap_err());
    }
    for (path, value) in [
        ("gateway.port.x", json!(1)),
        ("agents.list[9]", json!({})),
        ("agents.list.main", json!({})),
        ("", json!({})),
    ] {
        shown += &format!("{}\n", edit_text(FILE, path, &Edit::Set(value)).unwrap_err());
    }
    let files: BTreeMap<PathBuf, String> = BTreeMap::new();
    let env = Env::new();
    let loader = Loader::new(&files, &env);
    let try_edit = |file: &str, path: &str, change: Edit| {
        edit(&loader, Path::new(file), FILE, path, &change, false).unwrap_err()
    };
    shown += &format!("{}\n", try_edit("creel.json", "gateway.port", Edit::Set(json!("high"))));
    shown += &format!("{}\n", try_edit("creel.json", "gateway.prot", Edit::Set(json!(1))));
    shown += &format!("{}\n", try_edit("creel.toml", "gateway.port", Edit::Set(json!(1))));
    let long = FILE.replace("// Kim's home", &format!("// {}", "x".repeat(900)));
    let padded = long.replace("nick:", &format!("allowFrom: [{}], nick:", "\"alice\", ".repeat(200)));
    let error = edit(&loader, Path::new("creel.json"), &padded, "channels", &Edit::Unset, false).unwrap_err();
    assert!(matches!(error, EditError::Shrinks { .. }));
    shown += &format!("{error}\n");
    assert!(edit(&loader, Path::new("creel.json"), &padded, "channels", &Edit::Unset, true).is_ok());
    insta::assert_snapshot!(shown);
}

#[test]
fn a_file_is_replaced_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("creel.json");
    let env = Env::new();
    let loader = Loader::new(&Disk, &env);

    edit_file(&loader, &file, "gateway.port", &Edit::Set(json!(4000)), false).unwrap();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let first = std::fs::read_to_string(&file).unwrap();

    let wrong = edit_file(&loader, &file, "gateway.port", &Edit::Set(json!(70000)), false).unwrap_err();
    assert!(wrong.to_string().contains("gateway.port: 70000"), "{wrong}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), first);

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let linked = folder.path().join("link.json");
    std::os::unix::fs::symlink(&file, &linked).unwrap();
    let edited = edit_file(&loader, &linked, "gateway.bind", &Edit::Set(json!("lan")), false).unwrap();
    assert_eq!(edited.loaded.config.gateway.port, 4000);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), edited.text);
    assert!(std::fs::symlink_metadata(&linked).unwrap().is_symlink());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(folder.path().join("link.json.bak")).unwrap(), first);
    let mut names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["creel.json", "link.json", "link.json.bak"], "nothing is left behind");
}

#[test]
fn typed_values_are_json5_or_text() {
    for (typed, value) in [
        ("true", json!(true)),
        ("0x10", json!(16)),
        ("anthropic/claude", json!("anthropic/claude")),
        ("hello world", json!("hello world")),
        ("'quoted'", json!("quoted")),
        ("[1, 'a',]", json!([1, "a"])),
        ("{a: 1}", json!({"a": 1})),
        ("", json!("")),
        ("/srv/x", json!("/srv/x")),
        ("~/x", json!("~/x")),
        ("${TOKEN}", json!("${TOKEN}")),
        ("007", json!("007")),
    ] {
        assert_eq!(parse_value(typed), value, "{typed}");
    }
}
