//! The reader against everything: no input makes it panic, and JSON means what JSON means.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use creel_config::edit::{Edit, edit_text, parse_path};
use creel_config::load::tree;
use creel_config::{Env, Loader};
use proptest::prelude::*;
use serde_json::{Value, json};

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Text that is nearly a configuration: pieces of the real thing in any order.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "'",
        "//x\n",
        "/*",
        "*/",
        "\\",
        "\n",
        " ",
        "gateway",
        "port",
        "agents",
        "list",
        "id",
        "\"main\"",
        "channels",
        "telegram",
        "accounts",
        "irc",
        "default",
        "models",
        "providers",
        "defaults",
        "model",
        "18789",
        "-1",
        "0x1F",
        "1e999",
        "+.5",
        "NaN",
        "-Infinity",
        "true",
        "null",
        "$include",
        "\"creel.json\"",
        "${HOME}",
        "$${",
        "\"${NO\"",
        "\u{feff}",
        "é",
        "🦊",
        "\u{2028}",
        "=",
        "[[agents.list]]\n",
        "[gateway]\n",
        "1979-05-27",
        "bindings",
        "match",
        "\"*\"",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn load_everything(text: &str) {
    let env: Env = [("HOME".to_owned(), "/home/kim".to_owned())].into();
    for name in ["creel.json", "creel.toml"] {
        let path = Path::new(name);
        let files: BTreeMap<PathBuf, String> = [(path.to_owned(), text.to_owned())].into();
        match Loader::new(&files, &env).file(path) {
            Ok(loaded) => {
                let paths = creel_config::Paths::compose(&Default::default(), Some("/home/kim".into()), None)
                    .unwrap();
                let plan = loaded.config.plan(&paths, &Default::default());
                assert!(plan.units.len() >= 3);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn json_means_what_json_means(value in json_value(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let reference: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(tree(&text, Path::new("x.json")).unwrap().to_json(), reference);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        load_everything(&text);
    }

    #[test]
    fn nothing_that_is_nearly_right_makes_the_reader_panic(text in nearly()) {
        load_everything(&text);
    }

    #[test]
    fn an_edit_changes_its_key_and_no_other(value in json_value(), new in json_value(), key in "[a-zA-Z_ .#\"\\\\é]{1,8}") {
        let text = json!({"a": {"keep": value.clone()}, "z": 1}).to_string();
        let quoted = if key.contains('"') { return Ok(()) } else { format!("a.\"{key}\"") };
        prop_assert_eq!(parse_path(&quoted).unwrap().len(), 2);
        let edited = edit_text(&text, &quoted, &Edit::Set(new.clone())).unwrap();
        let mut expected: Value = serde_json::from_str(&text).unwrap();
        expected["a"][key.as_str()] = serde_json::from_str(&new.to_string()).unwrap();
        prop_assert_eq!(tree(&edited, Path::new("x.json")).unwrap().to_json(), expected);
    }

    #[test]
    fn no_edit_panics(text in nearly(), path in "[a-z.\\[\\]0-9\"]{0,12}", new in json_value()) {
        // Whatever is not refused has to be readable again.
        for change in [Edit::Set(new.clone()), Edit::Unset] {
            if let Ok(edited) = edit_text(&text, &path, &change) {
                prop_assert!(tree(&edited, Path::new("x.json")).is_ok(), "{edited}");
            }
        }
    }
}

#[test]
fn json5_is_read_whole() {
    let text = "\u{feff}// JSON5\n{ bare: 'it\\'s', $dollar_1: \"a\\\nb\", /* hex */ hex: 0xFf, plus: +1, dot: .5, end: 5., neg: -0x10,\n list: [1, 2,], 'é': '\\x41\\u00e9', exp: 1e3, }";
    let value = tree(text, Path::new("x.json")).unwrap().to_json();
    let expected = json!({
        "bare": "it's", "$dollar_1": "ab", "hex": 255, "plus": 1, "dot": 0.5, "end": 5.0, "neg": -16,
        "list": [1, 2], "é": "Aé", "exp": 1000.0,
    });
    assert_eq!(value, expected);
}

#[test]
fn deep_nesting_is_an_error_and_no_crash() {
    for (open, name) in [("[", "x.json"), ("{a:", "x.json"), ("a=[", "x.toml"), ("[", "x.toml")] {
        let text = open.repeat(100_000);
        assert!(tree(&text, Path::new(name)).is_err());
    }
    let toml = format!("a = {}{}", "[".repeat(50_000), "]".repeat(50_000));
    assert!(tree(&toml, Path::new("x.toml")).is_err());
}

/// Inputs that make anything worse than linear show itself.
#[test]
fn large_and_wrong_inputs_end() {
    let many = |piece: &dyn Fn(usize) -> String, count| (0..count).map(piece).collect::<Vec<_>>().join(",");
    let texts = [
        format!("{{{}}}", many(&|n| format!("k{n}:1"), 60_000)),
        format!("{{channels:{{irc:{{{}}}}}}}", many(&|n| format!("nic{n}:1"), 60_000)),
        format!("{{channels:{{irc:{{accounts:{{{}}}}}}}}}", many(&|n| format!("a{n}:{{}}"), 20_000)),
        format!("{{agents:{{list:[{}]}}}}", many(&|n| format!("{{id:'a{n}'}}"), 50_000)),
        format!("{{agents:{{list:[{}]}}}}", many(&|n| format!("{{id:'a{n}'}}"), 1000)),
        format!("{{bindings:[{}]}}", many(&|_| "{agentId:'x',match:{channel:'irc'}}".to_owned(), 20_000)),
        format!(
            "{{agents:{{list:[{}]}},bindings:[{}]}}",
            many(&|n| format!("{{id:'a{n}'}}"), 1000),
            many(&|n| format!("{{agentId:'b{n}',match:{{channel:'irc'}}}}"), 10_000)
        ),
        format!("{{models:{{providers:{{{}}}}}}}", many(&|n| format!("p{n}:{{baseUrl:'http://h{n}'}}"), 250)),
        format!("[{}]", many(&|_| "'${A}'".to_owned(), 50_000)),
        format!("{{logging:{{level:'{}'}}}}", "x".repeat(1_000_000)),
        format!("{{'{}':1}}", "port".repeat(200_000)),
    ];
    for text in texts {
        load_everything(&text);
    }
}

#[test]
fn complaints_are_counted_beyond_what_is_shown() {
    let keys: Vec<String> = (0..1000).map(|n| format!("k{n}: 1")).collect();
    let files: BTreeMap<PathBuf, String> = BTreeMap::new();
    let text = format!("{{ {} }}", keys.join(", "));
    let complaints = Loader::new(&files, &Env::new()).text(text, Path::new("creel.json")).unwrap_err();
    assert_eq!((complaints.list.len(), complaints.more), (100, 900));
    assert!(complaints.to_string().ends_with("… and 900 more"));
}

#[test]
fn includes_that_multiply_end() {
    let level = |n: usize| {
        let next = format!("\"l{}.json5\"", n + 1);
        format!("{{ $include: [{}] }}", vec![next; 20].join(", "))
    };
    let mut files: BTreeMap<PathBuf, String> =
        (0..9).map(|n| (PathBuf::from(format!("l{n}.json5")), level(n))).collect();
    files.insert("l9.json5".into(), "{}".into());
    let env = Env::new();
    let error = Loader::new(&files, &env).file(Path::new("l0.json5")).unwrap_err();
    assert!(error.to_string().contains("more than 256 files"), "{error}");
}

/// Ten files, each nested as deep as one may be: the worst case for the stack of a thread.
#[test]
fn the_deepest_tree_fits_a_small_stack() {
    let nested = |inside: &str| format!("{}{inside}{}", "[".repeat(60), "]".repeat(60));
    let mut files: BTreeMap<PathBuf, String> = (0..10)
        .map(|n| {
            (PathBuf::from(format!("d{n}.json5")), nested(&format!("{{ $include: \"d{}.json5\" }}", n + 1)))
        })
        .collect();
    files.insert("d10.json5".into(), nested("1"));
    let run = move || {
        let env = Env::new();
        Loader::new(&files, &env).file(Path::new("d0.json5")).unwrap_err().to_string()
    };
    let small = std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap();
    let said = small.join().unwrap();
    assert!(said.contains("nested more than 64 levels deep"), "{said}");
}
